"""What a history says of its user, as sparse bags: which features and which items, lately and over a long time."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float32

from retrieval.domain import Histories, Ragged

DAY = 86_400
N_COUNTS = 2


@dataclass(frozen=True, slots=True)
class Tastes:
    """One batch of users as sparse rows of unit length, and how much they have done."""

    features: tuple[sp.csr_array, ...]
    """Weights of item features, one matrix a half-life."""
    items: sp.csr_array
    """Weights of the items themselves, by the longest half-life."""
    profile: sp.csr_array
    """The users' own features, evenly weighted."""
    counts: Float32[np.ndarray, "users counts"]
    """Log counts of all events and of recent ones."""


def read_tastes(
    histories: Histories, profile: Ragged, item_features: sp.csr_array, n_profile: int, day: int, half_lives: tuple[float, ...]
) -> Tastes:
    """Bags as a day begins; entries are damped by a square root, so that staples do not drown the rest."""
    n_users, (n_items, _) = len(histories), item_features.shape
    age_days = np.maximum(day * DAY - histories.times, 0) / DAY
    by_half_life = []
    for half_life in half_lives:
        weights = (histories.weights * 0.5 ** (age_days / half_life)).astype(np.float32)
        # Copies: adding up duplicates happens in place, and histories are not ours to change.
        bag = sp.csr_array((weights, histories.items.copy(), histories.offsets.copy()), (n_users, n_items))
        bag.sum_duplicates()
        by_half_life.append(bag)
    ones = np.ones(len(profile.values), np.float32)
    recent = np.bincount(histories.owners()[age_days <= half_lives[-1]], minlength=n_users)
    counts = np.log1p(np.stack([np.diff(histories.offsets), recent], axis=1)) / 3 - 1
    return Tastes(
        tuple(_damped(bag @ item_features) for bag in by_half_life),
        _damped(by_half_life[0]),
        _damped(sp.csr_array((ones, profile.values, profile.offsets), (n_users, n_profile))),
        counts.astype(np.float32),
    )


def feature_matrix(features: Ragged, n_features: int) -> sp.csr_array:
    """Which item has which feature, each item's features summing to length 1."""
    ones = np.ones(len(features.values), np.float32)
    return _damped(sp.csr_array((ones, features.values, features.offsets), (len(features), n_features)))


def _damped(bag: sp.csr_array) -> sp.csr_array:
    """Signed square roots, scaled to rows of length 1."""
    bag = sp.csr_array(bag, dtype=np.float32)
    bag.data = np.sign(bag.data) * np.sqrt(np.abs(bag.data))
    squares = sp.csr_array((bag.data**2, bag.indices, bag.indptr), bag.shape).sum(axis=1)
    lengths = np.maximum(np.sqrt(squares), 1e-9)
    bag.data = (bag.data / np.repeat(lengths, np.diff(bag.indptr))).astype(np.float32)
    return bag
