"""Answers ahead of time for 50,000 users over 100,000 items of 64 numbers, from histories to Parquet, on two cores."""

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pytest
from threadpoolctl import threadpool_limits

from retrieval.batch import Batch, BatchConfig
from retrieval.blend import RankFusionConfig
from retrieval.domain import DAY, FOREVER, Candidates, Catalogue, Dataset, Histories, People, Ragged
from retrieval.index import IndexConfig, VectorIndex, build_index
from retrieval.merging import Merge
from retrieval.queries import ask
from retrieval.retrievers.indexed import IndexedRetriever
from retrieval.retrievers.item_knn import ItemKnnConfig
from retrieval.retrievers.popular import PopularConfig
from retrieval.retrievers.protocol import Retriever
from retrieval.retrievers.two_tower import TwoTowerConfig
from retrieval.text import unit
from retrieval.vocabulary import Vocabulary
from storage.rankings import write_rankings

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]
N_ITEMS, N_USERS, N_TOPICS, N_BRANDS, TODAY = 100_000, 50_000, 200, 300, 20_000
THREADS, K = 2, 100
BLEND = Merge(RankFusionConfig(weights={"two_tower": 1.0, "item_knn": 0.2, "popular": 0.1}))  # the demo recipe's


def named(prefix: str, n: int) -> pa.StringArray:
    return pa.array([f"{prefix}{row:06d}" for row in range(n)], pa.string())


def one_each(n: int, width: int = 1) -> np.ndarray:
    return width * np.arange(n + 1, dtype=np.int64)


def catalogue_of(topic: np.ndarray, rng: np.random.Generator) -> Catalogue:
    brand = N_TOPICS + rng.integers(0, N_BRANDS, N_ITEMS)
    features = [f"brand={n:03d}" for n in range(N_BRANDS)] + [f"topic={n:03d}" for n in range(N_TOPICS)]
    ends = np.where(rng.random(N_ITEMS) < 0.01, TODAY - 1, FOREVER).astype(np.int32)
    return Catalogue(
        ids=Vocabulary(named("i", N_ITEMS), "item"),
        features=Ragged(one_each(N_ITEMS, 2), np.stack([topic, brand], axis=1).ravel().astype(np.int32)),
        feature_names=Vocabulary.of(features, "feature"),
        topics=Ragged(one_each(N_ITEMS), topic.astype(np.int32)),
        topic_names=Vocabulary(named("t", N_TOPICS), "topic"),
        text_rows=(25 * topic + rng.integers(0, 25, N_ITEMS)).astype(np.int32),
        texts=named("text ", 25 * N_TOPICS),
        first_seen=np.full(N_ITEMS, TODAY - 300, np.int32),
        available_from=np.zeros(N_ITEMS, np.int32),
        available_until=ends,
    )


def histories_of(topic: np.ndarray, rng: np.random.Generator) -> Histories:
    """About 40 choices a user in 60 days, from three topics of theirs, of each its few favourites most."""
    users = np.repeat(np.arange(N_USERS), rng.poisson(40, N_USERS))
    wanted = rng.integers(0, N_TOPICS, (N_USERS, 3))[users, rng.integers(0, 3, len(users))]
    shelf, starts = np.argsort(topic, kind="stable"), np.searchsorted(np.sort(topic), np.arange(N_TOPICS + 1))
    items = shelf[starts[wanted] + (np.diff(starts)[wanted] * rng.random(len(users)) ** 2).astype(np.int64)]
    times = (TODAY - 60) * DAY + rng.integers(0, 60 * DAY, len(users))
    return Histories.build(users, items, np.ones(len(users), np.float32), times, N_USERS)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    rng = np.random.default_rng(3)
    topic = rng.integers(0, N_TOPICS, N_ITEMS)
    bands = Ragged(one_each(N_USERS), rng.integers(0, 3, N_USERS).astype(np.int32))
    people = People(Vocabulary(named("u", N_USERS), "user"), bands, Vocabulary(named("age=", 3), "feature"))
    texts = np.repeat(rng.standard_normal((N_TOPICS, 64)), 25, axis=0) + 0.7 * rng.standard_normal((25 * N_TOPICS, 64))
    return Dataset(TODAY, catalogue_of(topic, rng), people, histories_of(topic, rng), unit(texts.astype(np.float32)))


