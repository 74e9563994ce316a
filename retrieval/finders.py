"""Which sources found an item, and where in their rankings."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int32

from retrieval.domain import Candidates


def ranks_in(
    found: Mapping[str, Candidates], items: Int32[np.ndarray, "queries k"]
) -> Int32[np.ndarray, "queries k sources"]:
    """At which place, from 1, each source found each item; 0 where it did not."""
    ranks = np.zeros((*items.shape, len(found)), np.int32)
    for source, ranking in enumerate(found.values()):
        if items.size and ranking.items.size:
            ranks[:, :, source] = _ranks(ranking.items, items)
    return ranks


def _ranks(
    ranking: Int32[np.ndarray, "queries places"], items: Int32[np.ndarray, "queries k"]
) -> Int32[np.ndarray, "queries k"]:
    """Look the items up among the sorted ones of all queries at once: a query's come behind those of the one before."""
    keys = (ranking.astype(np.int64) << 32) | np.arange(ranking.shape[1])
    keys.sort(axis=1)
    span = max(int(ranking.max()), int(items.max())) + 2
    first = span * np.arange(len(items))[:, None]
    known, wanted = ((keys >> 32) + first).ravel(), (items + first).ravel()
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    places = (keys.ravel()[at] & 0xFFFFFFFF) + 1
    is_found = (known[at] == wanted) & (items.ravel() >= 0)
    return np.where(is_found, places, 0).astype(np.int32).reshape(items.shape)
