"""Item-to-item collaborative filtering: what is chosen by the same users as the user's own items."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from retrieval.domain import Candidates, Dataset, Histories, Queries, State
from retrieval.errors import ModelError
from retrieval.interactions import binary_matrix, decayed, summed_matrix
from retrieval.neighbours import nearest_items
from retrieval.retrievers.protocol import FamilyConfig
from retrieval.search import concatenate, rank_sparse
from retrieval.weightings import bm25, centred, per_user_norm, tfidf, unit_columns

QUERIES_AT_ONCE = 256
"""Queries whose neighbours are held at once."""


class ItemKnnConfig(FamilyConfig):
    """Neighbours by the inner product of the items' columns of users, weighted in one of several ways."""

    kind: Literal["item_knn"] = "item_knn"
    weighting: Literal["cosine", "user_norm", "adjusted_cosine", "tfidf", "bm25"] = "user_norm"
    """What a choice is worth: the same (cosine), less the longer the user's history (user_norm), how much more than the
    user's mean event (adjusted_cosine, of all events, disliked ones too), by frequency and how choosy the user is
    (tfidf, a cosine; bm25, an inner product, so that much chosen items have an advantage)."""
    k1: float = Field(default=1.2, gt=0)
    """BM25 only: how slowly a user's further choices of the same item add less."""
    b: float = Field(default=0.75, ge=0, le=1)
    """BM25 only: how much the choices of a much chosen item count less."""
    neighbours: int = Field(default=100, ge=1)
    """Neighbours kept an item."""
    max_history: int = Field(default=400, ge=1)
    """The newest events of a user that make pairs: bounds the cost, which is quadratic in it."""
    min_users: int = Field(default=2, ge=1)
    """Fewer shared users are no evidence."""
    shrinkage: float = Field(default=1.0, ge=0)
    """Cosines only: mean squared lengths added to each column's own, so that pairs seen few times rank lower."""
    history_half_life_days: float = Field(default=60.0, gt=0)
    """The age at which an event of the asking user counts half."""

    def fit(self, dataset: Dataset, *, seed: int, warm: State | None = None) -> "ItemKnn":
        weighted = self._weighted(dataset.histories, len(dataset.catalogue))
        return ItemKnn(nearest_items(weighted, self.neighbours, self.min_users), self.history_half_life_days)

    def restore(self, state: State) -> "ItemKnn":
        shape = (len(state.arrays["offsets"]) - 1,) * 2
        parts = (state.arrays["similarity"], state.arrays["neighbour"], state.arrays["offsets"])
        return ItemKnn(sp.csr_array(tuple(map(np.asarray, parts)), shape=shape), self.history_half_life_days)

    def _weighted(self, histories: Histories, n_items: int) -> sp.csr_array:
        """Users by items, so that inner products of columns are the similarities."""
        chosen = histories.positives().last(self.max_history)
        match self.weighting:
            case "bm25":
                return bm25(summed_matrix(chosen, n_items), self.k1, self.b)
            case "tfidf":
                return unit_columns(tfidf(summed_matrix(chosen, n_items)), self.shrinkage)
            case "adjusted_cosine":
                return unit_columns(self._centred(histories.last(self.max_history), n_items), self.shrinkage)
            case "user_norm":
                return unit_columns(per_user_norm(binary_matrix(chosen, n_items)), self.shrinkage)
            case "cosine":
                return unit_columns(binary_matrix(chosen, n_items), self.shrinkage)

    def _centred(self, histories: Histories, n_items: int) -> sp.csr_array:
        matrix = centred(histories, n_items)
        if histories.n_events and not np.abs(matrix.data).max() > 0:
            raise ModelError(
                "item_knn with weighting = 'adjusted_cosine' found that all events of each user weigh the same, so "
                "none says what a user likes better than the rest. Give some [actions] another weight or sign, or "
                "choose weighting = 'user_norm'."
            )
        return matrix


@dataclass(frozen=True, slots=True)
class ItemKnn:
    """The union of the neighbours of a user's items, their similarities added up with the items' decayed weights."""

    neighbours: sp.csr_array

    half_life_days: float

    @property
    def n_items(self) -> int:
        return int(self.neighbours.shape[0])

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        parts = []
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            block = queries.take(np.arange(start, min(start + QUERIES_AT_ONCE, len(queries))))
            parts.append(rank_sparse(self._scores(block), block, k))
        return concatenate(parts, k)

    def state(self) -> State:
        return State(
            arrays={
                "offsets": self.neighbours.indptr.astype(np.int64),
                "neighbour": self.neighbours.indices.astype(np.int32),
                "similarity": self.neighbours.data.astype(np.float32),
            }
        )

    def _scores(self, queries: Queries) -> sp.csr_array:
        """Of the neighbours of each query's items, and of no others."""
        histories = decayed(queries.histories, queries.day, self.half_life_days)
        shape = (len(queries), self.n_items)
        return sp.csr_array((histories.weights, histories.items, histories.offsets), shape) @ self.neighbours
