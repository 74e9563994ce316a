"""Everybody's answers at once: what a release would say of each active user and of each item, block by block."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import faiss
import numpy as np
from jaxtyping import Bool, Int32
from pydantic import Field
from threadpoolctl import threadpool_limits

from retrieval.blend import BLEND
from retrieval.domain import DAY, Candidates, Dataset
from retrieval.finders import ranks_in
from retrieval.merging import Merge, rounds
from retrieval.progress import advance
from retrieval.queries import ask, ask_about
from retrieval.recommender import alike
from retrieval.retrievers.protocol import AnswersByVectors, Retriever
from retrieval.rules import FrozenModel

BLOCK = 2048
"""Rows answered at once: enough for FAISS to go through the items seldom, few enough to share out."""


class BatchConfig(FrozenModel):
    """What is answered ahead of time, for a key-value store."""

    k: int = Field(default=100, ge=0)
    """Items written a user; 0 writes nothing of users."""
    active_days: int = Field(default=30, ge=1)
    """Users are answered who have an event in that many newest days."""
    source: str = BLEND
    """Whose ranking users get: blend, or a source's name for what `sources=[name]` gets of a reader."""
    similar_k: int = Field(default=20, ge=0)
    """Items written an item; 0 writes nothing of items."""
    exact_up_to: int = Field(default=300_000, ge=0)
    """Users' vectors are compared with all items of catalogues up to that size instead of asking the graph, which finds
    fewer of the nearest 100 than of the nearest 10 and is no faster there."""
    rows_per_file: int = Field(default=100_000, ge=1)
    """Most users or items in one file."""


def cores() -> int:
    """As many threads as FAISS would use."""
    return int(faiss.omp_get_max_threads())


@dataclass(frozen=True, slots=True)
class Answers:
    """Rows of users or items, ascending, and what each gets."""

    rows: Int32[np.ndarray, " rows"]
    candidates: Candidates
    finders: Bool[np.ndarray, "rows k sources"] | None = None
    """Which of the sources found each item; None where items are answered."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Fitted sources and everything known, to answer for all as one reader would be answered."""

    dataset: Dataset
    sources: Mapping[str, Retriever]
    merge: Merge
    exclude_seen: bool
    config: BatchConfig

    @property
    def source_names(self) -> list[str]:
        """The sources that answers to users are made of, in the order of `Answers.finders`."""
        return list(self._merge_for_users().counted(self._asked()))

    def active_users(self) -> Int32[np.ndarray, " users"]:
        """Users with an event in the newest days, ascending."""
        histories = self.dataset.histories
        newest = histories.times >= (self.dataset.day - self.config.active_days) * DAY
        return np.flatnonzero(np.diff(histories.where(newest).offsets)).astype(np.int32)

    def of_users(self, threads: int) -> Iterator[Answers]:
        """The best k items of each active user."""
        return _in_order("batch users", self._recommend, self.active_users(), threads)

    def of_items(self, threads: int) -> Iterator[Answers]:
        """The nearest items of each item that may be shown."""
        eligible = self.dataset.catalogue.eligible(self.dataset.day)
        return _in_order("batch items", self._similar, np.flatnonzero(eligible).astype(np.int32), threads)

    def _recommend(self, users: Int32[np.ndarray, " users"]) -> Answers:
        queries, sources, k = ask(self.dataset, users), self._exact(self._asked()), self.config.k
        if self.exclude_seen:
            queries = queries.without_seen()
        shown = Candidates.none(len(users), k)
        finders = np.zeros((len(users), k, len(self.source_names)), bool)
        for part in rounds(sources, self._merge_for_users(), queries, k, threads=False):
            shown.items[part.rows], shown.scores[part.rows] = part.merged.items, part.merged.scores
            finders[part.rows] = ranks_in(part.found, part.merged.items) > 0
        return Answers(users, shown, finders)

    def _asked(self) -> Mapping[str, Retriever]:
        """The sources that users are answered from."""
        source = self.config.source
        return self.sources if source == BLEND else {source: self.sources[source]}

    def _merge_for_users(self) -> Merge:
        return self.merge if self.config.source == BLEND else self.merge.among([self.config.source])

    def _exact(self, sources: Mapping[str, Retriever]) -> Mapping[str, Retriever]:
        """The sources, which compare with all items where the catalogue is small enough."""
        if len(self.dataset.catalogue) > self.config.exact_up_to:
            return sources
        return {
            name: source.exact() if isinstance(source, AnswersByVectors) else source for name, source in sources.items()
        }

    def _similar(self, items: Int32[np.ndarray, " items"]) -> Answers:
        queries, k = ask_about(self.dataset, items), self.config.similar_k
        return Answers(items, alike(self.sources, self.merge, items, queries, k, threads=False))


def _in_order(
    work: str, answer_block: Callable[[np.ndarray], Answers], rows: Int32[np.ndarray, " rows"], threads: int
) -> Iterator[Answers]:
    """Blocks answered on threads and given in order, never more than a few ahead of who takes them.

    Each thread keeps a core busy by itself: the libraries' own threads would only stand in each other's way.
    """
    ahead: deque[Future[Answers]] = deque()
    with (
        threadpool_limits(1, "blas"),
        ThreadPoolExecutor(threads, initializer=faiss.omp_set_num_threads, initargs=(1,)) as pool,
    ):
        try:
            for start in range(0, len(rows), BLOCK):
                ahead.append(pool.submit(answer_block, rows[start : start + BLOCK]))
                if len(ahead) > 2 * threads:
                    yield ahead.popleft().result()
                    advance(work, start - (len(ahead) - 1) * BLOCK, len(rows))
            while ahead:
                yield ahead.popleft().result()
            advance(work, len(rows), len(rows))
        finally:
            pool.shutdown(cancel_futures=True)
