"""Exhaustive ranking with exclusions: the exact twin of every index, the engine of families that score all items."""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Float32, Int, Int64, UInt64

from retrieval.domain import UNKNOWN, Candidates, Queries, Ragged

ScoreBlock = Callable[[Queries, slice], Float32[np.ndarray, "queries items"]]
"""Scores of one block of queries, which are the given slice of all."""
BLOCK = 256
"""Queries scored at once: 256 rows of 100,000 float32 scores are 100 MB."""
MARKS = 1 << 24
"""Pairs of a row and a value that are marked at once: a byte each."""
GROUPS = 8
"""Groups of items for each place to be filled: more bound the last place closer, fewer are found sooner."""


def rank_all(queries: Queries, k: int, score: ScoreBlock) -> Candidates:
    """Score every item for every query, a block at a time, and keep the best k that are eligible and not excluded."""
    parts = []
    for start in range(0, len(queries), BLOCK):
        part = slice(start, min(start + BLOCK, len(queries)))
        block = queries.take(np.arange(part.start, part.stop))
        scores = score(block, part)
        if not block.eligible.all():
            np.copyto(scores, -np.inf, where=~block.eligible)
        scores[block.excluded.owners(), block.excluded.values] = -np.inf
        parts.append(top_k(scores, k))
    return concatenate(parts, k)


def rank_alike(scores: Float32[np.ndarray, " items"], queries: Queries, k: int) -> Candidates:
    """One ranking for every query, less what each excludes; minus infinity is never a candidate."""
    scores = np.where(queries.eligible, scores, -np.inf).astype(np.float32)
    spare = queries.excluded.lengths
    ranking = top_k(scores[None], k + int(spare.max(initial=0)))
    parts = []
    for start in range(0, len(queries), BLOCK):
        block = queries.take(np.arange(start, min(start + BLOCK, len(queries))))
        first = ranking.top(k + int(spare[start : start + BLOCK].max()))
        shape = (len(block), first.items.shape[1])
        everybodys = Candidates(np.broadcast_to(first.items, shape), np.broadcast_to(first.scores, shape))
        parts.append(keep_allowed(everybodys, block, k))
    return concatenate(parts, k)


def rank_sparse(scores: sp.csr_array, queries: Queries, k: int) -> Candidates:
    """The best k of the positive scores of each query that are eligible and not excluded."""
    rows, items = np.repeat(np.arange(len(queries)), np.diff(scores.indptr)), scores.indices
    values = scores.data.astype(np.float32)
    keep = np.flatnonzero((values > 0) & queries.eligible[items])
    keep = keep[~is_in(rows[keep], items[keep], queries.excluded, len(queries.eligible))]
    return best_entries(rows[keep], items[keep], values[keep], len(queries), k)


