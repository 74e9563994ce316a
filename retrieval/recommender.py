"""A release in memory, answering: what a user gets, and what is like an item."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.blend import BLEND, BlendConfig
from retrieval.domain import Candidates, Catalogue, Dataset, Histories, People, Queries
from retrieval.queries import ask, ask_about
from retrieval.retrievers.indexed import IndexedRetriever
from retrieval.retrievers.protocol import Retriever


@dataclass(frozen=True, slots=True)
class Recommender:
    """Fitted sources over one catalogue, with everybody's histories up to the release's day."""

    release_id: str
    dataset: Dataset
    sources: Mapping[str, Retriever]
    blend: BlendConfig
    exclude_seen: bool

    def recommend(self, user_ids: Sequence[str], k: int) -> Candidates:
        """The best k items of each user by the blend of all sources.

        Raises:
            UnknownId: for a user that the release does not know.
        """
        users = np.array([self.dataset.people.ids.row(id_) for id_ in user_ids], np.int32)
        queries = ask(self.dataset, users)
        return answer(self.sources, self.blend, queries.without_seen() if self.exclude_seen else queries, k)[BLEND]

    def similar(self, item_ids: Sequence[str], k: int) -> Candidates:
        """The k nearest items of each item by its vector, or by who chose both where no source has vectors.

        Raises:
            UnknownId: for an item that the release does not know.
        """
        items = np.array([self.dataset.catalogue.ids.row(id_) for id_ in item_ids], np.int32)
        return alike(self.sources, self.blend, items, ask_about(self.dataset, items), k)


def answer(sources: Mapping[str, Retriever], blend: BlendConfig, queries: Queries, k: int) -> dict[str, Candidates]:
    """The candidates of each source and, under `blend`, of all together."""
    return with_blend(
        {name: source.retrieve(queries, max(k, blend.depth)) for name, source in sources.items()}, blend, k
    )


def alike(
    sources: Mapping[str, Retriever], blend: BlendConfig, items: np.ndarray, queries: Queries, k: int
) -> Candidates:
    """What is nearest to each item for the first source that has vectors, and for the blend where none has."""
    for source in sources.values():
        if isinstance(source, IndexedRetriever):
            return source.similar(items, queries, k)
    return answer(sources, blend, queries, k)[BLEND]


def with_blend(found: Mapping[str, Candidates], blend: BlendConfig, k: int) -> dict[str, Candidates]:
    """The first k of each source's candidates and, under `blend`, of all together."""
    return {name: ranking.top(k) for name, ranking in found.items()} | {BLEND: blend.blend(found, k)}


def serving_dataset(
    catalogue: Catalogue, people: People, before: Histories, day_itself: Histories, day: int
) -> Dataset:
    """What readers ask from: histories with the day's own events, questions as of the next day."""
    owners = np.concatenate([before.owners(), day_itself.owners()])
    parts = (before, day_itself)
    histories = Histories.build(
        owners,
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.weights for part in parts]),
        np.concatenate([part.times for part in parts]),
        len(people),
    )
    return Dataset(day + 1, catalogue, people, histories)
