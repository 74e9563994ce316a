"""Vector indexes: FAISS HNSW for speed, an exhaustive scan as its twin, and the recall of one against the other."""

from dataclasses import dataclass, replace

import faiss
import numpy as np
from jaxtyping import Float32, Float64
from pydantic import Field

from retrieval.domain import Candidates, Queries
from retrieval.errors import ModelError
from retrieval.progress import advance
from retrieval.rules import FrozenModel
from retrieval.search import BLOCK, keep_allowed, rank_all

SPARE = 512
"""Items asked for beyond those wanted, at most, in place of those that may not be shown."""
SURE = 3.0
"""Standard errors by which the measured recall has to lie above the bound."""


class IndexConfig(FrozenModel):
    """How the graph is built and how good it has to be."""

    links: int = Field(default=24, ge=4)
    """Links a node (M)."""
    ef_construction: int = Field(default=60, ge=8)
    """Candidates looked at when a vector is inserted."""
    ef_search: int = Field(default=64, ge=8)
    """Candidates looked at when a query is answered; raised until `min_recall` holds."""
    max_ef_search: int = Field(default=1024, ge=8)
    min_recall: float = Field(default=0.99, ge=0, le=1)
    """Least recall@10 against exact search; below it the index is refused."""
    probe_queries: int = Field(default=1000, ge=1)
    """Queries the recall is measured on."""


@dataclass(frozen=True, slots=True)
class IndexQuality:
    """An index's recall@10 against exact search, and the effort it took."""

    recall_at_10: float
    ef_search: int
    links: int
    """More than the recipe's where these did not reach its recall."""
    n_vectors: int
    n_probes: int


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """Item vectors with a graph over them; scores are inner products."""

    graph: faiss.Index
    vectors: Float32[np.ndarray, "items dim"]
    ef_search: int

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, vectors: Float32[np.ndarray, "queries dim"], k: int) -> Candidates:
        """The nearest k items by the graph."""
        effort = faiss.SearchParametersHNSW(efSearch=max(self.ef_search, k))  # type: ignore[attr-defined]  # stubs lack it
        scores, items = self.graph.search(np.ascontiguousarray(vectors), min(k, len(self)), params=effort)
        return Candidates(items.astype(np.int32), np.where(items < 0, -np.inf, scores).astype(np.float32))

    def exact(self, vectors: Float32[np.ndarray, "queries dim"], k: int) -> Candidates:
        """The nearest k items by comparing with all of them."""
        return ExactIndex(self.vectors).search(vectors, k)

    def answer(self, vectors: Float32[np.ndarray, "queries dim"], queries: Queries, k: int) -> Candidates:
        """The best k eligible, not excluded items of each query.

        The graph is asked for more than k; queries that exclude too much for it are answered by scanning.
        """
        return _completed(self.search(vectors, k + min(k, SPARE)), self, vectors, queries, k)

    def scan(self, vectors: Float32[np.ndarray, "queries dim"], queries: Queries, k: int) -> Candidates:
        """The same answer by scoring every item."""
        return ExactIndex(self.vectors).scan(vectors, queries, k)


@dataclass(frozen=True, slots=True)
class ExactIndex:
    """Item vectors that are all compared with every query: misses nothing, and for many queries at once is fast."""

    vectors: Float32[np.ndarray, "items dim"]

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, vectors: Float32[np.ndarray, "queries dim"], k: int) -> Candidates:
        """The nearest k items; FAISS takes tiles of scores that stay in the cache."""
        stored = np.ascontiguousarray(self.vectors)
        scores, items = faiss.knn(np.ascontiguousarray(vectors), stored, min(k, len(self)), faiss.METRIC_INNER_PRODUCT)
        return Candidates(items.astype(np.int32), scores)

    def answer(self, vectors: Float32[np.ndarray, "queries dim"], queries: Queries, k: int) -> Candidates:
        """The best k eligible, not excluded items of each query."""
        return _completed(self.search(vectors, k + min(k, SPARE)), self, vectors, queries, k)

    def scan(self, vectors: Float32[np.ndarray, "queries dim"], queries: Queries, k: int) -> Candidates:
        """The same answer from all scores of a query at once, however much it excludes."""
        room = np.empty((min(BLOCK, len(queries)), len(self)), np.float32)  # new memory for each costs a third

        def score(_: Queries, part: slice) -> Float32[np.ndarray, "queries items"]:
            return np.matmul(vectors[part], self.vectors.T, out=room[: part.stop - part.start])

        return rank_all(queries, k, score)


