"""The values that retrieval is about: ragged rows, the catalogue, histories, queries and candidates.

A *row* is an internal number; an *id* is the caller's own and lives in the `Catalogue` and the `People` alone.
Days are counted from 1970-01-01 and times are seconds from it, both in UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float32, Int32, Int64

from retrieval.vocabulary import Vocabulary

DAY = 86_400
"""Seconds in a day."""
FOREVER = np.iinfo(np.int32).max
NEVER = np.iinfo(np.int32).min
UNKNOWN = -1
"""The row of a user or item that the vocabulary does not hold, and the padding of short rankings."""


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of different lengths, stored flat: row i is `values[offsets[i]:offsets[i + 1]]`."""

    offsets: Int64[np.ndarray, " rows_plus_1"]
    values: Int32[np.ndarray, " entries"]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Int64[np.ndarray, " rows"]:
        return np.diff(self.offsets)

    def owners(self) -> Int64[np.ndarray, " entries"]:
        """The row that each entry belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def row(self, index: int) -> Int32[np.ndarray, " length"]:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def take(self, rows: Int32[np.ndarray, " taken"] | Int64[np.ndarray, " taken"]) -> Self:
        """The rows asked for, in that order; an unknown row is empty."""
        offsets, entries = ragged_entries(self.offsets, rows)
        return replace(self, offsets=offsets, values=self.values[entries])

    @classmethod
    def empty(cls, n_rows: int) -> Self:
        return cls(np.zeros(n_rows + 1, np.int64), np.zeros(0, np.int32))

    @classmethod
    def from_owners(cls, owners: np.ndarray, values: np.ndarray, n_rows: int) -> Self:
        """Group `values` by the row in `owners`, which must ascend."""
        return cls(offsets_of(owners, n_rows), values.astype(np.int32, copy=False))


def offsets_of(owners: np.ndarray, n_rows: int) -> Int64[np.ndarray, " rows_plus_1"]:
    """The offsets of rows whose ascending owners are given."""
    offsets = np.zeros(n_rows + 1, np.int64)
    np.cumsum(np.bincount(owners, minlength=n_rows), out=offsets[1:])
    return offsets


def ragged_entries(
    offsets: Int64[np.ndarray, " rows_plus_1"], rows: np.ndarray
) -> tuple[Int64[np.ndarray, " taken_plus_1"], Int64[np.ndarray, " entries"]]:
    """New offsets, and which old entries they hold, when `rows` are taken; unknown rows are empty."""
    known = rows != UNKNOWN
    starts = np.where(known, offsets[rows], 0)
    lengths = np.where(known, offsets[rows + 1] - offsets[rows], 0)
    taken = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(lengths, out=taken[1:])
    entries = np.arange(taken[-1]) + np.repeat(starts - taken[:-1], lengths)
    return taken, entries


@dataclass(frozen=True, slots=True)
class Histories:
    """What each user did, in order of time: one row a user, oldest first."""

    offsets: Int64[np.ndarray, " users_plus_1"]
    items: Int32[np.ndarray, " events"]
    weights: Float32[np.ndarray, " events"]
    """Signed: what the event's action says about taste; negative for a dislike."""
    times: Int64[np.ndarray, " events"]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_events(self) -> int:
        return len(self.items)

    def owners(self) -> Int64[np.ndarray, " events"]:
        """The user row of each event."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def take(self, users: np.ndarray) -> Self:
        """The histories of the users asked for, in that order; an unknown user's is empty."""
        offsets, entries = ragged_entries(self.offsets, users)
        return type(self)(offsets, self.items[entries], self.weights[entries], self.times[entries])

    def where(self, keep: Bool[np.ndarray, " events"]) -> Self:
        """The same users with only the events to keep."""
        offsets = np.zeros(len(self.offsets), np.int64)
        np.cumsum(keep, out=(running := np.zeros(self.n_events + 1, np.int64))[1:])
        offsets[:] = running[self.offsets]
        return type(self)(offsets, self.items[keep], self.weights[keep], self.times[keep])

    def last(self, n: int) -> Self:
        """The newest `n` events of each user."""
        ends = np.repeat(self.offsets[1:], np.diff(self.offsets))
        return self.where(np.arange(self.n_events) >= ends - n)

    def positives(self) -> Self:
        return self.where(self.weights > 0)

    def counting(self) -> Self:
        """The same events, each of weight 1."""
        return replace(self, weights=np.ones(self.n_events, np.float32))

    def seen(self) -> Ragged:
        """The distinct items of each user's history, ascending."""
        owners, items = self.owners(), self.items
        pairs = np.unique(np.stack([owners, items], axis=1), axis=0) if len(items) else np.zeros((0, 2), np.int64)
        return Ragged.from_owners(pairs[:, 0], pairs[:, 1], len(self))

    @classmethod
    def empty(cls, n_users: int) -> Self:
        none = np.zeros(0, np.int32)
        return cls(np.zeros(n_users + 1, np.int64), none, none.astype(np.float32), none.astype(np.int64))

    @classmethod
    def build(cls, users: np.ndarray, items: np.ndarray, weights: np.ndarray, times: np.ndarray, n_users: int) -> Self:
        """Order events by user, then time, then item, so that equal logs always give equal histories."""
        order = np.lexsort((items, times, users))
        return cls(
            offsets_of(users[order], n_users),
            items[order].astype(np.int32),
            weights[order].astype(np.float32),
            times[order].astype(np.int64),
        )


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every item known on a day: one row an item, ascending by id."""

    ids: Vocabulary
    features: Ragged
    """Each item's topics and attributes, as rows of `feature_names`."""
    feature_names: Vocabulary
    topics: Ragged
    """Each item's topics from broad to narrow, as rows of `topic_names`."""
    topic_names: Vocabulary
    text_rows: Int32[np.ndarray, " items"]
    """Which of the distinct texts an item has: products that read alike share one vector."""
    texts: pa.StringArray
    first_seen: Int32[np.ndarray, " items"]
    available_from: Int32[np.ndarray, " items"]
    available_until: Int32[np.ndarray, " items"]

    def __len__(self) -> int:
        return len(self.ids)

    def feature_fields(self) -> Int32[np.ndarray, " features"]:
        """Which field each feature is a value of: equal numbers are equal names before the `=`."""
        fields = pc.list_element(pc.split_pattern(self.feature_names.ids, "=", max_splits=1), 0)
        return np.asarray(pc.index_in(fields, value_set=pc.unique(fields)), dtype=np.int32)

    def eligible(self, day: int) -> Bool[np.ndarray, " items"]:
        """Which items may be recommended on a day."""
        return (self.available_from <= day) & (day <= self.available_until)

    def blocking(self, ids: Sequence[str], topics: Sequence[str]) -> Self:
        """The same catalogue with some items, and all items of some topics, never available."""
        blocked = np.zeros(len(self), bool)
        rows = self.ids.rows(list(ids))
        blocked[rows[rows != UNKNOWN]] = True
        is_topic = np.isin(self.topics.values, self.topic_names.rows(list(topics)))
        blocked[self.topics.owners()[is_topic]] = True
        return replace(self, available_until=np.where(blocked, NEVER, self.available_until).astype(np.int32))

    def fresh(self, day: int) -> Bool[np.ndarray, " items"]:
        """Which items were first seen on or after a day."""
        return self.first_seen >= day


