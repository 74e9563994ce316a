"""Histories as steps, one a basket: sparse matrices of what came shortly before and after each step."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int64

from retrieval.domain import Histories, offsets_of
from retrieval.interactions import steps_ago

NEGLIGIBLE = 1e-3
"""A step that weighs less than this is not read."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Each user's steps in order of time; what happens at the same second is one step."""

    offsets: Int64[np.ndarray, " users_plus_1"]
    items: sp.csr_array
    """Steps by items: 1 where the step holds the item."""

    def __len__(self) -> int:
        return int(self.items.shape[0])

    @classmethod
    def of(cls, histories: Histories, n_items: int) -> Self:
        owners, ago = histories.owners(), steps_ago(histories)
        is_new = np.ones(histories.n_events, bool)
        is_new[1:] = (owners[1:] != owners[:-1]) | (ago[1:] != ago[:-1])
        steps = np.cumsum(is_new) - 1
        n_steps = int(is_new.sum())
        parts = (np.ones(histories.n_events, np.float32), histories.items.copy(), offsets_of(steps, n_steps))
        items = sp.csr_array(parts, (n_steps, n_items))
        items.sum_duplicates()
        items.data[:] = 1
        return cls(offsets_of(owners[is_new], len(histories)), items)

    def before(self, rows: Int64[np.ndarray, " rows"], decay: float, last: int) -> sp.csr_array:
        """Sum over j = 1..last of decay^(j-1) times the items of the j-th step before each row's, of the same user."""
        return self._window(rows, rows - self.offsets[self._owners(rows)], -1, decay, last)

    def latest(self, users: Int64[np.ndarray, " users"], decay: float, last: int) -> sp.csr_array:
        """The same for the step that each user has yet to take."""
        ends = self.offsets[users + 1]
        return self._window(ends, ends - self.offsets[users], -1, decay, last)

    def following(self, rows: Int64[np.ndarray, " rows"], decay: float, n: int) -> sp.csr_array:
        """Sum over j = 0..n-1 of decay^j times the items of the j-th step from each row's on, of the same user."""
        return self._window(rows - 1, self.offsets[self._owners(rows) + 1] - rows, 1, decay, n)

    def _owners(self, rows: Int64[np.ndarray, " rows"]) -> Int64[np.ndarray, " rows"]:
        return np.searchsorted(self.offsets, rows, side="right") - 1

    def _window(self, rows: np.ndarray, room: np.ndarray, towards: int, decay: float, n: int) -> sp.csr_array:
        """Sum over j = 1..n of decay^(j-1) times the items j steps from each row, as many as there is room for."""
        weights = decay ** np.arange(n, dtype=np.float64)
        weights = weights[weights >= NEGLIGIBLE].astype(np.float32)
        distance = np.arange(1, len(weights) + 1)
        reaches = distance <= room[:, None]
        offsets = np.concatenate([[0], np.cumsum(reaches.sum(axis=1))])
        steps = (rows[:, None] + towards * distance)[reaches]
        values = np.broadcast_to(weights, reaches.shape)[reaches]
        return sp.csr_array((values, steps, offsets), (len(rows), len(self))) @ self.items
