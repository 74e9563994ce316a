"""Points of the places where items are found, added up over several rankings."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int32

from retrieval.domain import UNKNOWN, Candidates
from retrieval.search import padded

Points = Float64[np.ndarray, " places"] | Float64[np.ndarray, "queries places"]
"""What a place of a ranking is worth: the same for every query, or not."""


def fused(rankings: Sequence[Candidates], points: Sequence[Points], k: int) -> Candidates:
    """The k items of most points over all rankings; ties to the lower item row."""
    items = np.concatenate([ranking.items for ranking in rankings], axis=1)
    keys = (items.astype(np.int64) << 32) | np.arange(items.shape[1])
    keys.sort(axis=1)  # one number for item and place: a plain sort is several times as fast as one that gives an order
    items, worth = (keys >> 32).astype(np.int32), _at(np.concatenate(points, axis=-1), keys & 0xFFFFFFFF)
    is_first = np.ones_like(items, bool)
    is_first[:, 1:] = items[:, 1:] != items[:, :-1]
    totals = worth.copy()
    for places in range(1, len(rankings)):  # a ranking names an item once
        totals[:, :-places] += np.where(items[:, :-places] == items[:, places:], worth[:, places:], 0)
    totals[~is_first | (items == UNKNOWN)] = -np.inf
    return _first(items, totals, k)


def _at(points: Points, places: np.ndarray) -> Float64[np.ndarray, "queries places"]:
    return points[places] if points.ndim == 1 else np.take_along_axis(points, places, 1)


def _first(
    items: Int32[np.ndarray, "queries places"], totals: Float64[np.ndarray, "queries places"], k: int
) -> Candidates:
    """The k places of most points in each row, ties to the earlier; only those that may be among them are sorted."""
    if k < totals.shape[1]:
        least = np.partition(totals, -k, axis=1)[:, -k:].min(axis=1, keepdims=True)
        contends = totals >= least
        width = int(contends.sum(axis=1).max(initial=0))
        places = np.argsort(~contends, axis=1, kind="stable")[:, :width]
        items, totals = np.take_along_axis(items, places, 1), np.take_along_axis(totals, places, 1)
    best = np.argsort(-totals, axis=1, kind="stable")[:, :k]
    totals = np.take_along_axis(totals, best, 1)
    items = np.where(np.isneginf(totals), np.int32(UNKNOWN), np.take_along_axis(items, best, 1))
    return padded(items, totals, k)
