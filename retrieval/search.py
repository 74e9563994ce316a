"""Exhaustive ranking with exclusions: the exact twin of every index, the engine of families that score all items."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Int, Int64

from retrieval.domain import UNKNOWN, Candidates, Queries

ScoreBlock = Callable[[Queries, slice], Float32[np.ndarray, "queries items"]]
"""Scores of one block of queries, which are the given slice of all."""
BLOCK = 256
"""Queries scored at once: 256 rows of 100,000 float32 scores are 100 MB."""


def rank_all(queries: Queries, k: int, score: ScoreBlock) -> Candidates:
    """Score every item for every query, a block at a time, and keep the best k that are eligible and not excluded."""
    parts = []
    for start in range(0, len(queries), BLOCK):
        part = slice(start, min(start + BLOCK, len(queries)))
        block = queries.take(np.arange(part.start, part.stop))
        scores = score(block, part)
        scores[:, ~block.eligible] = -np.inf
        scores[block.excluded.owners(), block.excluded.values] = -np.inf
        parts.append(top_k(scores, k))
    return concatenate(parts, k)


def top_k(scores: Float32[np.ndarray, "queries items"], k: int) -> Candidates:
    """The best k of each row, ties to the lower item row; minus infinity is never a candidate."""
    n = scores.shape[1]
    if k < n:
        items = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        _settle_ties(scores, items)
    else:
        items = np.broadcast_to(np.arange(n), scores.shape)
    kept = np.take_along_axis(scores, items, axis=1)
    order = np.lexsort((items, -kept), axis=1)
    return _padded(np.take_along_axis(items, order, axis=1), np.take_along_axis(kept, order, axis=1), k)


def _settle_ties(scores: Float32[np.ndarray, "queries items"], items: Int64[np.ndarray, "queries k"]) -> None:
    """Where the last place is shared, give it to the lowest item rows, in `items` itself."""
    k = items.shape[1]
    least = np.take_along_axis(scores, items, axis=1).min(axis=1)
    shared = (np.count_nonzero(scores >= least[:, None], axis=1) > k) & (least > -np.inf)
    for row in np.flatnonzero(shared):
        above, equal = np.flatnonzero(scores[row] > least[row]), np.flatnonzero(scores[row] == least[row])
        items[row] = np.concatenate([above, equal[: k - len(above)]])


def concatenate(parts: list[Candidates], k: int) -> Candidates:
    """One batch of candidates from the batches of its parts."""
    if not parts:
        return Candidates(np.zeros((0, k), np.int32), np.zeros((0, k), np.float32))
    return Candidates(np.concatenate([p.items for p in parts]), np.concatenate([p.scores for p in parts]))


def keep_allowed(found: Candidates, queries: Queries, k: int) -> Candidates:
    """The best k of a longer ranking that are eligible and not excluded, in the order found."""
    n_items = len(queries.eligible)
    known = found.items != UNKNOWN
    rows = np.arange(len(found))[:, None] * n_items + np.where(known, found.items, 0)
    excluded = queries.excluded.owners() * n_items + queries.excluded.values
    allowed = known & queries.eligible[np.where(known, found.items, 0)] & ~np.isin(rows, excluded)
    order = np.argsort(~allowed, axis=1, kind="stable")
    items = np.where(np.take_along_axis(allowed, order, 1), np.take_along_axis(found.items, order, 1), UNKNOWN)
    scores = np.where(items != UNKNOWN, np.take_along_axis(found.scores, order, 1), -np.inf)
    return _padded(items[:, :k], scores[:, :k], k)


def _padded(items: Int[np.ndarray, "queries m"], scores: Float32[np.ndarray, "queries m"], k: int) -> Candidates:
    items = np.where(np.isneginf(scores), UNKNOWN, items).astype(np.int32)
    missing = max(0, k - items.shape[1])
    return Candidates(
        np.pad(items, ((0, 0), (0, missing)), constant_values=UNKNOWN),
        np.pad(scores.astype(np.float32), ((0, 0), (0, missing)), constant_values=-np.inf),
    )