@pytest.fixture(scope="module")
def sources(dataset: Dataset) -> dict[str, Retriever]:
    tower = TwoTowerConfig(dim=41, train_days=3).fit(dataset, seed=1)  # with trends, worth and length 64 numbers
    vectors = tower.embed_items(dataset)
    assert vectors.shape == (N_ITEMS, 64)
    return {
        "popular": PopularConfig().fit(dataset, seed=1),
        "item_knn": ItemKnnConfig().fit(dataset, seed=1),
        "two_tower": IndexedRetriever(tower, build_index(vectors, IndexConfig())),
    }


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def bare_products(vectors: np.ndarray, n_users: int) -> float:
    """Seconds that nothing but the matrix products take: the least that a scan can."""
    queries, room = vectors[:256].copy(), np.empty((256, len(vectors)), np.float32)
    with threadpool_limits(THREADS, "blas"):
        return min(seconds(lambda: np.matmul(queries, vectors.T, out=room)) for _ in range(9)) / 256 * n_users


@pytest.mark.parametrize("source", ["two_tower", "blend"])
def test_five_thousand_users_a_second_are_written(
    dataset: Dataset, sources: dict[str, Retriever], source: str, tmp_path: Path
) -> None:
    batch = Batch(dataset, sources, BLEND, False, BatchConfig(k=K, source=source, similar_k=0))
    users, items, took = dataset.people.ids, dataset.catalogue.ids, []
    for _ in range(3):
        shutil.rmtree(tmp_path / "users", ignore_errors=True)
        cpu = time.process_time()
        write = lambda: write_rankings(  # noqa: E731
            tmp_path / "users", batch.of_users(THREADS), users, items, rows_per_file=20_000, facts={}
        )
        took.append((seconds(write), time.process_time() - cpu))
    wall, cpu = min(took)
    n, size = len(batch.active_users()), sum(path.stat().st_size for path in (tmp_path / "users").iterdir())
    bare = bare_products(np.asarray(sources["two_tower"].index.vectors), n)  # type: ignore[attr-defined]
    print(
        f"\n{source}, k = {K}: {n:,} users in {wall:.1f} s ({cpu:.1f} CPU s) on {THREADS} threads, {n / wall:,.0f} a second; "
        f"{size / 2**20:.0f} MiB; the matrix products alone {bare:.1f} s, {n / bare:,.0f} a second"
    )
    assert source == "blend" or n / wall >= 5_000


def test_exact_search_beats_the_graph_at_equal_recall(dataset: Dataset, sources: dict[str, Retriever]) -> None:
    tower = sources["two_tower"]
    assert isinstance(tower, IndexedRetriever) and isinstance(tower.index, VectorIndex)
    index, users = tower.index, np.arange(0, N_USERS, 25)
    vectors = tower.encoder.embed_queries(ask(dataset, users))
    anything = replace(ask(dataset, users), eligible=np.ones(N_ITEMS, bool))
    found: dict[str, tuple[float, Candidates]] = {}

    def timed(name: str, work: Callable[[], Candidates]) -> None:
        start = time.thread_time()  # of this thread alone: others on the machine do not count
        answer = work()
        found[name] = time.thread_time() - start, answer

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    with threadpool_limits(1, "blas"):
        for _ in range(2):  # the second run is told: the first takes the memory
            timed("exact", lambda: index.exact(vectors, 2 * K))
            timed("all scores, sorted out", lambda: index.scan(vectors, anything, K))
            for effort in (200, 400, 600):
                timed(f"graph, efSearch {effort}", lambda: index.search(vectors, effort))  # noqa: B023
    faiss.omp_set_num_threads(threads)
    least = found["exact"][1].scores[:, K - 1 : K] - 1e-4
    recall = {name: float((answer.scores[:, :K] >= least).mean()) for name, (_, answer) in found.items()}
    for name, (took, _) in found.items():
        print(
            f"\n{name:>24}: {1e6 * took / len(users):4.0f} µs of CPU a user, recall@{K} {recall[name]:.3f}",
            end="",
        )
    print()
    assert found["exact"][0] < found["all scores, sorted out"][0]
    assert recall["exact"] == 1
    assert all(found["exact"][0] < found[name][0] for name in found if name.startswith("graph") and recall[name] > 0.95)
