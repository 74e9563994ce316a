"""Questions from what is known of users, and about items."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Bool, Int, Int32

from retrieval.domain import DAY, UNKNOWN, Dataset, Histories, People, Queries, Ragged, offsets_of


def ask(dataset: Dataset, users: np.ndarray) -> Queries:
    """The questions of known users with all that is known of them."""
    return Queries(
        users=users.astype(np.int32),
        histories=dataset.histories.take(users),
        features=dataset.people.features.take(users),
        day=dataset.day,
        eligible=dataset.catalogue.eligible(dataset.day),
        excluded=Ragged.empty(len(users)),
    )


def ask_newly(dataset: Dataset, histories: Sequence[Int32[np.ndarray, " _"]], features: Ragged) -> Queries:
    """The questions of people nobody knows, who chose one item a second up to the moment they ask, oldest first."""
    n = len(histories)
    offsets = np.cumsum([0, *map(len, histories)], dtype=np.int64)
    items = np.concatenate([np.zeros(0, np.int32), *histories])
    seconds_ago = np.repeat(offsets[1:], np.diff(offsets)) - np.arange(len(items))
    chosen = Histories(offsets, items, np.ones(len(items), np.float32), dataset.day * DAY - seconds_ago)
    return replace(ask(dataset, np.full(n, UNKNOWN)), histories=chosen, features=features)


def features_of(people: People, attributes: Sequence[Mapping[str, str]]) -> tuple[Ragged, list[str]]:
    """What is known of people by their attributes and context, and what of that no user of the release has.

    `store=north` is the user's own attribute where users have such a one, and otherwise where they usually go. Of the
    unknown, a key that nobody has is named alone, a value with its key.
    """
    owners, rows, unknown = list[int](), list[int](), list[str]()
    for owner, named in enumerate(attributes):
        for key, value in named.items():
            found = people.feature_names.rows([f"{key}={value}", f"usual {key}={value}"])
            known = found[found != UNKNOWN]
            owners += [owner] * len(known[:1])
            rows += known[:1].tolist()
            if not len(known):
                unknown.append(f"{key}={value}" if _has_key(people, key) else key)
    order = np.lexsort((rows, owners))
    features = Ragged(offsets_of(np.array(owners, np.int64), len(attributes)), np.array(rows, np.int32)[order])
    return features, list(dict.fromkeys(unknown))


def _has_key(people: People, key: str) -> bool:
    names = people.feature_names.ids
    return any(bool(pc.any(pc.starts_with(names, f"{prefix}{key}=")).as_py()) for prefix in ("", "usual "))


def ask_about(dataset: Dataset, items: Int[np.ndarray, " items"]) -> Queries:
    """One question an item, as if somebody had chosen just that and does not want it again."""
    return about(items, dataset.day, dataset.catalogue.eligible(dataset.day))


def about(items: Int[np.ndarray, " items"], day: int, eligible: Bool[np.ndarray, " catalogue"]) -> Queries:
    """The same, as of a day, of what may be shown."""
    n, rows = len(items), items.astype(np.int32)
    one_each = np.arange(n + 1, dtype=np.int64)
    times = np.full(n, day * DAY - 1, np.int64)
    return Queries(
        users=np.full(n, UNKNOWN, np.int32),
        histories=Histories(one_each, rows, np.ones(n, np.float32), times),
        features=Ragged.empty(n),
        day=day,
        eligible=eligible,
        excluded=Ragged(one_each, rows),
    )
