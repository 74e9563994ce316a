"""User-to-user collaborative filtering: what those chose whose choices are like the asking user's."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from retrieval.domain import UNKNOWN, Candidates, Dataset, Queries, State
from retrieval.interactions import decayed, summed_matrix
from retrieval.retrievers.protocol import FamilyConfig
from retrieval.search import best_entries, concatenate, rank_sparse

PAIRS_AT_ONCE = 1 << 23
"""Pairs of a query and a user that may be alike, held at once: 16 bytes each."""
QUERIES_AT_ONCE = 256


class UserKnnConfig(FamilyConfig):
    """Neighbours by the cosine between users' rows of items; a query's row is its history, so new users have one.

    Limits: every answer reads the rows of all who share an item with the asking user, so it costs more with each user;
    the state holds everybody's choices.
    """

    kind: Literal["user_knn"] = "user_knn"
    neighbours: int = Field(default=200, ge=1)
    """Users whose choices are added up."""
    max_history: int = Field(default=400, ge=1)
    """The newest positives of a user that count."""
    half_life_days: float | None = Field(default=None, gt=0)
    """The age, as the model is fitted, at which a neighbour's choice counts half; not set, it counts whole."""
    history_half_life_days: float | None = Field(default=60.0, gt=0)
    """The age at which a choice of the asking user counts half; not set, it counts whole."""

    def fit(self, dataset: Dataset, *, seed: int, warm: State | None = None) -> "UserKnn":
        chosen = dataset.histories.positives().last(self.max_history)
        return UserKnn(self, summed_matrix(decayed(chosen, dataset.day, self.half_life_days), len(dataset.catalogue)))

    def restore(self, state: State) -> "UserKnn":
        parts = tuple(np.asarray(state.arrays[name]) for name in ("weights", "items", "offsets"))
        return UserKnn(self, sp.csr_array(parts, (len(parts[2]) - 1, state.facts["n_items"])))


@dataclass(frozen=True)
class UserKnn:
    """An item scores the sum over the nearest users of similarity times their decayed choices of it."""

    config: UserKnnConfig
    choices: sp.csr_array
    """Users by items."""

    @property
    def n_items(self) -> int:
        return int(self.choices.shape[1])

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        step = max(1, min(QUERIES_AT_ONCE, PAIRS_AT_ONCE // max(1, self.choices.shape[0])))
        parts = []
        for start in range(0, len(queries), step):
            block = queries.take(np.arange(start, min(start + step, len(queries))))
            parts.append(rank_sparse(self._nearest(block) @ self.choices, block, k))
        return concatenate(parts, k)

    def state(self) -> State:
        return State(
            arrays={
                "weights": self.choices.data,
                "items": self.choices.indices.astype(np.int32),
                "offsets": self.choices.indptr.astype(np.int64),
            },
            facts={"n_items": self.n_items},
        )

    def _nearest(self, queries: Queries) -> sp.csr_array:
        """Similarities of each query to its nearest users, the asking user left out."""
        history = queries.histories.positives().last(self.config.max_history)
        asked = summed_matrix(decayed(history, queries.day, self.config.history_half_life_days), self.n_items)
        alike = sp.csr_array(asked @ self._unit_columns)
        rows = np.repeat(np.arange(len(queries)), np.diff(alike.indptr))
        lengths = np.sqrt(np.maximum(np.asarray(asked.power(2).sum(axis=1)), 1e-30))
        others = np.flatnonzero(alike.indices != queries.users[rows])
        rows, users, values = rows[others], alike.indices[others], alike.data[others] / lengths[rows[others]]
        best = best_entries(rows, users, values.astype(np.float32), len(queries), self.config.neighbours)
        found = best.items != UNKNOWN
        offsets = np.concatenate([[0], np.cumsum(found.sum(axis=1))])
        return sp.csr_array((best.scores[found], best.items[found], offsets), (len(queries), self.choices.shape[0]))

    @cached_property
    def _unit_columns(self) -> sp.csr_array:
        """Items by users: which user chose which item, each user's column of length 1."""
        n_chosen = np.diff(self.choices.indptr)
        data = np.repeat(1 / np.sqrt(np.maximum(n_chosen, 1)), n_chosen).astype(np.float32)
        unit = sp.csr_array((data, self.choices.indices, self.choices.indptr), self.choices.shape)
        return sp.csr_array(unit.T.tocsr())
