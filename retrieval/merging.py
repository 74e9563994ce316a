"""What sources found into what is shown: the blend, then the policies; deeper where a list stays short."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from jaxtyping import Bool, Int64

from retrieval.blend import BLEND, BlendConfig, RankFusionConfig
from retrieval.calibration import UNCALIBRATED, Calibration
from retrieval.domain import UNKNOWN, Candidates, Queries
from retrieval.fanout import fan_out
from retrieval.policies import Policies
from retrieval.retrievers.protocol import Retriever

DEEPER = 4
"""How many times as many candidates are asked for where caps leave a list short."""


@dataclass(frozen=True, slots=True)
class Merge:
    """How one list is made of what several sources found."""

    blend: BlendConfig = RankFusionConfig()  # noqa: RUF009
    policies: Policies = Policies()  # noqa: RUF009
    calibration: Calibration = UNCALIBRATED

    def depth(self, k: int, n_sources: int) -> int:
        """Candidates asked of each of so many sources for k items: one alone is blended with nothing deeper down."""
        return max(self.policies.pool(k), self.blend.depth if n_sources > 1 else 0)

    def among(self, names: Collection[str]) -> Self:
        """The same of some sources alone."""
        return replace(self, blend=self.blend.among(names))

    def without(self, *policies: str) -> Self:
        """The same less some policies."""
        left = self.policies
        for name in policies:
            left = left.without(name)
        return replace(self, policies=left)

    def plain(self) -> Self:
        """The blend alone."""
        return self.without(*self.policies.names)

    def counted(self, sources: Mapping[str, Retriever]) -> dict[str, Retriever]:
        """The sources that the blend does not leave out."""
        return {name: source for name, source in sources.items() if self.blend.weight(name) > 0}

    def merged(self, found: Mapping[str, Candidates], k: int, pool: int | None = None) -> Candidates:
        """The k items to be shown, chosen from the best `pool` of the blend."""
        ranked = self.blend.blend(found, pool or self.policies.pool(k), self.calibration)
        return self.policies.apply(ranked, k)


@dataclass(frozen=True, slots=True)
class Round:
    """What some questions found at one depth, and the list made of it."""

    rows: Int64[np.ndarray, " rows"]
    """The questions, as rows of all."""
    found: Mapping[str, Candidates]
    merged: Candidates
    pool: int


def rounds(
    sources: Mapping[str, Retriever],
    merge: Merge,
    queries: Queries,
    k: int,
    *,
    found: Mapping[str, Candidates] | None = None,
    threads: bool = True,
) -> Iterator[Round]:
    """The lists of all questions; then again, deeper, those that caps left short while sources had more to give.

    `found` is what the sources found at the merge's depth, where that is known already.
    """
    if not len(queries):
        return
    counted = merge.counted(sources)
    rows, depth, pool = np.arange(len(queries)), merge.depth(k, len(counted)), merge.policies.pool(k)
    if found is None:
        found = fan_out(counted, queries, depth, threads=threads).candidates
    while True:
        merged = merge.merged(found, k, pool)
        yield Round(rows, found, merged, pool)
        is_short = (merged.items == UNKNOWN).any(axis=1) & _has_more(found)
        if not merge.policies.caps or not is_short.any() or depth >= len(queries.eligible):
            return
        rows, depth = rows[is_short], min(DEEPER * depth, len(queries.eligible))
        found, pool = fan_out(counted, queries.take(rows), depth, threads=threads).candidates, depth


def _has_more(found: Mapping[str, Candidates]) -> Bool[np.ndarray, " queries"]:
    """For which questions some source filled all the places it was asked for."""
    return np.any([ranking.items[:, -1] != UNKNOWN for ranking in found.values()], axis=0)


def blended(
    sources: Mapping[str, Retriever],
    merge: Merge,
    queries: Queries,
    k: int,
    *,
    found: Mapping[str, Candidates] | None = None,
    threads: bool = True,
) -> Candidates:
    """The k items to be shown of each question."""
    whole = Candidates.none(len(queries), k)
    for part in rounds(sources, merge, queries, k, found=found, threads=threads):
        whole.items[part.rows], whole.scores[part.rows] = part.merged.items, part.merged.scores
    return whole


def answer(sources: Mapping[str, Retriever], merge: Merge, queries: Queries, k: int) -> dict[str, Candidates]:
    """The candidates of each source and, under `blend`, what is shown of all together."""
    found = fan_out(sources, queries, merge.depth(k, len(sources))).candidates
    shown = blended(sources, merge, queries, k, found=found)
    return {name: ranking.top(k) for name, ranking in found.items()} | {BLEND: shown}