def _completed(
    found: Candidates,
    index: VectorIndex | ExactIndex,
    vectors: Float32[np.ndarray, "queries dim"],
    queries: Queries,
    k: int,
) -> Candidates:
    """What may be shown of a search; queries of which that is too little are scanned."""
    answered = keep_allowed(found, queries, k)
    short = np.flatnonzero((answered.items < 0).any(axis=1))
    if len(short):
        rest = index.scan(vectors[short], queries.take(short), k)
        answered.items[short], answered.scores[short] = rest.items, rest.scores
    return answered


def build_index(vectors: Float32[np.ndarray, "items dim"], config: IndexConfig) -> VectorIndex:
    """Insert vectors in row order on one thread, so that equal vectors always give an equal graph."""
    graph = faiss.IndexHNSWFlat(vectors.shape[1], config.links, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = config.ef_construction
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        for start in range(0, len(vectors), 8192):
            advance("index", start, len(vectors))
            graph.add(np.ascontiguousarray(vectors[start : start + 8192], np.float32))
    finally:
        faiss.omp_set_num_threads(threads)
    return VectorIndex(graph, vectors, config.ef_search)


def build_tuned(
    vectors: Float32[np.ndarray, "items dim"], probes: Float32[np.ndarray, "probes dim"], config: IndexConfig
) -> tuple[VectorIndex, IndexQuality]:
    """A graph whose recall@10 is above the bound, made denser once where no effort reaches it.

    By inner products nothing may lead to an item whose neighbours all prefer longer vectors; more links do.

    Raises:
        ModelError: when the denser graph does not reach the bound either.
    """
    denser = config.model_copy(update={"links": 2 * config.links, "ef_construction": 4 * config.ef_construction})
    for density in (config, denser):
        index, quality, is_enough = _with_effort(build_index(vectors, density), probes, density)
        if is_enough:
            return index, quality
    raise ModelError(
        f"the index finds {quality.recall_at_10:.3f} of the 10 nearest items at efSearch {quality.ef_search} with "
        f"{quality.links} links an item, twice the recipe's; expected {config.min_recall}. Raise index.links, "
        f"index.ef_construction or index.max_ef_search, or lower index.min_recall."
    )


def _with_effort(
    index: VectorIndex, probes: Float32[np.ndarray, "probes dim"], config: IndexConfig
) -> tuple[VectorIndex, IndexQuality, bool]:
    """Raise efSearch until the graph's recall@10 is surely above the bound, and say whether it is.

    Other queries will be asked than these: hence surely. A found item counts when its score is among the 10 best:
    items with equal vectors are as good as each other.
    """
    nearest = _least_of_nearest(index, probes)
    while True:
        reached = _reached(index, probes, nearest)
        recall, is_last = float(reached.mean()), index.ef_search >= config.max_ef_search
        is_enough = recall >= config.min_recall + (0 if is_last else SURE * _standard_error(reached))
        if is_enough or is_last:
            return index, IndexQuality(recall, index.ef_search, config.links, len(index), len(probes)), is_enough
        index = replace(index, ef_search=min(2 * index.ef_search, config.max_ef_search))


def recall_at_10(index: VectorIndex, probes: Float32[np.ndarray, "probes dim"]) -> float:
    """Share of the 10 nearest items by exact search that the graph finds."""
    return float(_reached(index, probes, _least_of_nearest(index, probes)).mean())


def _least_of_nearest(
    index: VectorIndex, probes: Float32[np.ndarray, "probes dim"]
) -> Float32[np.ndarray, "probes one"]:
    return index.exact(probes, min(10, len(index))).scores[:, -1:]


def _reached(
    index: VectorIndex, probes: Float32[np.ndarray, "probes dim"], least: Float32[np.ndarray, "probes one"]
) -> Float64[np.ndarray, " probes"]:
    """Each probe's share of its nearest items that the graph finds."""
    return (index.search(probes, min(10, len(index))).scores >= least - 1e-5).mean(axis=1, dtype=np.float64)


def _standard_error(values: Float64[np.ndarray, " probes"]) -> float:
    return float(values.std() / np.sqrt(max(len(values), 1)))
