"""Questions from what is known of users."""

import numpy as np

from retrieval.domain import Dataset, Queries, Ragged


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
