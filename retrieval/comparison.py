"""Two systems' answers to the same questions, compared user by user: what changed, and how sure that is.

Intervals are of the paired bootstrap over users: both systems' values of a user are drawn together, so what makes a
user easy or hard for both cancels. Users are drawn by independent Poisson counts, which gives the same intervals and
needs no memory of the draws. Source: Hanley and MacGibbon 2006; for paired tests of retrieval, Sakai, SIGIR 2006.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool, Float64

from retrieval import metrics
from retrieval.blend import BLEND
from retrieval.domain import UNKNOWN, Candidates, Ragged
from retrieval.evaluation import Holdout
from retrieval.metrics import Estimate
from retrieval.release_rules import COVERAGE, FRESH, NDCG, RECALL, SPREAD, TAIL, GateConfig

EVERYBODY = "everybody"
DEPTH = 100
CHUNK = 100
"""Resamples held at once."""
N_SET_RESAMPLES = 60
"""Resamples of what is no mean over users: its interval is taken from their spread."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of two systems on the same users."""

    metric: str
    of: str
    """The source whose answers are compared, or the blend."""
    segment: str
    n_users: int
    live: float
    candidate: float
    change: Estimate
    """Candidate less live, with the interval of the paired bootstrap."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Which items count as fresh and as tail, and which users are which segment."""

    fresh: Bool[np.ndarray, " items"]
    tail: Bool[np.ndarray, " items"]
    segments: Mapping[str, Bool[np.ndarray, " queries"]]


@dataclass(frozen=True, slots=True)
class Column:
    """One metric of both systems for each user, and the users it is defined for."""

    metric: str
    segment: str
    live: Float64[np.ndarray, " queries"]
    candidate: Float64[np.ndarray, " queries"]
    counts: Bool[np.ndarray, " queries"]


def compare_blends(
    live: Candidates,
    candidate: Candidates,
    holdout: Holdout,
    groups: Groups,
    config: GateConfig,
    rng: np.random.Generator,
) -> list[Difference]:
    """Every metric of the gate on everybody, and recall@100 on each segment; none where nobody chose anything."""
    if not len(holdout.targets):
        return []
    columns = list(_columns(live, candidate, holdout, groups))
    changes = _paired(columns, config.n_resamples, config.confidence, rng)
    found = [_difference(column, BLEND, change) for column, change in zip(columns, changes, strict=True)]
    found += _coverages(live, candidate, len(groups.fresh), config.confidence, rng)
    return sorted(found, key=lambda difference: difference.segment != EVERYBODY)


def compare_sources(
    live: Mapping[str, Candidates],
    candidate: Mapping[str, Candidates],
    holdout: Holdout,
    config: GateConfig,
    rng: np.random.Generator,
) -> list[Difference]:
    """The recall@100 of every source that both systems have; none where nobody chose anything."""
    if not len(holdout.targets):
        return []
    names = [name for name in candidate if name in live]
    n_items = len(holdout.queries.eligible)
    columns = [_recall(live[name], candidate[name], holdout.targets, n_items) for name in names]
    changes = _paired(columns, config.n_resamples, config.confidence, rng)
    return [_difference(column, name, change) for name, column, change in zip(names, columns, changes, strict=True)]


def churn(live: Candidates, candidate: Candidates, k: int = 10) -> float:
    """Share of the candidate's first k that the live system does not have among its own, over all users."""
    now, before = candidate.items[:, :k], live.items[:, :k]
    kept = (now[:, :, None] == before[:, None, :]).any(axis=2)
    given = now != UNKNOWN
    return float((given & ~kept).sum() / max(given.sum(), 1))


def vanished(found: Candidates, k: int = DEPTH) -> float:
    """Share of the live release's answers that the candidate's catalogue does not hold: empty places with a score."""
    places, scores = found.items[:, :k], found.scores[:, :k]
    given = ~np.isneginf(scores)
    return float((given & (places == UNKNOWN)).sum() / max(given.sum(), 1))


def score_shift(live: Candidates, candidate: Candidates, k: int = 10) -> float:
    """Greatest distance between the cumulative distributions of both systems' first k scores (Kolmogorov-Smirnov).

    Each system's scores are first centred on their median and scaled by their quartiles: where they begin and how wide
    they are says nothing of a ranking, and every training chooses both anew.
    """
    one, two = (
        np.sort(_standardised(found.scores[:, :k][found.items[:, :k] != UNKNOWN])) for found in (live, candidate)
    )
    if not len(one) or not len(two):
        return float(len(one) != len(two))
    at = np.concatenate([one, two])
    shares = [np.searchsorted(part, at, side="right") / len(part) for part in (one, two)]
    return float(np.abs(shares[0] - shares[1]).max())


