"""Whether fresh items' vectors settle: each cohort followed night after night, beside the items that settled long ago.

Everything is told as a ratio to what established items do in the same nights, so that neither a space that turns, nor
nights that learn much or little, nor the fact that every path ends where it ends can look like settling or its lack.
Source: MTMH (arXiv 2506.06239), 4.5 and Figure 7; the rules are ours, docs/convergence.md has the formulas.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int32, Int64, Shaped

from retrieval.alignment import ENOUGH, Alignment, align
from retrieval.text import unit

MOST_ALIGNED = 4000
"""Established items that a rotation is found on."""
MOST_ANCHORS = 500
"""Established items that are followed beside the fresh ones."""
MOST_OF_COHORT = 500
"""Items of one cohort that are followed."""


@dataclass(frozen=True, slots=True)
class Positions:
    """Where the items of one space were on one night; ids ascend, vectors are of length 1."""

    day: int
    ids: Shaped[np.ndarray, " items"]
    first_seen: Int32[np.ndarray, " items"]
    vectors: Float32[np.ndarray, "items dim"]

    @classmethod
    def of(cls, day: int, ids: Sequence[str], first_seen: np.ndarray, vectors: Float[np.ndarray, "items dim"]) -> Self:
        """From a night's vectors, of whatever length."""
        order = np.argsort(np.asarray(ids, str), kind="stable")
        rows = unit(np.asarray(vectors, np.float32)[order])
        return cls(day, np.asarray(ids, str)[order], first_seen[order].astype(np.int32), rows)

    def take(self, rows: Bool[np.ndarray, " items"] | Int64[np.ndarray, " taken"]) -> Self:
        return type(self)(self.day, self.ids[rows], self.first_seen[rows], self.vectors[rows])

    def established(self, settled_days: int) -> Bool[np.ndarray, " items"]:
        """Which items were first seen more than so many days before."""
        return self.first_seen < self.day - settled_days

    def worth_keeping(self, settled_days: int, seed: int) -> Self:
        """The items that are not older than that, and some established ones: the same items every night."""
        lots, established = _lots(self.ids, seed), self.established(settled_days)
        kept = _lowest(lots, established, MOST_ANCHORS)
        for day in np.unique(self.first_seen[~established]):
            kept |= _lowest(lots, self.first_seen == day, MOST_OF_COHORT)
        return self.take(kept)


def aligned(before: Positions, after: Positions, settled_days: int, seed: int) -> Alignment | None:
    """How one night's space turned into the next one's; None where too few established items tell, or widths differ."""
    if before.vectors.shape[1] != after.vectors.shape[1]:
        return None
    known = before.take(before.established(settled_days))
    ids, ours, theirs = np.intersect1d(known.ids, after.ids, assume_unique=True, return_indices=True)
    if len(ids) < ENOUGH * before.vectors.shape[1]:
        return None
    drawn = np.flatnonzero(_lowest(_lots(ids, seed), np.ones(len(ids), bool), MOST_ALIGNED))
    return align(known.vectors[ours[drawn]], after.vectors[theirs[drawn]])


def _lots(ids: np.ndarray, seed: int) -> np.ndarray:
    """A number for each id that has nothing to do with what else is there."""
    heads = b"".join(hashlib.sha256(f"{seed}/{id_}".encode()).digest()[:8] for id_ in ids.tolist())
    return np.frombuffer(heads, np.uint64)


def _lowest(lots: np.ndarray, among: np.ndarray, most: int) -> np.ndarray:
    rows = np.flatnonzero(among)
    drawn = np.zeros(len(lots), bool)
    drawn[rows[np.argsort(lots[rows], kind="stable")[:most]]] = True
    return drawn


@dataclass(frozen=True, slots=True)
class Lineage:
    """The nights that a night's space came from, oldest first, itself last, and how each turned into the next."""

    nights: tuple[Positions, ...]
    turns: tuple[Alignment, ...]

    def in_last_space(self) -> list[Float64[np.ndarray, "_ dim"]]:
        """Each night's vectors as the last night would have them: x R_k R_(k+1) ... R_(n-1)."""
        turned, found = np.eye(self.nights[-1].vectors.shape[1]), []
        for night, turn in zip(self.nights[::-1], (None, *self.turns[::-1]), strict=True):
            turned = turned if turn is None else turn.rotation @ turned
            found.append(night.vectors.astype(np.float64) @ turned)
        return found[::-1]