@dataclass(frozen=True, slots=True)
class People:
    """Every user known on a day: one row a user, ascending by id."""

    ids: Vocabulary
    features: Ragged
    """Each user's attributes and usual context, as rows of `feature_names`."""
    feature_names: Vocabulary

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a model may learn from: everything known on a day, events strictly before the cut."""

    day: int
    """The day held out: the first that is not in `histories`."""
    catalogue: Catalogue
    people: People
    histories: Histories
    text_vectors: Float32[np.ndarray, "texts dim"] | None = None
    """One unit vector a distinct text, from the content encoder."""

    def __post_init__(self) -> None:
        if self.histories.n_events and self.histories.times.max() >= self.day * DAY:
            raise ValueError(f"a dataset for day {self.day} holds events on or after it")


@dataclass(frozen=True, slots=True)
class Queries:
    """One batch of questions: who asks, with what behind them, and when.

    A family ignores what it has no use for and refuses what it cannot do without.
    """

    users: Int32[np.ndarray, " queries"]
    histories: Histories
    features: Ragged
    day: int
    eligible: Bool[np.ndarray, " items"]
    excluded: Ragged
    """Items that an answer must not hold, such as those the user has already bought."""

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: np.ndarray) -> Self:
        return replace(
            self,
            users=self.users[rows],
            histories=self.histories.take(rows),
            features=self.features.take(rows),
            excluded=self.excluded.take(rows),
        )

    def without_seen(self) -> Self:
        """The same questions, asking only for items new to the user."""
        return replace(self, excluded=self.histories.seen())


@dataclass(frozen=True, slots=True)
class Candidates:
    """Ranked items, best first; short rankings are padded with `UNKNOWN` and minus infinity."""

    items: Int32[np.ndarray, "queries k"]
    scores: Float32[np.ndarray, "queries k"]

    def __len__(self) -> int:
        return len(self.items)

    def top(self, k: int) -> Self:
        return type(self)(self.items[:, :k], self.scores[:, :k])

    def take(self, rows: np.ndarray | slice) -> Self:
        return type(self)(self.items[rows], self.scores[rows])

    @classmethod
    def none(cls, n_queries: int, k: int) -> Self:
        """Nothing found for anybody."""
        return cls(np.full((n_queries, k), UNKNOWN, np.int32), np.full((n_queries, k), -np.inf, np.float32))


@dataclass(frozen=True, slots=True)
class State:
    """A fitted model as plain values: arrays, JSON and ONNX bytes, never pickle."""

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)
    graphs: dict[str, bytes] = field(default_factory=dict)
    """ONNX models by name."""
    strings: dict[str, pa.StringArray] = field(default_factory=dict)
