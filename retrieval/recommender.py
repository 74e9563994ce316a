"""A release in memory, answering in rows: what a user gets, what is like an item, what a text asks for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int32

from retrieval.domain import UNKNOWN, Candidates, Catalogue, Dataset, Histories, People, Queries
from retrieval.errors import ModelError, UnknownId
from retrieval.explanation import Reasons, explain
from retrieval.merging import Merge, blended
from retrieval.queries import ask, ask_about, ask_newly, features_of
from retrieval.retrievers.protocol import MERGED, AnswersByVectors, Retriever
from retrieval.search import concatenate, rank_all
from retrieval.text import TextEncoder


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Fitted sources over one catalogue, with everybody's histories up to the release's day."""

    release_id: str
    dataset: Dataset
    sources: Mapping[str, Retriever]
    merge: Merge
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
        return self.answer(self.questions_of(user_ids), k, condition=condition, sources=sources)

    def recommend_after(
        self,
        histories: Sequence[Sequence[str]],
        k: int,
        *,
        attributes: Sequence[Mapping[str, str]] | None = None,
        condition: str | None = None,
        sources: Collection[str] | None = None,
    ) -> Candidates:
        """The same for somebody nobody knows, who has just chosen these items and is said to be such.

        Items and attributes that the release does not know are passed over.
        """
        asked = self.questions_after(histories, attributes)
        return self.answer(asked, k, condition=condition, sources=sources)

    def questions_of(self, user_ids: Sequence[str]) -> Queries:
        """What is known of users."""
        return ask(self.dataset, self.dataset.people.ids.rows(user_ids))

    def questions_after(
        self, histories: Sequence[Sequence[str]], attributes: Sequence[Mapping[str, str]] | None = None
    ) -> Queries:
        """What histories of item ids, oldest first, and attributes say of people nobody knows."""
        rows = [self.dataset.catalogue.ids.rows(items) for items in histories]
        known = [chosen[chosen != UNKNOWN] for chosen in rows]
        features, _ = features_of(self.dataset.people, [{}] * len(known) if attributes is None else attributes)
        return ask_newly(self.dataset, known, features)

    def answer(
        self, queries: Queries, k: int, *, condition: str | None = None, sources: Collection[str] | None = None
    ) -> Candidates:
        """The best k items of each question."""
        chosen, merge = self._chosen(sources)
        return blended(chosen, merge, self._allowed(queries, condition), k)

    def explain(
        self, queries: Queries, k: int, *, condition: str | None = None, sources: Collection[str] | None = None
    ) -> tuple[Candidates, list[Reasons]]:
        """The same, and why each item is there."""
        (chosen, merge), asked = self._chosen(sources), self._allowed(queries, condition)
        parts = [explain(chosen, merge, asked.take(np.array([row])), k, self.dataset) for row in range(len(queries))]
        return concatenate([found for found, _ in parts], k), [reasons for _, reasons in parts]

    def similar(
        self,
        item_ids: Sequence[str],
        k: int,
        *,
        condition: str | None = None,
        alpha: float | None = None,
        head: str | None = None,
    ) -> Candidates:
        """The k items most like each item: by a source with heads, else by vectors, else by who chose both.

        `alpha` is the engagement head's share of the places in percent, the recipe's where it is not given; `head` asks
        one head alone. Nothing is like an unknown item.

        Raises:
            UnknownId: for a topic or a head that the release does not have.
            ValueError: for an alpha that is no percentage.
        """
        if alpha is not None and not 0 <= alpha <= 100:
            raise ValueError(f"alpha is {alpha:g}: give a percentage from 0 to 100")
        heads = (*heads_of(self.sources), MERGED)
        if (head is not None and len(heads) == 1) or (alpha is not None and len(heads) < 3):
            raise UnknownId(
                f"no source of release {self.release_id} has several heads. Ask without head and alpha, or give the "
                f"recipe a source of kind mtmh, as complete-journey-mtmh has one."
            )
        if head is not None and head not in heads:
            raise UnknownId(f"head {head!r} is not in release {self.release_id}. Name one of: {', '.join(heads)}.")
        rows = self.dataset.catalogue.ids.rows(item_ids)
        asked = np.flatnonzero(rows != UNKNOWN)
        everything = Candidates.none(len(rows), k)
        if len(asked):
            found = self._alike(rows[asked], k, condition, alpha, head)
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

    def _allowed(self, queries: Queries, condition: str | None) -> Queries:
        """The questions with what may be shown."""
        asked = replace(queries, eligible=self._eligible(condition))
        return asked.without_seen() if self.exclude_seen else asked

    def _alike(
        self, items: Int32[np.ndarray, " items"], k: int, condition: str | None, alpha: float | None, head: str | None
    ) -> Candidates:
        """What is like known items."""
        queries = replace(ask_about(self.dataset, items), eligible=self._eligible(condition))
        return alike(self.sources, self.merge, items, queries, k, alpha=alpha, head=head)

    def _eligible(self, condition: str | None) -> Bool[np.ndarray, " items"]:
        """Which items may be shown today: all that are available, or those of one topic."""
        eligible, topics = self._catalogue.eligible(self.dataset.day), self._catalogue.topics
        if condition is None:
            return eligible
        of_topic = np.zeros(len(self._catalogue), bool)
        entries = np.flatnonzero(topics.values == self._catalogue.topic_names.row(condition, suggest=True))
        of_topic[np.searchsorted(topics.offsets, entries, side="right") - 1] = True
        return eligible & of_topic

    def _chosen(self, names: Collection[str] | None) -> tuple[Mapping[str, Retriever], Merge]:
        """The sources to ask, and how their lists become one."""
        if names is None:
            return self.sources, self.merge
        unknown = sorted(set(names) - set(self.sources))
        if unknown or not names:
            wrong = f"source {unknown[0]!r} is not in release {self.release_id}" if unknown else "no source is named"
            raise UnknownId(f"{wrong}. Name one or more of: {', '.join(self.sources)}.")
        chosen = {name: source for name, source in self.sources.items() if name in names}
        return chosen, self.merge.among(chosen)


def alike(
    sources: Mapping[str, Retriever],
    merge: Merge,
    items: np.ndarray,
    queries: Queries,
    k: int,
    *,
    alpha: float | None = None,
    head: str | None = None,
    threads: bool = True,
) -> Candidates:
    """What is most like each item for the first source with heads, else with vectors; for the blend where none has."""
    source = _knows_alike(sources)
    if source is not None:
        return source.similar(items, queries, k, alpha=alpha, head=head)
    return blended(sources, merge.plain(), queries, k, threads=threads)


def heads_of(sources: Mapping[str, Retriever]) -> tuple[str, ...]:
    """The heads of the source that says what is alike; none where it has one space or there is none."""
    source = _knows_alike(sources)
    return () if source is None else tuple(name for name in source.spaces() if name)


def _knows_alike(sources: Mapping[str, Retriever]) -> AnswersByVectors | None:
    by_vectors = [source for source in sources.values() if isinstance(source, AnswersByVectors)]
    with_heads = [source for source in by_vectors if "" not in source.spaces()]
    return next(iter(with_heads + by_vectors), None)


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
