"""A longer ranking into a shorter one: boosted, capped and diverse. One loop over places, all queries at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64

from retrieval.domain import UNKNOWN, Candidates
from retrieval.search import concatenate

Caps = Sequence[tuple[Int32[np.ndarray, " items"], int]]
"""Each item's value of a field, unknown where it has none, and how many items of one value a list may hold."""
NUMBERS_AT_ONCE = 1 << 18
"""Numbers of candidates' vectors held at once: 1 MB, which stays in a cache for all places."""


def boosted(ranked: Candidates, has_feature: Bool[np.ndarray, " items"], factor: float) -> Candidates:
    """The ranking with the scores of some items multiplied; ties stay in the order they were in."""
    is_found = ranked.items != UNKNOWN
    is_boosted = has_feature[np.where(is_found, ranked.items, 0)] & is_found
    scores = np.where(is_boosted, ranked.scores * np.float32(factor), ranked.scores)
    order = np.argsort(-scores, axis=1, kind="stable")
    return Candidates(np.take_along_axis(ranked.items, order, 1), np.take_along_axis(scores, order, 1))


def chosen(ranked: Candidates, caps: Caps, k: int) -> Candidates:
    """The first k items down the ranking that no cap forbids."""
    choice = _Choice.of(ranked, caps)
    places = np.full((len(ranked), k), UNKNOWN, np.int64)
    for place in range(min(k, ranked.items.shape[1])):
        places[:, place] = choice.take(choice.is_open.argmax(axis=1))
    return _at(ranked, places)


def chosen_for_diversity(
    ranked: Candidates,
    caps: Caps,
    text_rows: Int32[np.ndarray, " items"],
    vectors: Float32[np.ndarray, "texts dim"],
    relevance: float,
    k: int,
) -> Candidates:
    """Place after place the item of the greatest marginal relevance that no cap forbids.

    An item's marginal relevance is lambda s - (1 - lambda) c: s is its score as a share of the query's greatest, c its
    greatest cosine with a chosen item, 0 for the first place. Ties go to the item ranked higher.
    Source: Carbonell and Goldstein, SIGIR 1998.
    """
    step = max(1, NUMBERS_AT_ONCE // max(1, ranked.items.shape[1] * vectors.shape[1]))
    parts = []
    for start in range(0, len(ranked), step):
        block = ranked.take(slice(start, start + step))
        texts = vectors[text_rows[np.where(block.items != UNKNOWN, block.items, 0)]]
        parts.append(_diverse(block, caps, texts, relevance, k))
    return concatenate(parts, k)


def _diverse(
    ranked: Candidates, caps: Caps, texts: Float32[np.ndarray, "queries places dim"], relevance: float, k: int
) -> Candidates:
    choice = _Choice.of(ranked, caps)
    rows, places = np.arange(len(ranked)), np.full((len(ranked), k), UNKNOWN, np.int64)
    greatest = np.maximum(ranked.scores.max(axis=1, keepdims=True, initial=0), np.finfo(np.float32).tiny)
    gain = relevance * np.where(choice.is_open, ranked.scores, 0) / greatest
    nearest = np.zeros(ranked.items.shape, np.float32)
    for place in range(min(k, ranked.items.shape[1])):
        marginal = gain - (1 - relevance) * nearest
        places[:, place] = choice.take(np.where(choice.is_open, marginal, -np.inf).argmax(axis=1))
        latest = texts[rows, np.maximum(places[:, place], 0)]
        near = np.matmul(texts, latest[:, :, None])[:, :, 0]
        nearest = np.maximum(nearest, near) if place else near
    return _at(ranked, places)


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which candidates are taken and which may still be: those of values that are not full."""

    is_open: Bool[np.ndarray, "queries places"]
    is_taken: Bool[np.ndarray, "queries places"]
    values: list[Int32[np.ndarray, "queries places"]]
    """Each candidate's value of each capped field."""
    most: list[int]

    @classmethod
    def of(cls, ranked: Candidates, caps: Caps) -> "_Choice":
        is_found = ranked.items != UNKNOWN
        known = np.where(is_found, ranked.items, 0)
        values = [values[known] for values, _ in caps]
        return cls(is_found, np.zeros_like(is_found), values, [most for _, most in caps])

    def take(self, best: Int64[np.ndarray, " queries"]) -> Int64[np.ndarray, " queries"]:
        """Take a candidate of each query, and close those whose value is full with it; unknown where it is not open."""
        rows = np.arange(len(best))
        is_taken = self.is_open[rows, best]
        self.is_open[rows, best] = False
        self.is_taken[rows, best] |= is_taken
        for values, most in zip(self.values, self.most, strict=True):
            value = values[rows, best][:, None]
            same = (values == value) & (value != UNKNOWN)
            is_full = (same & self.is_taken).sum(axis=1, keepdims=True) >= most
            np.copyto(self.is_open, False, where=same & is_full)
        return np.where(is_taken, best, UNKNOWN)


def _at(ranked: Candidates, places: Int64[np.ndarray, "queries k"]) -> Candidates:
    """The candidates at places of the ranking; padding where the place is unknown."""
    is_found, known = places != UNKNOWN, np.maximum(places, 0)
    if not ranked.items.shape[1]:
        return Candidates.none(*places.shape)
    items, scores = np.take_along_axis(ranked.items, known, 1), np.take_along_axis(ranked.scores, known, 1)
    return Candidates(
        np.where(is_found, items, np.int32(UNKNOWN)), np.where(is_found, scores, np.float32(-np.inf)).astype(np.float32)
    )
