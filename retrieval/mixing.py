"""What each source is worth on the newest day: what it finds, what only it finds, and what its places cost the others.

All is measured on dealt lists (`retrieval.dealing`), whatever the recipe blends by: in a deal every place that a source
gets is one that another does not get, so what it is worth can be read off.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from retrieval import metrics
from retrieval.domain import UNKNOWN, Candidates
from retrieval.metrics import Estimate
from retrieval.progress import advance
from retrieval.quotas import Hand, Quota, Shares, propose, with_share, without

EVERYBODY = "everybody"
CURVE = tuple(step / 10 for step in range(11))
ANY = "any"
WORK = "deal by many shares"
Flags = Bool[np.ndarray, " targets"]


@dataclass(frozen=True, slots=True)
class Point:
    """Recall of the deal where one source has a share and the others divide the rest in proportion."""

    share: float
    recall: float


@dataclass(frozen=True, slots=True)
class SourceWorth:
    """One source among the others, over all users asked."""

    source: str
    share: float
    """Its share of the places, even where the recipe blends otherwise than by quota."""
    n_named: float
    """Items among its first k, mean over users."""
    overlap: dict[str, float]
    """For each other source, the share of this one's places that it names too, mean over users."""
    overlap_with_any: float
    """The share of its places that at least one other source names too."""
    curve: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Worth:
    """What one source finds of one segment."""

    recall: Estimate
    """Of its own first k."""
    only: Estimate
    """Recall of what no other source has among its first k."""
    marginal: Estimate
    """Recall of the deal of all sources less that of the deal without this one, over the same users."""


@dataclass(frozen=True, slots=True)
class SegmentWorth:
    """All sources on one class of items, pairs or users."""

    segment: str
    n_users: int
    n_targets: int
    dealt: Estimate
    """Recall of the deal by the shares of `sources`."""
    union: Estimate
    """Recall of all sources' first k together, with no limit of places: no deal finds more."""
    sources: dict[str, Worth]


@dataclass(frozen=True, slots=True)
class Mix:
    """The night's measurement of its sources."""

    k: int
    n_users: int
    n_targets: int
    sources: tuple[SourceWorth, ...]
    segments: tuple[SegmentWorth, ...]
    """Everybody first."""
    quota: Quota
    served: Estimate
    """Recall of what users are shown now, by the recipe's own blend and policies."""


def measure(hand: Hand, shares: Shares, segments: Mapping[str, Flags], rng: np.random.Generator) -> Mix:
    """All of it, for every source and every segment that has a target."""
    overlaps = overlap(hand.found, hand.n_items, hand.k)
    everybody = {EVERYBODY: np.ones(len(hand.targets.values), bool)}
    kept = everybody | {name: part for name, part in segments.items() if part.any()}
    return Mix(
        k=hand.k,
        n_users=len(hand),
        n_targets=len(hand.targets.values),
        sources=tuple(_sources(hand, shares, overlaps)),
        segments=tuple(_segments(hand, shares, kept, rng)),
        quota=propose(hand, shares, rng),
        served=metrics.estimate(hand.recall_served(shares), rng),
    )


def overlap(found: Mapping[str, Candidates], n_items: int, k: int) -> dict[str, dict[str, float]]:
    """For each source: the share of its places that each other one names too, and under `ANY` that any of them does."""
    named = {name: ranking.top(k).items for name, ranking in found.items()}
    keys = {name: np.arange(len(items))[:, None] * n_items + items for name, items in named.items()}
    matrix = {}
    for name, items in named.items():
        known, shares = items != UNKNOWN, dict[str, float]()
        in_any = np.zeros_like(known)
        for other in named.keys() - {name}:
            in_both = known & np.isin(keys[name], keys[other][named[other] != UNKNOWN])
            in_any |= in_both
            shares[other] = _mean_share(in_both, known)
        matrix[name] = {other: shares[other] for other in named if other in shares} | {ANY: _mean_share(in_any, known)}
    return matrix


def _mean_share(part: Bool[np.ndarray, "users k"], whole: Bool[np.ndarray, "users k"]) -> float:
    """The mean of part / whole over the users who have any of the whole."""
    asked = whole.any(axis=1)
    return float((part[asked].sum(1) / whole[asked].sum(1)).mean()) if asked.any() else 0.0


def _sources(hand: Hand, shares: Shares, overlaps: Mapping[str, Mapping[str, float]]) -> Iterator[SourceWorth]:
    for place, name in enumerate(hand.found, start=1):
        yield _source(hand, shares, name, overlaps[name])
        advance(WORK, place, len(hand.found))


def _source(hand: Hand, shares: Shares, name: str, overlaps: Mapping[str, float]) -> SourceWorth:
    n_named = (hand.found[name].top(hand.k).items != UNKNOWN).sum() / max(len(hand), 1)
    curve = CURVE if len(shares) > 1 else CURVE[-1:]  # one alone has nobody to divide the rest among
    return SourceWorth(
        source=name,
        share=float(shares[name] / sum(shares.values())),
        n_named=float(n_named),
        overlap={other: part for other, part in overlaps.items() if other != ANY},
        overlap_with_any=overlaps[ANY],
        curve=tuple(Point(share, hand.mean_recall(with_share(shares, name, share))) for share in curve),
    )


def _segments(hand: Hand, shares: Shares, kept: Mapping[str, Flags], rng: np.random.Generator) -> list[SegmentWorth]:
    figures = _figures(hand, shares)
    columns = {
        (segment, *figure): metrics.recall_among(reached, part, hand.targets)
        for segment, part in kept.items()
        for figure, reached in figures.items()
    }
    means = metrics.estimates(columns, rng)
    owners = hand.targets.owners()
    return [
        SegmentWorth(
            segment,
            n_users=len(np.unique(owners[part])),
            n_targets=int(part.sum()),
            dealt=means[segment, "dealt"],
            union=means[segment, "union"],
            sources={
                name: Worth(*(means[segment, figure, name] for figure in ("recall", "only", "marginal")))
                for name in hand.found
            },
        )
        for segment, part in kept.items()
    ]


def _figures(hand: Hand, shares: Shares) -> dict[tuple[str, ...], Int64[np.ndarray, " targets"]]:
    """How often each target counts in each figure: once, not at all, or against it."""
    dealt, named = hand.dealt(shares), {name: hand.named(name) for name in hand.found}
    n_naming = np.sum(list(named.values()), axis=0)
    figures: dict[tuple[str, ...], np.ndarray] = {
        ("dealt",): dealt.astype(np.int64),
        ("union",): (n_naming > 0).astype(np.int64),
    }
    for name, flags in named.items():
        figures["recall", name] = flags.astype(np.int64)
        figures["only", name] = (flags & (n_naming == 1)).astype(np.int64)
        figures["marginal", name] = dealt.astype(np.int64) - hand.dealt(without(shares, name))
    return figures
