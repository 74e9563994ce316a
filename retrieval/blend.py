"""Several sources' rankings into one."""

from collections.abc import Collection, Mapping
from typing import Annotated, Literal, Self

import numpy as np
from jaxtyping import Float64, Int32
from pydantic import Field

from retrieval.domain import UNKNOWN, Candidates
from retrieval.rules import FrozenModel
from retrieval.search import padded

BLEND = "blend"
"""The name under which the blend of all sources is measured and asked for."""


class BlendConfig(FrozenModel):
    """Weighted reciprocal rank fusion: an item scores the sum over sources of weight / (constant + rank).

    Source: Cormack, Clarke and Buettcher, SIGIR 2009, with a weight a source.
    """

    kind: Literal["rrf"] = "rrf"
    constant: float = Field(default=60.0, ge=0)
    """Damps the lead of first ranks."""
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Weight by source; 1 where not named, 0 leaves a source out of the blend."""
    depth: int = Field(default=300, ge=1)
    """Candidates taken of each source."""

    def weight(self, name: str) -> float:
        """How much a source counts."""
        return self.weights.get(name, 1.0)

    def among(self, names: Collection[str]) -> Self:
        """The blend of some sources alone; if it leaves all of these out, they count the same."""
        weights = {name: self.weight(name) for name in names}
        return self.model_copy(update={"weights": weights if any(weights.values()) else {}})

    def blend(self, found: Mapping[str, Candidates], k: int) -> Candidates:
        """The best k items over all sources; ties go to the lower item row."""
        weighted = {name: ranking for name, ranking in found.items() if self.weight(name) > 0}
        items = np.concatenate([ranking.items for ranking in weighted.values()], axis=1)
        points = [
            self.weight(name) / (self.constant + 1 + np.arange(ranking.items.shape[1]))
            for name, ranking in weighted.items()
        ]
        return _fused(items, np.concatenate(points), len(weighted), k)


def _fused(
    items: Int32[np.ndarray, "queries places"], points: Float64[np.ndarray, " places"], n_sources: int, k: int
) -> Candidates:
    """Add up the points of the places where equal items are in each row and keep the best k."""
    keys = (items.astype(np.int64) << 32) | np.arange(len(points))
    keys.sort(axis=1)  # one number for item and place: a plain sort is several times as fast as one that gives an order
    items, points = (keys >> 32).astype(np.int32), points[keys & 0xFFFFFFFF]
    is_first = np.ones_like(items, bool)
    is_first[:, 1:] = items[:, 1:] != items[:, :-1]
    totals = points.copy()
    for places in range(1, n_sources):  # a source names an item once
        totals[:, :-places] += np.where(items[:, :-places] == items[:, places:], points[:, places:], 0)
    totals[~is_first | (items == UNKNOWN)] = -np.inf
    return _first(items, totals, k)


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
