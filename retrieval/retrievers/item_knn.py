"""Item-to-item collaborative filtering: what is chosen by the same users as the user's own items."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from retrieval.domain import DAY, Candidates, Dataset, Queries, State
from retrieval.interactions import binary_matrix
from retrieval.progress import advance
from retrieval.retrievers.protocol import FamilyConfig
from retrieval.search import concatenate, rank_sparse

ITEMS_AT_ONCE = 4096
"""Item rows whose co-occurrences are held at once."""
QUERIES_AT_ONCE = 256
"""Queries whose neighbours are held at once."""


class ItemKnnConfig(FamilyConfig):
    """Neighbours by the cosine between the items' columns of users."""

    kind: Literal["item_knn"] = "item_knn"
    weighting: Literal["cosine", "user_norm"] = "user_norm"
    """Whether a user with a long history says less about each of its pairs (user_norm) or as much (cosine)."""
    neighbours: int = Field(default=100, ge=1)
    """Neighbours kept an item."""
    max_history: int = Field(default=400, ge=1)
    """The newest events of a user that make pairs: bounds the cost, which is quadratic in it."""
    min_users: int = Field(default=2, ge=1)
    """Fewer shared users are no evidence."""
    shrinkage: float = Field(default=10.0, ge=0)
    """Added to the cosine's denominator, so that pairs seen few times rank lower."""
    history_half_life_days: float = Field(default=60.0, gt=0)
    """The age at which an event of the asking user counts half."""

    def fit(self, dataset: Dataset, *, seed: int, warm: State | None = None) -> "ItemKnn":
        columns = binary_matrix(dataset.histories.positives().last(self.max_history), len(dataset.catalogue))
        neighbours = self._neighbours(columns)
        return ItemKnn(neighbours, self.history_half_life_days)

    def restore(self, state: State) -> "ItemKnn":
        shape = (len(state.arrays["offsets"]) - 1,) * 2
        parts = (state.arrays["similarity"], state.arrays["neighbour"], state.arrays["offsets"])
        return ItemKnn(sp.csr_array(tuple(map(np.asarray, parts)), shape=shape), self.history_half_life_days)

    def _neighbours(self, seen: sp.csr_array) -> sp.csr_array:
        weighted = seen.copy()
        if self.weighting == "user_norm":
            weighted = weighted.multiply(1 / np.sqrt(np.maximum(seen.sum(1), 1))[:, None]).tocsr()
        norms = np.sqrt(weighted.power(2).sum(0))
        columns, counted = weighted.T.tocsr(), seen.T.tocsr()
        blocks = []
        for start in range(0, seen.shape[1], ITEMS_AT_ONCE):
            advance("item neighbours", start, seen.shape[1])
            stop = min(start + ITEMS_AT_ONCE, seen.shape[1])
            shared = counted[start:stop] @ seen
            product = columns[start:stop] @ weighted
            enough = np.flatnonzero(shared.data >= self.min_users)  # the few that matter, before anything costs
            owners, others = np.searchsorted(product.indptr, enough, side="right") - 1, product.indices[enough]
            is_other = others != owners + start
            owners, others, dots = owners[is_other], others[is_other], product.data[enough][is_other]
            cosine = dots / (norms[start + owners] * norms[others] + self.shrinkage * norms.mean() ** 2)
            blocks.append(_best(owners, others, cosine, (stop - start, seen.shape[1]), self.neighbours))
        return sp.csr_array(sp.vstack(blocks, format="csr"))


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
        age_days = np.maximum(queries.day * DAY - queries.histories.times, 0) / DAY
        weights = queries.histories.weights * 0.5 ** (age_days / self.half_life_days)
        shape = (len(queries), self.neighbours.shape[0])
        return sp.csr_array((weights, queries.histories.items, queries.histories.offsets), shape) @ self.neighbours


def _best(owners: np.ndarray, others: np.ndarray, values: np.ndarray, shape: tuple[int, int], n: int) -> sp.csr_array:
    """The n largest of each row's values, which lie between 0 and 1; owners ascend."""
    order = np.argsort(2.0 * owners - values, kind="stable")  # one key sorts by row, then by falling value
    owners, others, values = owners[order], others[order], values[order]
    starts = np.searchsorted(owners, np.arange(shape[0]))
    keep = np.arange(len(owners)) - starts[owners] < n
    return sp.csr_array((values[keep].astype(np.float32), (owners[keep], others[keep])), shape)