def _standardised(scores: np.ndarray) -> np.ndarray:
    if not len(scores):
        return scores
    low, middle, high = np.quantile(scores.astype(np.float64), [0.25, 0.5, 0.75])
    return (scores - middle) / max(high - low, 1e-9)


def _columns(live: Candidates, candidate: Candidates, holdout: Holdout, groups: Groups) -> Iterator[Column]:
    targets, n_items = holdout.targets, len(groups.fresh)
    recall = _recall(live, candidate, targets, n_items)
    yield recall
    gains = [metrics.ndcg(metrics.hits(found, targets, n_items), targets, 10) for found in (live, candidate)]
    yield Column(NDCG, EVERYBODY, gains[0], gains[1], recall.counts)
    for metric, kept in ((FRESH, groups.fresh), (TAIL, groups.tail)):
        column = _recall(live, candidate, _only(targets, kept), n_items, metric)
        if column.counts.any():
            yield column
    for segment, users in groups.segments.items():
        if users.any():
            yield Column(RECALL, segment, recall.live, recall.candidate, users)


def _recall(live: Candidates, candidate: Candidates, targets: Ragged, n_items: int, metric: str = RECALL) -> Column:
    one, two = (metrics.recall(metrics.hits(f, targets, n_items), targets, DEPTH) for f in (live, candidate))
    return Column(metric, EVERYBODY, one, two, targets.lengths > 0)


def _only(targets: Ragged, kept: Bool[np.ndarray, " items"]) -> Ragged:
    chosen = kept[targets.values]
    return Ragged.from_owners(targets.owners()[chosen], targets.values[chosen], len(targets))


def _difference(column: Column, of: str, change: Estimate) -> Difference:
    live, candidate = (float(values[column.counts].mean()) for values in (column.live, column.candidate))
    return Difference(column.metric, of, column.segment, int(column.counts.sum()), live, candidate, change)


def _paired(columns: list[Column], n_resamples: int, confidence: float, rng: np.random.Generator) -> list[Estimate]:
    """The mean change of each column over the users it is defined for, one at least, and its percentile interval."""
    if not columns:
        return []
    masks = np.stack([column.counts for column in columns], axis=1).astype(np.float64)
    gains = np.stack([column.candidate - column.live for column in columns], axis=1) * masks
    means = gains.sum(0) / masks.sum(0)
    drawn = []
    for start in range(0, n_resamples, CHUNK):
        weights = rng.poisson(1.0, (min(CHUNK, n_resamples - start), len(gains))).astype(np.float64)
        present = weights @ masks
        drawn.append(np.divide(weights @ gains, present, out=np.full_like(present, np.nan), where=present > 0))
    low, high = np.nanquantile(np.concatenate(drawn), [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return [Estimate(float(m), float(a), float(b)) for m, a, b in zip(means, low, high, strict=True)]


def _coverages(
    live: Candidates, candidate: Candidates, n_items: int, confidence: float, rng: np.random.Generator
) -> list[Difference]:
    """What depends on all users at once: the interval is as wide as resamples spread, around what was seen."""
    both, n = (live, candidate), len(live)

    def measured(weights: np.ndarray) -> np.ndarray:
        shown = [metrics.shown(found, n_items, DEPTH, weights) for found in both]
        return np.array([[metrics.breadth(counts), metrics.breadth(counts, 0.9)] for counts in shown])

    seen = measured(np.ones(n))
    drawn = np.stack([measured(rng.poisson(1.0, n).astype(np.float64)) for _ in range(N_SET_RESAMPLES)])
    spread = (drawn[:, 1] - drawn[:, 0]).std(axis=0) * NormalDist().inv_cdf((1 + confidence) / 2)
    found = []
    for place, metric in enumerate((COVERAGE, SPREAD)):
        change = float(seen[1, place] - seen[0, place])
        interval = Estimate(change, change - float(spread[place]), change + float(spread[place]))
        found.append(Difference(metric, BLEND, EVERYBODY, n, float(seen[0, place]), float(seen[1, place]), interval))
    return found
