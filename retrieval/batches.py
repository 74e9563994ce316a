"""What each step of the two towers is shown: a day's choices, as that day began, and what stands against them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from retrieval.bags import Bags
from retrieval.domain import DAY, Dataset, Histories
from retrieval.retrievers.two_tower import TowersConfig, TwoTowerConfig
from retrieval.sampling import mixed_sample
from retrieval.tastes import ItemFeatures, read_tastes
from retrieval.trends import Trends, first_choices

Entries = tuple[Int64[np.ndarray, " _"], Int64[np.ndarray, " _"]]
"""Rows and columns."""


@dataclass(frozen=True, slots=True)
class ItemBatch:
    """The candidates of a step; None for what the towers do not look at."""

    items: Int64[np.ndarray, " candidates"]
    log_q: Float32[np.ndarray, " candidates"]
    ids: Bags | None
    is_shown: Float32[np.ndarray, "candidates 1"] | None
    """0 where the id is hidden."""
    features: Bags | None
    text: Float32[np.ndarray, "candidates text"] | None
    trends: Float32[np.ndarray, "candidates trends"] | None


@dataclass(frozen=True, slots=True)
class UserBatch:
    """Who chose something, with what was behind them as the day began."""

    profile: Bags
    features: tuple[Bags, ...]
    """One a half-life; none where the towers do not look at content."""
    items: Bags | None
    """All users by the first half-life, then all by the next, and so on."""
    kept: Float32[np.ndarray, "spans_users dim"] | None
    """What dropout leaves of the items' sums, and how much larger; None without."""
    counts: Float32[np.ndarray, "users counts"]
    weekday: Int64[np.ndarray, " users"]


@dataclass(frozen=True, slots=True)
class Batch:
    """One step."""

    done: float
    """Share of all days, of all epochs, that lie behind it."""
    users: UserBatch
    candidates: ItemBatch
    pairs: Entries
    """User rows of the batch, ascending, and candidates."""
    weights: Float32[np.ndarray, " pairs"]
    ignored: Entries
    """Candidates that are no negatives of a user."""


