"""How each item has been doing lately, known before a day begins: rates of choices over several spans, and its age."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Bool, Float32, Int64

from retrieval.domain import DAY, Dataset, Histories
from retrieval.exposure import FLOOR, Exposure


@dataclass(slots=True)
class Trends:
    """Decayed counts that walk forward through the days of a log, never looking at the day itself or past it."""

    half_lives: tuple[float, ...]
    """In days, for all choices and again for first choices: those of items new to the user."""
    day: int
    counts: Float32[np.ndarray, "rates items"]
    exposure: Exposure
    _events: "_EventsByDay"

    @classmethod
    def before(
        cls, histories: Histories, n_items: int, first_seen: np.ndarray, half_lives: tuple[float, ...], day: int
    ) -> Self:
        """The trends as they stood when a day began."""
        events = _EventsByDay.of(histories)
        start = min(events.first_day, day)
        counts = np.zeros((2 * len(half_lives), n_items), np.float32)
        exposure = Exposure.none(first_seen.astype(np.int64), start, half_lives[_middle_of(half_lives)])
        trends = cls(half_lives, start, counts, exposure, events)
        trends.walk_to(day)
        return trends

    @classmethod
    def of(cls, dataset: Dataset, half_lives: tuple[float, ...], day: int) -> Self:
        """Those of a dataset's items."""
        catalogue = dataset.catalogue
        return cls.before(dataset.histories, len(catalogue), catalogue.first_seen, half_lives, day)

    def walk_to(self, day: int) -> None:
        """Let the days up to, and without, the one given pass."""
        decay = np.tile(0.5 ** (1 / np.asarray(self.half_lives, np.float32)), 2)[:, None]
        n = len(self.half_lives)
        while self.day < day:
            items, weights, is_first = self._events.of_day(self.day)
            self.counts *= decay
            n_items = self.counts.shape[1]
            choices = np.bincount(items, weights, minlength=n_items).astype(np.float32)
            self.exposure.walk(self.day, choices)
            self.counts[:n] += choices
            self.counts[n:] += np.bincount(items[is_first], weights[is_first], minlength=n_items).astype(np.float32)
            self.day += 1

    def chosen(self) -> Float32[np.ndarray, " items"]:
        """Decayed choices over the middle span: how likely an item is to be somebody's positive."""
        return self.counts[_middle_of(self.half_lives)]

    def worth(self) -> Float32[np.ndarray, " items"]:
        """The logarithms of the choices a day to expect over the floor: near 0 where nobody chooses any longer."""
        return np.log(self.exposure.rates() / np.float32(FLOOR))

    def features(
        self, items: Int64[np.ndarray, " items"] | slice = slice(None)
    ) -> Float32[np.ndarray, "items features"]:
        """Rates of choices and of first choices over each span, as logarithms and square roots, and log age in days."""
        spans = np.asarray(self.half_lives + self.half_lives, np.float32)[:, None]
        rates = self.counts[:, items] * (1 - 0.5 ** (1 / spans)) + FLOOR
        age = np.log1p(np.clip(self.day - self.exposure.first_seen[items], 0, 365)) / 2
        return np.ascontiguousarray(np.concatenate([np.log(rates), np.sqrt(rates), age[None]]).T, dtype=np.float32)


def _middle_of(half_lives: tuple[float, ...]) -> int:
    return len(half_lives) // 2


def n_trend_features(half_lives: tuple[float, ...]) -> int:
    """How many numbers `Trends.features` gives an item."""
    return 4 * len(half_lives) + 1


@dataclass(frozen=True, slots=True)
class _EventsByDay:
    """Positives in order of day."""

    first_day: int
    offsets: Int64[np.ndarray, " days_plus_1"]
    items: np.ndarray
    weights: np.ndarray
    is_first: np.ndarray

    @classmethod
    def of(cls, histories: Histories) -> Self:
        positives = histories.positives()
        if not positives.n_events:
            return cls(1 << 30, np.zeros(1, np.int64), positives.items, positives.weights, np.zeros(0, bool))
        days = positives.times // DAY
        order = np.argsort(days, kind="stable")
        first_day, last_day = int(days.min()), int(days.max())
        offsets = np.searchsorted(days[order], np.arange(first_day, last_day + 2))
        is_first = first_choices(positives)
        return cls(first_day, offsets, positives.items[order], positives.weights[order], is_first[order])

    def of_day(self, day: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        index = day - self.first_day
        inside = 0 <= index < len(self.offsets) - 1
        part = slice(self.offsets[index], self.offsets[index + 1]) if inside else slice(0, 0)
        return self.items[part], self.weights[part], self.is_first[part]


def first_choices(histories: Histories) -> Bool[np.ndarray, " events"]:
    """Which events are the user's first with their item."""
    owners = histories.owners()
    order = np.lexsort((np.arange(histories.n_events), histories.items, owners))
    is_first = np.ones(histories.n_events, bool)
    same = (owners[order][1:] == owners[order][:-1]) & (histories.items[order][1:] == histories.items[order][:-1])
    is_first[order[1:][same]] = False
    return is_first
