"""An index that does not belong to its vectors, or vectors that are none, give themselves away in a reading."""

from dataclasses import replace

import faiss
import numpy as np
import pytest

from retrieval.domain import Candidates
from retrieval.index import IndexConfig, VectorIndex, build_index
from retrieval.soundness import differing_ids, forbidden, read_index, self_neighbours

N, DIM = 500, 16


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    drawn = np.random.default_rng(0).standard_normal((N, DIM)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def index(vectors: np.ndarray) -> VectorIndex:
    return build_index(vectors, IndexConfig(links=16))


def readings(index: VectorIndex, n_items: int = N) -> dict[str, float]:
    probes = np.random.default_rng(1).standard_normal((50, DIM)).astype(np.float32)
    return {found.rule: found.value for found in read_index("s", index, probes, np.arange(0, N, 5), n_items)}


def test_a_sound_index_reads_clean(index: VectorIndex) -> None:
    found = readings(index)
    assert (found["missing_ids"], found["foreign_vectors"], found["not_finite"]) == (0, 0, 0)
    assert found["index_recall"] >= 0.99
    assert found["self_neighbour"] == 1
    assert found["least_norm"] == pytest.approx(1, abs=1e-5)
    assert found["greatest_norm"] == pytest.approx(1, abs=1e-5)


def test_vectors_beside_an_index_of_others_are_counted(index: VectorIndex, vectors: np.ndarray) -> None:
    shuffled = np.random.default_rng(2).permutation(vectors)
    found = readings(replace(index, vectors=shuffled))
    assert found["foreign_vectors"] > 0.9 * N
    one = vectors.copy()
    one[17, 3] += 0.25
    assert readings(replace(index, vectors=one))["foreign_vectors"] == 1


def test_an_index_of_half_the_catalogue_misses_the_other_half(index: VectorIndex, vectors: np.ndarray) -> None:
    half = build_index(vectors[: N // 2], IndexConfig(links=16))
    found = readings(VectorIndex(half.graph, vectors, 64))
    assert found["missing_ids"] == N // 2
    assert found["self_neighbour"] < 0.99
    assert readings(index, n_items=N + 3)["missing_ids"] == 6


def test_nan_and_length_are_seen(index: VectorIndex, vectors: np.ndarray) -> None:
    bad = vectors.copy()
    bad[3, 0], bad[9] = np.nan, 1e6
    found = readings(replace(index, vectors=bad))
    assert found["not_finite"] == 1
    assert found["greatest_norm"] == pytest.approx(4e6)


def test_a_graph_that_finds_little_is_told_by_recall_and_canary(vectors: np.ndarray) -> None:
    graph = faiss.IndexHNSWFlat(DIM, 2, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = 2
    graph.add(vectors)
    found = readings(VectorIndex(graph, vectors, 1))
    assert found["index_recall"] < 0.9
    assert found["self_neighbour"] < 0.99


def test_a_vector_asked_for_itself_may_find_its_equal(vectors: np.ndarray) -> None:
    twins = np.concatenate([vectors[:50], vectors[:50]])
    assert self_neighbours(build_index(twins, IndexConfig(links=16)), np.arange(100)) == 1


def test_forbidden_answers_and_differing_ids_are_counted() -> None:
    found = Candidates(np.array([[0, 1], [2, -1]], np.int32), np.zeros((2, 2), np.float32))
    assert forbidden(found, np.array([True, False, False])) == 2
    assert forbidden(found, np.ones(3, bool)) == 0
    assert differing_ids(["a", "b", "c"], ["a", "c", "b", "d"]) == 3
    assert differing_ids(["a"], ["a"]) == 0
