"""Questions over one release's rows, asked of another release, and its answers brought back.

Ids are what two releases share; what one of them has never heard of is left out of the question or of the answer.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Int32

from retrieval.domain import UNKNOWN, Candidates, Dataset, Queries, Ragged


@dataclass(frozen=True, slots=True)
class Translation:
    """From the rows of the one who asks to the rows of the one who answers, and back."""

    items: Int32[np.ndarray, " items"]
    """The answering row of each asking item, UNKNOWN where there is none."""
    users: Int32[np.ndarray, " users"]
    back: Int32[np.ndarray, " their_items"]
    """The asking row of each answering item."""
    answering: Dataset

    @classmethod
    def between(cls, asking: Dataset, answering: Dataset) -> Self:
        return cls(
            answering.catalogue.ids.rows(asking.catalogue.ids.ids),
            answering.people.ids.rows(asking.people.ids.ids),
            asking.catalogue.ids.rows(answering.catalogue.ids.ids),
            answering,
        )

    def question(self, queries: Queries) -> Queries:
        """The same questions in the other's rows, with what the other knows of its users and may show that day."""
        users = self.users[queries.users]
        histories = queries.histories.where(self.items[queries.histories.items] != UNKNOWN)
        items = self.items[histories.items]
        return Queries(
            users=users,
            histories=type(histories)(histories.offsets, items, histories.weights, histories.times),
            features=self.answering.people.features.take(users),
            day=queries.day,
            eligible=self.answering.catalogue.eligible(queries.day),
            excluded=self._excluded(queries.excluded),
        )

    def answer(self, found: Candidates) -> Candidates:
        """The other's answers in the rows of the one who asked; what is unknown here keeps its place, empty."""
        known = found.items != UNKNOWN
        return Candidates(np.where(known, self.back[np.where(known, found.items, 0)], UNKNOWN), found.scores)

    def _excluded(self, excluded: Ragged) -> Ragged:
        rows = self.items[excluded.values]
        known = rows != UNKNOWN
        return Ragged.from_owners(excluded.owners()[known], rows[known], len(excluded))
