"""Several sources' rankings into one."""

from collections.abc import Collection, Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field

from retrieval.domain import UNKNOWN, Candidates
from retrieval.rules import FrozenModel

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
        points = np.concatenate(
            [
                np.broadcast_to(self.weight(name) / (self.constant + 1 + np.arange(r.items.shape[1])), r.items.shape)
                for name, r in weighted.items()
            ],
            axis=1,
        )
        return _fused(items, points, k)


def _fused(items: np.ndarray, points: np.ndarray, k: int) -> Candidates:
    """Add up the points of equal items in each row and keep the best k."""
    n_queries, width = items.shape
    order = np.argsort(items, axis=1, kind="stable")
    items, points = np.take_along_axis(items, order, 1), np.take_along_axis(points, order, 1)
    first = np.ones_like(items, bool)
    first[:, 1:] = items[:, 1:] != items[:, :-1]
    groups = np.cumsum(first.ravel()) - 1
    totals = np.bincount(groups, points.ravel())
    flat_items, flat_queries = items.ravel()[first.ravel()], np.repeat(np.arange(n_queries), width)[first.ravel()]
    known = flat_items != UNKNOWN
    flat_items, flat_queries, totals = flat_items[known], flat_queries[known], totals[known]
    best = np.lexsort((flat_items, -totals, flat_queries))
    flat_items, flat_queries, totals = flat_items[best], flat_queries[best], totals[best]
    rank = np.arange(len(flat_queries)) - np.searchsorted(flat_queries, np.arange(n_queries))[flat_queries]
    keep = rank < k
    blended = Candidates.none(n_queries, k)
    blended.items[flat_queries[keep], rank[keep]] = flat_items[keep]
    blended.scores[flat_queries[keep], rank[keep]] = totals[keep]
    return blended
