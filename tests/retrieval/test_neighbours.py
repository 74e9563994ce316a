"""The product that keeps only the best finds what a dense product finds, on any number of threads."""

import numpy as np
import pytest
import scipy.sparse as sp

from retrieval import neighbours
from retrieval.domain import Ragged
from retrieval.neighbours import nearest_items, shared_users


@pytest.fixture(scope="module")
def weighted() -> sp.csr_array:
    rng = np.random.default_rng(5)
    matrix = sp.random_array((60, 40), density=0.15, format="csr", rng=rng)
    matrix.data -= 0.2  # some say no
    return matrix


def dense_neighbours(weighted: sp.csr_array, min_users: int) -> np.ndarray:
    dense = weighted.toarray()
    products, seen = dense.T @ dense, (dense != 0).astype(int)
    products[(seen.T @ seen) < min_users] = 0
    np.fill_diagonal(products, 0)
    return np.maximum(products, 0)


@pytest.mark.parametrize("min_users", [1, 2, 3])
def test_all_that_there_are_are_found_when_enough_are_fetched(weighted: sp.csr_array, min_users: int) -> None:
    found = nearest_items(weighted, 40, min_users)
    np.testing.assert_allclose(found.toarray(), dense_neighbours(weighted, min_users), rtol=1e-5, atol=1e-7)


def test_the_best_come_first_and_no_more_than_asked_for(weighted: sp.csr_array) -> None:
    found, dense = nearest_items(weighted, 5, 1), dense_neighbours(weighted, 1)
    for item in range(40):
        values = found.data[found.indptr[item] : found.indptr[item + 1]]
        best = np.sort(dense[item][dense[item] > 0])[::-1][:5]
        np.testing.assert_allclose(values, best, rtol=1e-5)


def test_threads_and_blocks_make_no_difference(weighted: sp.csr_array, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = nearest_items(weighted, 8, 2), None
    for name, value in (("THREADS", 1), ("ROWS_AT_ONCE", 7), ("ENTRIES_AT_ONCE", 11)):
        monkeypatch.setattr(neighbours, name, value)
        other = nearest_items(weighted, 8, 2)
        for part in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(one, part), getattr(other, part))


def test_shared_users_are_those_of_sets(weighted: sp.csr_array) -> None:
    columns = weighted.tocsc()
    users_of = Ragged(columns.indptr.astype(np.int64), columns.indices.astype(np.int32))
    rng = np.random.default_rng(6)
    one, other = rng.integers(0, 40, 300), rng.integers(0, 40, 300)
    sets = [set(users_of.row(item).tolist()) for item in range(40)]
    expected = [len(sets[a] & sets[b]) for a, b in zip(one, other, strict=True)]
    np.testing.assert_array_equal(shared_users(users_of, 60, one, other), expected)


def test_nothing_chosen_has_no_neighbours() -> None:
    assert nearest_items(sp.csr_array((5, 4)), 3, 2).nnz == 0