def top_k(scores: Float32[np.ndarray, "queries items"], k: int) -> Candidates:
    """The best k of each row, ties to the lower item row; minus infinity is never a candidate."""
    n_queries, n_items = scores.shape
    found = np.flatnonzero(scores >= _bound(scores, k)[:, None])
    return best_entries(found // n_items, found % n_items, scores.ravel()[found], n_queries, k)


def _bound(scores: Float32[np.ndarray, "queries items"], k: int) -> Float32[np.ndarray, " queries"]:
    """What the best k of each row reach at least, and few others do: the k-th largest of the maxima of groups."""
    n_queries, n_items = scores.shape
    lowest = np.finfo(np.float32).min
    n_groups = n_items // max(1, n_items // (GROUPS * k))
    if k >= n_groups:
        return np.full(n_queries, lowest)
    grouped = scores[:, : n_items // n_groups * n_groups].reshape(n_queries, -1, n_groups)
    place = n_groups - k
    return np.maximum(np.partition(grouped.max(axis=1), place, axis=1)[:, place], lowest)


def best_entries(rows: np.ndarray, items: np.ndarray, values: np.ndarray, n_rows: int, k: int) -> Candidates:
    """The best k of each row, ties to the lower item, from entries in ascending order of rows.

    A score and an item make one number whose order is theirs, so that one plain sort, the fastest there is, ranks both.
    """
    bits = (values + np.float32(0)).view(np.uint32).astype(np.uint64)  # adding 0 makes the two zeros equal
    ordered = bits ^ np.where(bits >> 31, 0xFFFFFFFF, 0x80000000).astype(np.uint64)
    starts = np.searchsorted(rows, np.arange(n_rows + 1))
    keys = np.zeros((n_rows, max(k, int(np.diff(starts).max(initial=0)))), np.uint64)
    keys[rows, np.arange(len(rows)) - starts[rows]] = (ordered << 32) | (0xFFFFFFFF - items.astype(np.uint64))
    keys.sort(axis=1)
    return _unpacked(keys[:, : -k - 1 : -1])


def _unpacked(keys: UInt64[np.ndarray, "queries k"]) -> Candidates:
    ordered = keys >> 32
    bits = ordered ^ np.where(ordered >> 31, 0x80000000, 0xFFFFFFFF).astype(np.uint64)
    is_found = keys > 0
    items = np.where(is_found, 0xFFFFFFFF - (keys & 0xFFFFFFFF), 0).astype(np.int32)
    values = bits.astype(np.uint32).view(np.float32)
    return Candidates(np.where(is_found, items, np.int32(UNKNOWN)), np.where(is_found, values, np.float32(-np.inf)))


def concatenate(parts: list[Candidates], k: int) -> Candidates:
    """One batch of candidates from the batches of its parts."""
    if not parts:
        return Candidates(np.zeros((0, k), np.int32), np.zeros((0, k), np.float32))
    return Candidates(np.concatenate([p.items for p in parts]), np.concatenate([p.scores for p in parts]))


def keep_allowed(found: Candidates, queries: Queries, k: int) -> Candidates:
    """The best k of a longer ranking that are eligible and not excluded, in the order found."""
    known = np.where(found.items != UNKNOWN, found.items, 0)
    rows = np.repeat(np.arange(len(found)), found.items.shape[1])
    excluded = is_in(rows, known.ravel(), queries.excluded, len(queries.eligible)).reshape(known.shape)
    allowed = (found.items != UNKNOWN) & queries.eligible[known] & ~excluded
    if allowed[:, :k].all():
        return padded(found.items[:, :k], found.scores[:, :k], k)
    order = np.argsort(~allowed, axis=1, kind="stable")[:, :k]
    items = np.where(np.take_along_axis(allowed, order, 1), np.take_along_axis(found.items, order, 1), UNKNOWN)
    scores = np.where(items != UNKNOWN, np.take_along_axis(found.scores, order, 1), -np.inf)
    return padded(items, scores, k)


def is_in(
    rows: Int64[np.ndarray, " entries"], values: Int[np.ndarray, " entries"], sets: Ragged, n_values: int
) -> Bool[np.ndarray, " entries"]:
    """Whether each entry's value is in the set of its row; rows ascend. Marks cost less than sorting pairs does."""
    if not len(sets.values):
        return np.zeros(len(rows), bool)
    step = max(1, MARKS // n_values)
    marks, found = np.zeros((min(step, len(sets)), n_values), bool), np.empty(len(rows), bool)
    for start in range(0, len(sets), step):
        members = sets.take(np.arange(start, min(start + step, len(sets))))
        part = slice(*np.searchsorted(rows, [start, start + step]))
        owners = members.owners()
        marks[owners, members.values] = True
        found[part] = marks[rows[part] - start, values[part]]
        marks[owners, members.values] = False
    return found


def padded(items: Int[np.ndarray, "queries m"], scores: Float[np.ndarray, "queries m"], k: int) -> Candidates:
    """Rankings filled up to k places where there are fewer."""
    items = np.where(np.isneginf(scores), UNKNOWN, items).astype(np.int32)
    missing = max(0, k - items.shape[1])
    return Candidates(
        np.pad(items, ((0, 0), (0, missing)), constant_values=UNKNOWN),
        np.pad(scores.astype(np.float32), ((0, 0), (0, missing)), constant_values=-np.inf),
    )
