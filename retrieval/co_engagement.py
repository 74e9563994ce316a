"""What goes together: a user's choices within a window of each other, the earlier as trigger and the later as target.

What is chosen at the same second, as a basket is, goes together both ways.
Source: MTMH, arXiv 2506.06239, section 3.1; the window is a choice of ours.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float32, Int32, Int64

from retrieval.domain import DAY, Histories, Ragged


@dataclass(frozen=True, slots=True)
class Together:
    """Pairs of a trigger and a target that one user chose."""

    users: Int64[np.ndarray, " pairs"]
    triggers: Int64[np.ndarray, " pairs"]
    targets: Int64[np.ndarray, " pairs"]
    weights: Float32[np.ndarray, " pairs"]
    """The product of what the two events weigh."""

    def __len__(self) -> int:
        return len(self.triggers)

    def take(self, rows: np.ndarray) -> Self:
        return type(self)(self.users[rows], self.triggers[rows], self.targets[rows], self.weights[rows])

    def by_trigger(self) -> tuple[Int32[np.ndarray, " triggers"], Ragged]:
        """Each trigger once, ascending, and the distinct targets of each."""
        if not len(self):
            return np.zeros(0, np.int32), Ragged.empty(0)
        pairs = np.unique(np.stack([self.triggers, self.targets], axis=1), axis=0)
        triggers, owners = np.unique(pairs[:, 0], return_inverse=True)
        return triggers.astype(np.int32), Ragged.from_owners(owners, pairs[:, 1], len(triggers))


@dataclass(frozen=True, slots=True)
class CoEngagement:
    """For each positive event, the span of the same user's positives that may have triggered it, itself among them."""

    positives: Histories
    owners: Int64[np.ndarray, " events"]
    low: Int64[np.ndarray, " events"]
    high: Int64[np.ndarray, " events"]
    by_time: Int64[np.ndarray, " events"]

    @classmethod
    def of(cls, histories: Histories, window_days: float) -> Self:
        """What goes together within so many days."""
        positives = histories.positives()
        owners, window = positives.owners(), int(window_days * DAY)
        first = int(positives.times.min(initial=0))
        span = int(positives.times.max(initial=0)) - first + window + 1
        # One ascending key: a window that reaches back past a user's first event ends before the user before.
        keys = owners * span + (positives.times - first)
        low = np.searchsorted(keys, np.maximum(keys - window, owners * span))
        by_time = np.argsort(positives.times, kind="stable")
        return cls(positives, owners, low, np.searchsorted(keys, keys, side="right"), by_time)

    def events_of(self, first_day: int, end_day: int) -> Int64[np.ndarray, " _"]:
        """The events of a span of days, its end left out, that have another to go with."""
        times = self.positives.times[self.by_time]
        events = np.sort(self.by_time[slice(*np.searchsorted(times, [first_day * DAY, end_day * DAY]))])
        return events[(self.high - self.low)[events] > 1]

    def sample(self, events: Int64[np.ndarray, " events"], n_each: int, rng: np.random.Generator) -> Together:
        """So many triggers, drawn evenly from its window, for each event as target."""
        targets = np.repeat(events, n_each)
        n_others = (self.high - self.low)[targets] - 1
        return self._together(self.low[targets] + (rng.random(len(targets)) * n_others).astype(np.int64), targets)

    def all_of(self, events: Int64[np.ndarray, " events"]) -> Together:
        """Every trigger of each event as target."""
        n_others = (self.high - self.low)[events] - 1
        targets = np.repeat(events, n_others)
        nth = np.arange(len(targets)) - np.repeat(np.cumsum(n_others) - n_others, n_others)
        return self._together(self.low[targets] + nth, targets)

    def _together(self, places: np.ndarray, targets: np.ndarray) -> Together:
        """Pairs of two items, from places in windows from which the target itself was left out."""
        triggers = places + (places >= targets)
        items, weights = self.positives.items.astype(np.int64), self.positives.weights
        differ = items[triggers] != items[targets]
        triggers, targets = triggers[differ], targets[differ]
        return Together(
            self.owners[targets],
            items[triggers],
            items[targets],
            (weights[triggers] * weights[targets]).astype(np.float32),
        )
