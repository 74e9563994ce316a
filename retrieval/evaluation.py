"""How good each source is on the newest day, which no model has seen.

Global temporal split, full catalogue, no sampling of negatives. `all` asks for everything the day's users chose;
`new` asks, and counts, only items new to the user.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from retrieval import metrics
from retrieval.domain import Candidates, Dataset, Histories, Queries, Ragged
from retrieval.metrics import Estimate
from retrieval.queries import ask
from retrieval.search import is_in
from retrieval.seeds import generator
from retrieval.segments import ItemFacts, target_segments

Pairs = Literal["all", "new"]
"""Everything the day's users chose, or only what was new to them."""


@dataclass(frozen=True, slots=True)
class Holdout:
    """The newest day as questions with their answers: one query a user who chose something."""

    queries: Queries
    targets: Ragged

    @classmethod
    def of(cls, dataset: Dataset, held_out: Histories, max_users: int, seed: int) -> "Holdout":
        """Questions as of the cut: histories end before the day, answers are the day's positives."""
        chosen = held_out.positives().seen()
        users = np.flatnonzero(chosen.lengths > 0)
        if len(users) > max_users:
            users = np.sort(generator(seed, "users").choice(users, max_users, replace=False))
        return cls(ask(dataset, users), chosen.take(users))

    def both(self) -> dict[Pairs, "Holdout"]:
        """The questions for all pairs and for new pairs."""
        return {"all": self, "new": self.new_only()}

    def new_only(self) -> "Holdout":
        """The same users' questions for items they had not chosen before; users without such targets drop out."""
        owners, values = self.targets.owners(), self.targets.values
        is_new = ~is_in(owners, values, self.queries.histories.seen(), len(self.queries.eligible))
        targets = Ragged.from_owners(owners[is_new], values[is_new], len(self.targets))
        users = np.flatnonzero(targets.lengths > 0)
        return Holdout(self.queries.take(users).without_seen(), targets.take(users))


@dataclass(frozen=True, slots=True)
class SegmentScore:
    """One source's quality on one class of items, pairs or users."""

    segment: str
    n_users: int
    """Users with a target in it: the mean is over them."""
    n_targets: int
    recall_at_10: Estimate
    recall_at_100: Estimate


@dataclass(frozen=True, slots=True)
class SourceScore:
    """One source's quality on one kind of pairs; docs/evaluation.md has the formulas."""

    source: str
    pairs: Pairs
    n_users: int
    n_targets: int
    recall_at_10: Estimate
    recall_at_100: Estimate
    ndcg_at_10: Estimate
    ndcg_at_100: Estimate
    mrr_at_10: Estimate
    mrr_at_100: Estimate
    hit_rate_at_10: Estimate
    hit_rate_at_100: Estimate
    novelty_at_10: Estimate
    """Bits of self-information of what is shown: more where it is chosen rarely."""
    novelty_at_100: Estimate
    popularity_at_10: Estimate
    """Percentile of popularity of what is shown, 0 to 1: how far a source leans to what is chosen often."""
    popularity_at_100: Estimate
    coverage_at_10: float
    coverage_at_100: float
    p90_coverage_at_100: float
    """Share of the catalogue that fills nine tenths of all places."""
    fresh_recall_at_100: float | None
    """Recall among targets first seen on the day itself; None when there are none."""
    over_floor: Estimate | None
    """The ratio of recall@100 to that of the floor, on the same users; None where there is no floor to compare with."""
    segments: tuple[SegmentScore, ...]
    """Every class of items, pairs and users that has a target."""


def score(
    source: str,
    pairs: Pairs,
    found: Candidates,
    holdout: Holdout,
    items: ItemFacts,
    seed: int,
    floor: Candidates | None = None,
) -> SourceScore:
    """Every metric of one source's candidates, and how they compare with those of the floor."""
    n_items, targets, rng = len(holdout.queries.eligible), holdout.targets, generator(seed, "bootstrap")
    hit, shown = metrics.hits(found, targets, n_items), metrics.shown(found, n_items, 100)
    kept = {name: part for name, part in target_segments(holdout.queries, targets, items).items() if part.any()}
    general, parts = _by_user(found, hit, targets, items), _by_segment(found, targets, kept, n_items)
    means = metrics.estimates(general | parts, rng)
    return SourceScore(
        source=source,
        pairs=pairs,
        n_users=len(found),
        n_targets=len(targets.values),
        **{name: means[name] for name in general},
        coverage_at_10=metrics.breadth(metrics.shown(found, n_items, 10)),
        coverage_at_100=metrics.breadth(shown),
        p90_coverage_at_100=metrics.breadth(shown, 0.9),
        fresh_recall_at_100=_fresh_recall(found, hit, targets, items.fresh),
        over_floor=None if floor is None else _over_floor(hit, floor, holdout, rng),
        segments=tuple(_segment(name, part, targets, means) for name, part in kept.items()),
    )


def _by_user(
    found: Candidates, hit: np.ndarray, targets: Ragged, items: ItemFacts
) -> dict[str, Float64[np.ndarray, " queries"]]:
    """What the means are over, by the names of their fields."""
    information, percentile = (of(items.n_choices) for of in (metrics.self_information, metrics.popularity_percentile))
    columns = dict[str, np.ndarray]()
    for k in (10, 100):
        columns |= {
            f"recall_at_{k}": metrics.recall(hit, targets, k),
            f"ndcg_at_{k}": metrics.ndcg(hit, targets, k),
            f"mrr_at_{k}": metrics.reciprocal_rank(hit, k),
            f"hit_rate_at_{k}": metrics.hit_rate(hit, k),
            f"novelty_at_{k}": metrics.mean_shown(found, information, k),
            f"popularity_at_{k}": metrics.mean_shown(found, percentile, k),
        }
    return columns


def _by_segment(
    found: Candidates, targets: Ragged, kept: Mapping[str, np.ndarray], n_items: int
) -> dict[str, Float64[np.ndarray, " queries"]]:
    """Each segment's recall at both depths."""
    standing = metrics.places(found, targets, n_items)
    is_named = standing < found.items.shape[1]
    return {
        f"{name}@{k}": metrics.recall_among(is_named & (standing < k), part, targets)
        for name, part in kept.items()
        for k in (10, 100)
    }


def _segment(name: str, kept: np.ndarray, targets: Ragged, means: Mapping[str, Estimate]) -> SegmentScore:
    n_users = len(np.unique(targets.owners()[kept]))
    return SegmentScore(name, n_users, int(kept.sum()), means[f"{name}@10"], means[f"{name}@100"])


def _over_floor(hit: np.ndarray, floor: Candidates, holdout: Holdout, rng: np.random.Generator) -> Estimate | None:
    targets = holdout.targets
    floor_hit = metrics.hits(floor, targets, len(holdout.queries.eligible))
    return metrics.ratio(metrics.recall(hit, targets, 100), metrics.recall(floor_hit, targets, 100), rng)


def _fresh_recall(found: Candidates, hit: np.ndarray, targets: Ragged, fresh: np.ndarray) -> float | None:
    n_fresh = int(fresh[targets.values].sum())
    shown = hit[:, :100] & fresh[found.items[:, :100]]
    return float(shown.sum() / n_fresh) if n_fresh else None
