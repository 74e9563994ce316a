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
DEEPEST = 16
"""How many times the first depth is the last one: a list that is short even then stays so."""
PLACES_AT_ONCE = 1 << 22
"""Candidates of all sources held at once: 32 MB, and several times that while they are blended."""


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
    """What some questions found at one depth, and the lists made of it."""

    rows: Int64[np.ndarray, " rows"]
    """The questions, as rows of all."""
    found: Mapping[str, Candidates]
    """By source that counts in the blend."""
    merged: Candidates
    pool: int

    @property
    def n_shown(self) -> Int64[np.ndarray, " rows"]:
        """How long each list is."""
        return (self.merged.items != UNKNOWN).sum(axis=1)

    @property
    def may_have_more(self) -> Bool[np.ndarray, " rows"]:
        """Where something may lie behind the pool: it holds all there is where the sources found less than it can."""
        n_found = [(ranking.items != UNKNOWN).sum(axis=1) for ranking in self.found.values()]
        return np.sum(n_found, axis=0) >= self.pool


def rounds(
    sources: Mapping[str, Retriever],
    merge: Merge,
    queries: Queries,
    k: int,
    *,
    found: Mapping[str, Candidates] | None = None,
    threads: bool = True,
) -> Iterator[Round]:
    """The lists of all questions, block by block; then again, deeper, those that caps left short and may yet let grow.

    A list is not looked for deeper once it is as long as the caps allow over what is eligible, once the sources have
    nothing more, or at `DEEPEST` times the first depth.
    `found` is what the sources found at the merge's depth, where that is known already.
    """
    counted = merge.counted(sources)
    known = None if found is None else merge.blend.counted(found)
    rows, depth, pool = np.arange(len(queries)), merge.depth(k, len(counted)), merge.policies.pool(k)
    deepest = min(DEEPEST * depth, int(queries.eligible.sum()))
    while len(rows):
        short = [rows[:0]]
        for block in _blocks(rows, depth * len(counted)):
            if known is None:
                asked = queries if len(block) == len(queries) else queries.take(block)
                here: Mapping[str, Candidates] = fan_out(counted, asked, depth, threads=threads).candidates
            else:
                here = {name: ranking.take(block) for name, ranking in known.items()}
            part = Round(block, here, merge.merged(here, k, pool), pool)
            yield part
            short.append(block[_may_grow(part, merge, queries, k)] if pool < deepest else rows[:0])
        rows, known = np.concatenate(short), None
        depth = pool = min(DEEPER * depth, deepest)


def _blocks(rows: Int64[np.ndarray, " rows"], n_places: int) -> Iterator[Int64[np.ndarray, " block"]]:
    """The rows in turn, so many at once that their places stay within bounds."""
    step = max(1, PLACES_AT_ONCE // max(1, n_places))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def _may_grow(part: Round, merge: Merge, queries: Queries, k: int) -> Bool[np.ndarray, " rows"]:
    """Which lists caps left shorter than they may be, while there may be more to find."""
    n_shown = part.n_shown
    if not merge.policies.caps or (n_shown == k).all():
        return np.zeros(len(n_shown), bool)
    return (n_shown < min(k, merge.policies.room(queries.eligible))) & part.may_have_more


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
