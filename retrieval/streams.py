"""Random numbers that belong to a pair of user and item, however many are asked for at once and in what order."""

import numpy as np
from jaxtyping import Float32, Int, UInt64

from retrieval.domain import UNKNOWN, Queries
from retrieval.seeds import derived_seed

GREATEST = 32 * np.log(2)
"""The largest of `exponentials`: 32 bits decide each."""


def mixed(values: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    """Numbers without any order in them, the same for the same value.

    Source: Steele, Lea, Flood, OOPSLA 2014, the finaliser of SplitMix64.
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def item_keys(items: Int[np.ndarray, " items"]) -> UInt64[np.ndarray, " items"]:
    """One number an item row."""
    return mixed(items.astype(np.uint64) + np.uint64(1))


def query_keys(queries: Queries, seed: int) -> UInt64[np.ndarray, " queries"]:
    """One number a user and day; of somebody unknown, one a set of chosen items and day."""
    history = np.zeros(queries.histories.n_events + 1, np.uint64)
    np.cumsum(item_keys(queries.histories.items), out=history[1:])  # sums wrap around, and so do their differences
    fingerprints = history[queries.histories.offsets[1:]] - history[queries.histories.offsets[:-1]]
    users = queries.users.astype(np.int64).astype(np.uint64)
    names = np.where(queries.users == UNKNOWN, mixed(fingerprints + np.uint64(1 << 40)), users)
    day = np.array([derived_seed(seed, "day", queries.day)], np.uint64)
    return mixed(mixed(names) + day)


def exponentials(
    queries: UInt64[np.ndarray, " queries"], items: UInt64[np.ndarray, " items"]
) -> Float32[np.ndarray, "queries items"]:
    """A draw from the exponential distribution of mean 1 for each pair of keys."""
    bits = mixed(queries[:, None] + items[None, :]) >> np.uint64(32)
    return -np.log((bits.astype(np.float32) + np.float32(1)) * np.float32(2**-32))