class Batches:
    """The days of a dataset, in order of time; every draw comes from one generator, in one order."""

    def __init__(
        self, dataset: Dataset, config: TowersConfig, features: ItemFeatures | None, rng: np.random.Generator
    ) -> None:
        self.dataset, self.config, self.features, self.rng = dataset, config, features, rng
        self.positives = dataset.histories.positives()
        self.is_first = first_choices(self.positives)
        self.by_time = np.argsort(self.positives.times, kind="stable")
        self.days = self.positives.times[self.by_time] // DAY
        self.owners = self.positives.owners()

    def of_days(self, days: list[int], n_epochs: int) -> Iterator[Batch]:
        """The steps of all days, again and again."""
        for epoch in range(n_epochs if days else 0):
            trends = self.trends(days[0])
            for index, day in enumerate(days):
                trends.walk_to(day)
                done = (epoch + index / len(days)) / n_epochs
                for users, items in self.pairs(day):
                    yield self.batch(day, users, items, trends, done)

    def trends(self, day: int) -> Trends:
        """How items had been doing when a day began."""
        return Trends.of(self.dataset, self.config.trend_half_lives_days, day)

    def pairs(self, day: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Users, ascending, and what they chose on a day: those with enough behind them, in steps.

        Only what is new to them when the recipe says so. A user's choices stay in one step.
        """
        part = np.sort(self.by_time[slice(*np.searchsorted(self.days, [day, day + 1]))])
        keep = self._n_before(part) >= self.config.min_history
        if self.config.pairs == "new":
            keep &= self.is_first[part]
        users, items = self.owners[part[keep]], self.positives.items[part[keep]]
        if len(items) <= self.config.max_pairs:
            return [(users, items)] if len(items) else []
        part_of = self.rng.integers(0, -(-len(items) // self.config.max_pairs), int(users.max()) + 1)[users]
        return [(users[part_of == n], items[part_of == n]) for n in np.unique(part_of)]

    def _n_before(self, part: Int64[np.ndarray, " events"]) -> Int64[np.ndarray, " events"]:
        """What the user of each event of a day, all of them ascending, had chosen when it began.

        A user's events are in order of time, so all that lie before the first of the day are of days before.
        """
        users, first, places = np.unique(self.owners[part], return_index=True, return_inverse=True)
        return np.asarray((part[first] - self.positives.offsets[users])[places])

    def batch(self, day: int, users: np.ndarray, items: np.ndarray, trends: Trends, done: float) -> Batch:
        """One step of a day."""
        asking, rows = np.unique(users, return_inverse=True)
        histories = self.histories_before(asking, day)
        sample = mixed_sample(items.astype(np.int64), trends.chosen(), self.config.uniform_negatives, self.rng)
        share = np.bincount(rows)[rows] ** -self.config.user_damping
        return Batch(
            done=done,
            users=self._users(asking, self._partly_hidden(histories), day),
            candidates=self._candidates(sample.items, sample.log_q * np.float32(self.config.log_q), trends),
            pairs=(rows.astype(np.int64), np.searchsorted(sample.items, items).astype(np.int64)),
            weights=(share / share.sum()).astype(np.float32),
            ignored=self.seen(histories, sample.items),
        )

    def histories_before(self, users: np.ndarray, day: int) -> Histories:
        """What users had chosen when a day began."""
        taken = self.positives.take(users)
        return taken.where(taken.times < day * DAY)

    def _candidates(self, items: np.ndarray, log_q: np.ndarray, trends: Trends) -> ItemBatch:
        config, catalogue, texts = self.config, self.dataset.catalogue, self.dataset.text_vectors
        ids, shown, text = None, None, None
        if isinstance(config, TwoTowerConfig) and config.looks_at("ids"):
            ids = Bags.one_each(items)
            shown = (self.rng.random((len(items), 1)) >= config.id_dropout).astype(np.float32)
        if self.features is not None and texts is not None:
            text = np.asarray(texts[catalogue.text_rows[items]])
        return ItemBatch(
            items=items,
            log_q=log_q,
            ids=ids,
            is_shown=shown,
            features=None if self.features is None else Bags.of(self.features.matrix[items]),
            text=text,
            trends=trends.features(items) if config.looks_at("trends") else None,
        )

    def _users(self, users: np.ndarray, histories: Histories, day: int) -> UserBatch:
        people, half_lives = self.dataset.people, self.config.history_half_lives_days
        n_items, n_features = len(self.dataset.catalogue), len(people.feature_names)
        profile = people.features.take(users)
        features = self.features or ItemFeatures.none(n_items)
        tastes = read_tastes(histories, profile, features, n_features, day, half_lives)
        has_ids = self.config.looks_at("ids")
        return UserBatch(
            profile=Bags.of(tastes.profile),
            features=tuple(Bags.of(bags) for bags in tastes.features) if self.features is not None else (),
            items=Bags.of(tastes.items) if has_ids else None,
            kept=self._kept(len(half_lives) * len(users)) if has_ids else None,
            counts=tastes.counts,
            weekday=np.full(len(users), day % 7, np.int64),
        )

    def _kept(self, n_sums: int) -> np.ndarray | None:
        config = self.config
        if not isinstance(config, TwoTowerConfig) or not config.dropout:
            return None
        kept = self.rng.random((n_sums, config.dim), dtype=np.float32) >= config.dropout
        return kept.astype(np.float32) / np.float32(1 - config.dropout)

    def _partly_hidden(self, histories: Histories) -> Histories:
        """Some users with nothing behind them, so that what else is known of them has to do."""
        if not self.config.history_dropout:
            return histories
        stays = self.rng.random(len(histories)) >= self.config.history_dropout
        return histories.where(stays[histories.owners()])

    def seen(self, histories: Histories, sampled: np.ndarray) -> Entries:
        """Sampled items that the user had chosen before: no negatives, when models are to find what is new."""
        if self.config.pairs == "all":
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        places = np.minimum(np.searchsorted(sampled, histories.items), len(sampled) - 1)
        found = sampled[places] == histories.items
        return histories.owners()[found], places[found].astype(np.int64)