@dataclass(frozen=True, slots=True)
class Quartiles:
    """The middle of some distances, and what half of them lie between."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Float64[np.ndarray, " values"]) -> Self:
        return cls(*(float(value) for value in np.quantile(values, (0.25, 0.5, 0.75))))


@dataclass(frozen=True, slots=True)
class Curve:
    """One cohort's way: everything by age in nights, from its first night (0) to the last (n)."""

    cohort: int
    """The day its items were first seen."""
    n_items: int
    n_chosen: int
    """Items that somebody chose before the last night learnt."""
    delta: tuple[Quartiles, ...]
    """Distance to the settled vectors, those of the last night: n + 1 of them, the last 0."""
    established: tuple[float, ...]
    """The same median distance of established items between the same nights."""
    steps: tuple[float, ...]
    """Median distance from each night to the next: n of them."""
    drift: tuple[float, ...]
    """The same of established items."""
    inner: float
    """How much the distances between its chosen items changed, night by night, in all: 0 for rows that nobody moves."""
    inner_established: float
    """The same of established items."""
    distances: Float64[np.ndarray, "items ages"]
    """Each item's distance to its settled vector, by age."""

    @property
    def n_nights(self) -> int:
        return len(self.steps)

    def nights_to(self, part: float) -> float | None:
        """When the median had so much of its way behind it, between nights by a straight line; None for no way."""
        medians = np.array([found.median for found in self.delta])
        left = (1 - part) * medians[0]
        if not self.n_nights or medians[0] == 0:
            return None
        after = int(np.argmax(medians <= left))
        before, fall = after - 1, medians[after - 1] - medians[after]
        return float(before + (medians[before] - left) / fall)


def follow(lineage: Lineage, chosen: Shaped[np.ndarray, " chosen"], settled_days: int) -> Iterator[Curve]:
    """The curve of every cohort that was met on its first night, oldest first; items that went are left out."""
    nights, places = lineage.nights, lineage.in_last_space()
    last = nights[-1]
    for cohort in np.unique(last.first_seen[~last.established(settled_days)]):
        start = next(k for k, night in enumerate(nights) if night.day >= cohort)
        if start or nights[0].day == cohort:
            ids = last.ids[last.first_seen == cohort]
            for night in nights[start:-1]:
                ids = np.intersect1d(ids, night.ids, assume_unique=True)
            if len(ids):
                yield _curve(int(cohort), ids, chosen, nights[start:], places[start:], settled_days)


def _curve(
    cohort: int,
    ids: np.ndarray,
    chosen: np.ndarray,
    nights: Sequence[Positions],
    places: Sequence[np.ndarray],
    settled_days: int,
) -> Curve:
    paths = np.stack([place[np.searchsorted(night.ids, ids)] for night, place in zip(nights, places, strict=True)])
    distances = np.linalg.norm(paths - paths[-1], axis=2).T
    is_chosen = np.isin(ids, chosen)
    ends = [_established(pair, settled_days) for pair in _beside_last(nights, places)]
    steps = [_established(pair, settled_days) for pair in _beside_next(nights, places)]
    return Curve(
        cohort=cohort,
        n_items=len(ids),
        n_chosen=int(is_chosen.sum()),
        delta=tuple(Quartiles.of(column) for column in distances.T),
        established=tuple(_median(np.linalg.norm(then - now, axis=1)) for then, now in ends),
        steps=tuple(_median(np.linalg.norm(now - then, axis=1)) for then, now in pairwise(paths)),
        drift=tuple(_median(np.linalg.norm(then - now, axis=1)) for then, now in steps),
        inner=sum(_inner(then[is_chosen], now[is_chosen]) for then, now in pairwise(paths)),
        inner_established=sum(_inner(then, now) for then, now in steps),
        distances=distances,
    )


def drifts(lineage: Lineage, settled_days: int) -> list[Quartiles]:
    """How far established items moved from each night to the next; nothing where there were none."""
    pairs = (_established(pair, settled_days) for pair in _beside_next(lineage.nights, lineage.in_last_space()))
    return [Quartiles.of(np.linalg.norm(now - then, axis=1)) for then, now in pairs if len(then)]


Pair = tuple[Positions, np.ndarray, Positions, np.ndarray]
"""Two nights and where their items are in the last space."""


def _beside_last(nights: Sequence[Positions], places: Sequence[np.ndarray]) -> Iterator[Pair]:
    return ((night, place, nights[-1], places[-1]) for night, place in zip(nights, places, strict=True))


def _beside_next(nights: Sequence[Positions], places: Sequence[np.ndarray]) -> Iterator[Pair]:
    return ((nights[k], places[k], nights[k + 1], places[k + 1]) for k in range(len(nights) - 1))


def _established(pair: Pair, settled_days: int) -> tuple[np.ndarray, np.ndarray]:
    """Where items that were established on the earlier night were on both."""
    before, then, after, now = pair
    known = before.established(settled_days)
    _, ours, theirs = np.intersect1d(before.ids[known], after.ids, assume_unique=True, return_indices=True)
    return then[known][ours], now[theirs]


def _inner(then: Float64[np.ndarray, "items dim"], now: Float64[np.ndarray, "items dim"]) -> float:
    """Median change of the distance between items that follow each other: no rotation has a part in it."""
    before, after = (np.linalg.norm(place - np.roll(place, 1, axis=0), axis=1) for place in (then, now))
    return _median(np.abs(after - before))


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else 0.0
