"""Questions from what is known of users, and about items."""

import numpy as np
from jaxtyping import Int

from retrieval.domain import DAY, UNKNOWN, Dataset, Histories, Queries, Ragged


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


def ask_about(dataset: Dataset, items: Int[np.ndarray, " items"]) -> Queries:
    """One question an item, as if somebody had chosen just that and does not want it again."""
    n, rows = len(items), items.astype(np.int32)
    one_each = np.arange(n + 1, dtype=np.int64)
    times = np.full(n, dataset.day * DAY - 1, np.int64)
    return Queries(
        users=np.full(n, UNKNOWN, np.int32),
        histories=Histories(one_each, rows, np.ones(n, np.float32), times),
        features=Ragged.empty(n),
        day=dataset.day,
        eligible=dataset.catalogue.eligible(dataset.day),
        excluded=Ragged(one_each, rows),
    )
