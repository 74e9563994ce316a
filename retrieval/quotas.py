"""Which share of the places each source should get: sources dealt again and again, and the shares that find most."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float64

from retrieval import metrics
from retrieval.blend import BlendConfig
from retrieval.dealing import deal
from retrieval.domain import Candidates, Ragged
from retrieval.metrics import Estimate

N_STEPS = 20
"""Shares of a proposed quota are whole multiples of 1 / N_STEPS: 5 %."""
RISE = 1e-9
"""A recall that is higher by less is the same: rounding must not move places."""
Shares = Mapping[str, float]
"""Each source's share of the places; dealing scales them to sum 1."""


@dataclass(frozen=True, slots=True)
class Hand:
    """Sources' rankings beside what the same users chose, to be dealt again and again."""

    found: Mapping[str, Candidates]
    targets: Ragged
    n_items: int
    k: int
    served: Candidates | None = None
    """What the recipe's own blend and policies show the same users; None where that is the deal by its shares."""

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, users: np.ndarray) -> Self:
        """The same for some of the users."""
        found = {name: ranking.take(users) for name, ranking in self.found.items()}
        served = None if self.served is None else self.served.take(users)
        return type(self)(found, self.targets.take(users), self.n_items, self.k, served)

    def named(self, source: str) -> Bool[np.ndarray, " targets"]:
        """Which targets a source has among its first k."""
        return self._reached(self.found[source].top(self.k))

    def dealt(self, shares: Shares) -> Bool[np.ndarray, " targets"]:
        """Which targets the deal reaches."""
        return self._reached(deal(self.found, shares, self.k))

    def recall(self, shares: Shares) -> Float64[np.ndarray, " users"]:
        """The recall of the deal for each user."""
        return metrics.recall_among(self.dealt(shares), np.ones(len(self.targets.values), bool), self.targets)

    def recall_served(self, present: Shares) -> Float64[np.ndarray, " users"]:
        """The recall of what each user is shown now."""
        if self.served is None:
            return self.recall(present)
        everything = np.ones(len(self.targets.values), bool)
        return metrics.recall_among(self._reached(self.served.top(self.k)), everything, self.targets)

    def mean_recall(self, shares: Shares) -> float:
        """The mean over users; 0 where there are none."""
        return float(self.recall(shares).mean()) if len(self) else 0.0

    def _reached(self, ranking: Candidates) -> Bool[np.ndarray, " targets"]:
        return metrics.places(ranking, self.targets, self.n_items) < ranking.items.shape[1]


@dataclass(frozen=True, slots=True)
class Quota:
    """The shares whose deal finds most, and what they would gain."""

    shares: dict[str, float]
    """Chosen on all users."""
    by_half: tuple[dict[str, float], ...]
    """Chosen on each half of the users: how far they agree is how sure the choice is."""
    gain: Estimate
    """Recall over that of what is served; each half of the users is dealt to by what the other half chose."""


def present_shares(blend: BlendConfig, sources: Iterable[str]) -> dict[str, float]:
    """The shares of a recipe that blends by quota; where it blends otherwise, even ones for all that it counts."""
    weights = {name: blend.weight(name) for name in sources}
    kind: str = blend.kind
    shares = weights if kind == "quota" else {name: float(weight > 0) for name, weight in weights.items()}
    return {name: share / sum(shares.values()) for name, share in shares.items()}


def without(of_sources: Mapping[str, Any], source: str) -> dict[str, Any]:
    """What belongs to the other sources: their shares, or their rankings."""
    return {name: value for name, value in of_sources.items() if name != source}


def with_share(shares: Shares, source: str, share: float) -> dict[str, float]:
    """One source gets a share, the others divide the rest in proportion, or evenly where they had nothing."""
    others = without(shares, source)
    total = sum(others.values())
    rest = {name: (old / total if total else 1 / len(others)) * (1 - share) for name, old in others.items()}
    return {name: rest.get(name, share) for name in shares}


def best_shares(hand: Hand) -> dict[str, float]:
    """The shares that a greedy walk along the marginal curves ends at.

    It begins with all places for the source that finds most alone, and gives 5 % of the places at a time to the source
    that raises the recall of the deal most; it ends when none does, or when the first source has nothing left to give.
    Ties go to the earlier source. Each step deals once a source, to all users at once.
    """
    alone = {name: hand.mean_recall({name: 1.0}) for name in hand.found}
    first = max(alone, key=alone.__getitem__)
    steps, best = {name: N_STEPS * (name == first) for name in hand.found}, alone[first]
    while steps[first] and len(steps) > 1:
        moved = {name: steps | {first: steps[first] - 1, name: steps[name] + 1} for name in steps if name != first}
        reached = {name: hand.mean_recall(shares) for name, shares in moved.items()}
        winner = max(reached, key=reached.__getitem__)
        if reached[winner] <= best + RISE:
            break
        steps, best = moved[winner], reached[winner]
    return {name: n / N_STEPS for name, n in steps.items()}


def chosen_shares(hand: Hand, present: Shares) -> dict[str, float]:
    """Where the greedy walk ends, or the shares given where those find as much: the walk may miss the best."""
    walked = best_shares(hand)
    is_better = hand.mean_recall(walked) > hand.mean_recall(present) + RISE
    return walked if is_better else {name: share / sum(present.values()) for name, share in present.items()}


def propose(hand: Hand, present: Shares, rng: np.random.Generator) -> Quota:
    """The best shares, and their gain over what is served, on users that they were not chosen on.

    Shares chosen and measured on the same users would always look better than they are, so the users are split in two:
    what one half chose deals to the other, and the interval is over all of them, each compared with itself.
    """
    halves = np.array_split(rng.permutation(len(hand)), 2)
    chosen, gains = [], np.zeros(len(hand))
    for choosing, measured in (halves, halves[::-1]):
        chosen.append(chosen_shares(hand.take(np.sort(choosing)), present))
        dealt_to = hand.take(measured)
        gains[measured] = dealt_to.recall(chosen[-1]) - dealt_to.recall_served(present)
    return Quota(chosen_shares(hand, present), tuple(chosen), metrics.estimate(gains, rng))
