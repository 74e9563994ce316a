"""Users, items and pairs by what is known of them, so that a loss of the few does not hide in the mean of the many."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Bool, Int64

from retrieval.domain import Catalogue, Dataset, Histories, People, Queries, Ragged
from retrieval.search import is_in

HISTORY_BOUNDS = (0, 1, 10, 100)
"""Where classes of history lengths begin."""
MOST_VALUES = 20
"""Values of one attribute that become segments, the most frequent first."""


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What is known of each item before the day that is asked about."""

    fresh: Bool[np.ndarray, " items"]
    """First seen on the day itself."""
    tail: Bool[np.ndarray, " items"]
    n_choices: Int64[np.ndarray, " items"]
    """How often it was chosen."""

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """From a dataset that ends before the day."""
        catalogue, histories = dataset.catalogue, dataset.histories
        n_choices = np.bincount(histories.positives().items, minlength=len(catalogue))
        return cls(catalogue.fresh(dataset.day), tail_items(histories, len(catalogue)), n_choices)


def tail_items(histories: Histories, n_items: int) -> Bool[np.ndarray, " items"]:
    """All items but the fewest that make up half of all choices."""
    chosen = np.bincount(histories.positives().items, minlength=n_items)
    order = np.argsort(-chosen, kind="stable")
    head = order[: np.searchsorted(np.cumsum(chosen[order]), chosen.sum() / 2) + 1]
    tail = np.ones(n_items, bool)
    tail[head] = False
    return tail


def fresh_items(catalogue: Catalogue, day: int, n_days: int) -> Bool[np.ndarray, " items"]:
    """Items first seen in the `n_days` days that end with `day`."""
    return catalogue.fresh(day - n_days + 1)


def target_segments(queries: Queries, targets: Ragged, items: ItemFacts) -> dict[str, Bool[np.ndarray, " targets"]]:
    """Which targets belong to each class of items, of pairs and of users' history lengths."""
    owners, values = targets.owners(), targets.values
    again = is_in(owners, values, queries.histories.seen(), len(queries.eligible))
    found = {
        "head items": ~items.tail[values],
        "tail items": items.tail[values],
        "fresh items": items.fresh[values],
        "repeat pairs": again,
        "new pairs": ~again,
    }
    return found | {f"users with {name}": users[owners] for name, users in by_history_length(queries).items()}


def segments(queries: Queries, people: People, fields: Sequence[str]) -> dict[str, Bool[np.ndarray, " queries"]]:
    """Who belongs to each class of history length, and to each value of the attributes named."""
    found = by_history_length(queries)
    for field in fields:
        found |= _by_value(queries, people, field)
    return found


def by_history_length(queries: Queries) -> dict[str, Bool[np.ndarray, " queries"]]:
    """Who belongs to each class of history length; those with no event are the new users."""
    lengths = np.diff(queries.histories.offsets)
    ends = (*HISTORY_BOUNDS[1:], np.iinfo(np.int64).max)
    found = {
        f"{first:,} to {end - 1:,} events" if end < ends[-1] else f"{first:,} events and more": (first <= lengths)
        & (lengths < end)
        for first, end in zip(HISTORY_BOUNDS, ends, strict=True)
    }
    found["no event"] = found.pop("0 to 0 events")
    return found


def _by_value(queries: Queries, people: People, field: str) -> dict[str, Bool[np.ndarray, " queries"]]:
    values = np.flatnonzero(np.asarray(pc.starts_with(people.feature_names.ids, f"{field}=")))
    counts = np.bincount(queries.features.values, minlength=len(people.feature_names))[values]
    often = values[np.argsort(-counts, kind="stable")][:MOST_VALUES]
    owners, features = queries.features.owners(), queries.features.values
    found = {}
    for value, name in zip(often, people.feature_names.names(often), strict=True):
        belongs = np.zeros(len(queries), bool)
        belongs[owners[features == value]] = True
        found[name.replace("=", " ", 1)] = belongs
    return found
