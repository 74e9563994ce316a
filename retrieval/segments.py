"""Users by what is known of them, so that a loss of the few does not hide in the mean of the many."""

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Bool

from retrieval.domain import People, Queries

HISTORY_BOUNDS = (0, 1, 10, 100)
"""Where classes of history lengths begin."""
MOST_VALUES = 20
"""Values of one attribute that become segments, the most frequent first."""


def segments(queries: Queries, people: People, fields: Sequence[str]) -> dict[str, Bool[np.ndarray, " queries"]]:
    """Who belongs to each class of history length, and to each value of the attributes named."""
    lengths = np.diff(queries.histories.offsets)
    ends = (*HISTORY_BOUNDS[1:], np.iinfo(np.int64).max)
    found = {
        f"{first:,} to {end - 1:,} events" if end < ends[-1] else f"{first:,} events and more": (first <= lengths)
        & (lengths < end)
        for first, end in zip(HISTORY_BOUNDS, ends, strict=True)
    }
    found["no event"] = found.pop("0 to 0 events")
    for field in fields:
        found |= _by_value(queries, people, field)
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
