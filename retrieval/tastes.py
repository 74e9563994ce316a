"""What a history says of its user, as sparse bags: which features and which items, lately and over a long time."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float32, Int32

from retrieval.domain import DAY, Histories, Ragged
from retrieval.interactions import decayed, summed_matrix

FORGOTTEN = 6
"""Half-lives after which an event counts no more: it would weigh less than 1 in 64."""
N_COUNTS = 2
"""Numbers that say how much a user has done."""


@dataclass(frozen=True, slots=True)
class Tastes:
    """One batch of users as sparse rows of unit length, and how much they have done."""

    features: tuple[sp.csr_array, ...]
    """Weights of item features, one matrix a half-life."""
    items: sp.csr_array
    """Weights of the items themselves: all users by the first half-life, then all by the next, and so on."""
    profile: sp.csr_array
    """The users' own features, evenly weighted."""
    counts: Float32[np.ndarray, "users counts"]
    """Log counts of all events and of recent ones."""


@dataclass(frozen=True, slots=True)
class ItemFeatures:
    """Which item has which feature, and which field each feature belongs to."""

    matrix: sp.csr_array
    fields: Int32[np.ndarray, " features"]

    @classmethod
    def of(cls, features: Ragged, fields: np.ndarray) -> Self:
        """Each item's features count 1."""
        ones = np.ones(len(features.values), np.float32)
        return cls(sp.csr_array((ones, features.values, features.offsets), (len(features), len(fields))), fields)

    @classmethod
    def none(cls, n_items: int) -> Self:
        """Items that have no features; one column, for a table has one row at least."""
        return cls.of(Ragged.empty(n_items), np.zeros(1, np.int32))

    def chosen(self, items: sp.csr_array) -> sp.csr_array:
        """The features of bags of items: each field by itself damped and of length 1."""
        return _damped(items @ self.matrix, self.fields)


def read_tastes(
    histories: Histories,
    profile: Ragged,
    features: ItemFeatures,
    n_profile: int,
    day: int,
    half_lives: tuple[float, ...],
) -> Tastes:
    """Bags as a day begins; entries are damped by a square root, so that staples do not drown the rest."""
    n_users, n_items = len(histories), features.matrix.shape[0]
    age_days = np.maximum(day * DAY - histories.times, 0) / DAY
    by_half_life = []
    for half_life in half_lives:
        recent = histories.where(age_days <= FORGOTTEN * half_life)
        by_half_life.append(summed_matrix(decayed(recent, day, half_life), n_items))
    ones = np.ones(len(profile.values), np.float32)
    n_recent = np.bincount(histories.owners()[age_days <= half_lives[-1]], minlength=n_users)
    counts = np.log1p(np.stack([np.diff(histories.offsets), n_recent], axis=1)) / 3 - 1
    return Tastes(
        tuple(features.chosen(bag) for bag in by_half_life),
        _damped(sp.vstack(by_half_life, format="csr"), np.zeros(n_items, np.int32)),
        sp.csr_array((ones, profile.values, profile.offsets), (n_users, n_profile)),
        counts.astype(np.float32),
    )


def _damped(bag: sp.csr_array, fields: Int32[np.ndarray, " columns"]) -> sp.csr_array:
    """Signed square roots, each field of each row scaled to length 1."""
    damped = sp.csr_array(bag, dtype=np.float32)
    n_fields = int(fields.max(initial=0)) + 1
    groups = np.repeat(np.arange(damped.shape[0]) * n_fields, np.diff(damped.indptr))
    if n_fields > 1:
        groups += fields[damped.indices]
    roots = np.sqrt(np.abs(damped.data))
    # The square of a square root is the weight itself, whatever its sign.
    squares = np.bincount(groups, np.abs(damped.data), minlength=damped.shape[0] * n_fields)
    scales = (1 / np.maximum(np.sqrt(squares), 1e-9)).astype(np.float32)
    damped.data = np.copysign(roots * scales[groups], damped.data)
    return damped
