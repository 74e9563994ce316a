"""A release in memory, answering in rows: what a user gets, what is like an item, what a text asks for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int32

from retrieval.blend import BLEND, BlendConfig
from retrieval.domain import DAY, UNKNOWN, Candidates, Catalogue, Dataset, Histories, People, Queries
from retrieval.errors import ModelError, UnknownId
from retrieval.queries import ask, ask_about
from retrieval.retrievers.indexed import IndexedRetriever
from retrieval.retrievers.protocol import Retriever
from retrieval.search import rank_all
from retrieval.text import TextEncoder


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Fitted sources over one catalogue, with everybody's histories up to the release's day."""

    release_id: str
    dataset: Dataset
    sources: Mapping[str, Retriever]
    blend: BlendConfig
    exclude_seen: bool
    encoder: TextEncoder | None = None
    """What made the dataset's text vectors; without it no text can be searched for."""

    def recommend(
        self, user_ids: Sequence[str], k: int, *, condition: str | None = None, sources: Collection[str] | None = None
    ) -> Candidates:
        """The best k items of each user by the blend of all sources, or of those named; of one topic, if one is given.

        An unknown user is answered like one who has done nothing yet.

        Raises:
            UnknownId: for a topic or a source that the release does not have.
        """
        users = self.dataset.people.ids.rows(user_ids)
        return self._blended(ask(self.dataset, users), k, condition, sources)

    def recommend_after(
        self,
        histories: Sequence[Sequence[str]],
        k: int,
        *,
        condition: str | None = None,
        sources: Collection[str] | None = None,
    ) -> Candidates:
        """The same for somebody nobody knows, who has just chosen these items; unknown ones are passed over."""
        rows = [self.dataset.catalogue.ids.rows(items) for items in histories]
        known = [chosen[chosen != UNKNOWN] for chosen in rows]
        return self._blended(self._just_chosen(known), k, condition, sources)

    def similar(self, item_ids: Sequence[str], k: int, *, condition: str | None = None) -> Candidates:
        """The k nearest items of each item by its vector, or by who chose both where no source has vectors.

        Nothing is like an unknown item.

        Raises:
            UnknownId: for a topic that the release does not have.
        """
        rows = self.dataset.catalogue.ids.rows(item_ids)
        asked = np.flatnonzero(rows != UNKNOWN)
        everything = Candidates.none(len(rows), k)
        if len(asked):
            found = self._alike(rows[asked], k, condition)
            everything.items[asked], everything.scores[asked] = found.items, found.scores
        return everything

    def search(self, texts: Sequence[str], k: int, *, condition: str | None = None) -> Candidates:
        """The k items whose texts mean most nearly what each text says: cosine, ties to the lower item row.

        Raises:
            ModelError: where the snapshot has no text encoder.
            UnknownId: for a topic that the release does not have.
        """
        if self.encoder is None or self.dataset.text_vectors is None:
            raise ModelError(f"release {self.release_id} holds no text encoder. Open it from its folder to search it.")
        asked, known, of_item = self.encoder.encode(list(texts)), self.dataset.text_vectors, self._catalogue.text_rows
        queries = replace(ask(self.dataset, np.full(len(texts), UNKNOWN)), eligible=self._eligible(condition))
        return rank_all(queries, k, lambda _, part: (asked[part] @ known.T)[:, of_item])

    @property
    def _catalogue(self) -> Catalogue:
        return self.dataset.catalogue

    def _blended(self, queries: Queries, k: int, condition: str | None, sources: Collection[str] | None) -> Candidates:
        asked, chosen = replace(queries, eligible=self._eligible(condition)), self._chosen(sources)
        if not len(asked):
            return Candidates.none(0, k)
        blend = self.blend if sources is None else self.blend.among(chosen)
        counted = {name: source for name, source in chosen.items() if blend.weight(name) > 0}
        return answer(counted, blend, asked.without_seen() if self.exclude_seen else asked, k)[BLEND]

    def _alike(self, items: Int32[np.ndarray, " items"], k: int, condition: str | None) -> Candidates:
        """What is like known items."""
        queries = replace(ask_about(self.dataset, items), eligible=self._eligible(condition))
        return alike(self.sources, self.blend, items, queries, k)

    def _just_chosen(self, histories: Sequence[Int32[np.ndarray, " _"]]) -> Queries:
        """Questions of people nobody knows, whose histories end as the question is asked."""
        n, day = len(histories), self.dataset.day
        offsets = np.cumsum([0, *map(len, histories)], dtype=np.int64)
        items = np.concatenate([np.zeros(0, np.int32), *histories])
        times = np.full(len(items), day * DAY - 1, np.int64)
        chosen = Histories(offsets, items, np.ones(len(items), np.float32), times)
        return replace(ask(self.dataset, np.full(n, UNKNOWN)), histories=chosen)

    def _eligible(self, condition: str | None) -> Bool[np.ndarray, " items"]:
        """Which items may be shown today: all that are available, or those of one topic."""
        eligible, topics = self._catalogue.eligible(self.dataset.day), self._catalogue.topics
        if condition is None:
            return eligible
        of_topic = np.zeros(len(self._catalogue), bool)
        entries = np.flatnonzero(topics.values == self._catalogue.topic_names.row(condition, suggest=True))
        of_topic[np.searchsorted(topics.offsets, entries, side="right") - 1] = True
        return eligible & of_topic

    def _chosen(self, names: Collection[str] | None) -> Mapping[str, Retriever]:
        if names is None:
            return self.sources
        unknown = sorted(set(names) - set(self.sources))
        if unknown or not names:
            wrong = f"source {unknown[0]!r} is not in release {self.release_id}" if unknown else "no source is named"
            raise UnknownId(f"{wrong}. Name one or more of: {', '.join(self.sources)}.")
        return {name: source for name, source in self.sources.items() if name in names}


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


def with_day(before: Histories, day_itself: Histories) -> Histories:
    """The histories of the same users with the day's own events."""
    parts = (before, day_itself)
    return Histories.build(
        np.concatenate([part.owners() for part in parts]),
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.weights for part in parts]),
        np.concatenate([part.times for part in parts]),
        len(before),
    )


def serving_dataset(
    catalogue: Catalogue, people: People, before: Histories, day_itself: Histories, day: int
) -> Dataset:
    """What readers ask from: histories with the day's own events, questions as of the next day."""
    return Dataset(day + 1, catalogue, people, with_day(before, day_itself))
