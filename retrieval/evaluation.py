"""How good each source is on the newest day, which no model has seen.

Global temporal split, full catalogue, no sampling of negatives. `all` asks for everything the day's users chose;
`new` asks, and counts, only items new to the user.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from retrieval import metrics
from retrieval.domain import Candidates, Dataset, Histories, Queries, Ragged
from retrieval.metrics import Estimate
from retrieval.queries import ask
from retrieval.seeds import generator

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
        n_items = len(self.queries.eligible)
        seen = self.queries.histories.seen()
        owners, values = self.targets.owners(), self.targets.values
        is_new = ~np.isin(owners * n_items + values, seen.owners() * n_items + seen.values)
        targets = Ragged.from_owners(owners[is_new], values[is_new], len(self.targets))
        users = np.flatnonzero(targets.lengths > 0)
        return Holdout(self.queries.take(users).without_seen(), targets.take(users))


@dataclass(frozen=True, slots=True)
class SourceScore:
    """One source's quality on one kind of pairs."""

    source: str
    pairs: Pairs
    n_users: int
    n_targets: int
    recall_at_10: Estimate
    recall_at_100: Estimate
    ndcg_at_10: Estimate
    coverage_at_100: float
    p90_coverage_at_100: float
    """Share of the catalogue that fills nine tenths of all places."""
    fresh_recall_at_100: float | None
    """Recall among targets first seen on the day itself; None when there are none."""
    over_floor: Estimate | None
    """The ratio of recall@100 to that of the floor, on the same users; None where there is no floor to compare with."""


def score(
    source: str,
    pairs: Pairs,
    found: Candidates,
    holdout: Holdout,
    fresh: np.ndarray,
    seed: int,
    floor: Candidates | None = None,
) -> SourceScore:
    """Every metric of one source's candidates, and how they compare with those of the floor."""
    n_items = len(holdout.queries.eligible)
    hit = metrics.hits(found, holdout.targets, n_items)
    rng, shown = generator(seed, "bootstrap"), metrics.shown(found, n_items, 100)
    deep = metrics.recall(hit, holdout.targets, 100)
    return SourceScore(
        source=source,
        pairs=pairs,
        n_users=len(found),
        n_targets=len(holdout.targets.values),
        recall_at_10=metrics.estimate(metrics.recall(hit, holdout.targets, 10), rng),
        recall_at_100=metrics.estimate(deep, rng),
        ndcg_at_10=metrics.estimate(metrics.ndcg(hit, holdout.targets, 10), rng),
        coverage_at_100=metrics.breadth(shown),
        p90_coverage_at_100=metrics.breadth(shown, 0.9),
        fresh_recall_at_100=_fresh_recall(found, hit, holdout.targets, fresh),
        over_floor=None if floor is None else metrics.ratio(deep, _deep_recall(floor, holdout), rng),
    )


def _deep_recall(found: Candidates, holdout: Holdout) -> np.ndarray:
    hit = metrics.hits(found, holdout.targets, len(holdout.queries.eligible))
    return metrics.recall(hit, holdout.targets, 100)


def _fresh_recall(found: Candidates, hit: np.ndarray, targets: Ragged, fresh: np.ndarray) -> float | None:
    n_fresh = int(fresh[targets.values].sum())
    shown = hit[:, :100] & fresh[found.items[:, :100]]
    return float(shown.sum() / n_fresh) if n_fresh else None
