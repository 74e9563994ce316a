"""Matrices hold what a loop over the events adds up, and histories stay as they were."""

import numpy as np
import pytest

from retrieval.domain import DAY, Histories
from retrieval.interactions import binary_matrix, decayed, summed_matrix

N_USERS, N_ITEMS, TODAY = 7, 5, 100


@pytest.fixture
def histories() -> Histories:
    rng = np.random.default_rng(4)
    n = 60
    users = rng.choice([0, 1, 2, 4, 6], n)  # some users have done nothing
    weights = rng.choice([1.0, 2.0, -1.0, 0.0], n)
    return Histories.build(users, rng.integers(0, N_ITEMS, n), weights, rng.integers(90 * DAY, 102 * DAY, n), N_USERS)


def test_sums_are_those_of_a_loop(histories: Histories) -> None:
    expected = np.zeros((N_USERS, N_ITEMS))
    for user, item, weight in zip(histories.owners(), histories.items, histories.weights, strict=True):
        expected[user, item] += weight
    found = summed_matrix(histories, N_ITEMS)
    assert (found.dtype, found.has_canonical_format) == (np.float32, True)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-6)


def test_a_pair_counts_once_whatever_its_weights(histories: Histories) -> None:
    expected = np.zeros((N_USERS, N_ITEMS))
    expected[histories.owners(), histories.items] = 1
    np.testing.assert_array_equal(binary_matrix(histories, N_ITEMS).toarray(), expected)


def test_weights_halve_with_every_half_life_and_the_future_is_no_older_than_now(histories: Histories) -> None:
    found = decayed(histories, TODAY, 2.0)
    for time, before, after in zip(histories.times, histories.weights, found.weights, strict=True):
        assert after == pytest.approx(before * 0.5 ** (max(TODAY * DAY - time, 0) / DAY / 2.0), rel=1e-6)
    assert decayed(histories, TODAY, None) is histories


def test_making_a_matrix_leaves_the_histories_as_they_were(histories: Histories) -> None:
    for part in (histories.items, histories.offsets, histories.weights):
        part.flags.writeable = False  # as when mapped from disk
    items = histories.items.copy()
    summed_matrix(histories, N_ITEMS)
    binary_matrix(histories, N_ITEMS)
    np.testing.assert_array_equal(histories.items, items)


def test_nothing_done_is_an_empty_matrix() -> None:
    assert binary_matrix(Histories.empty(3), N_ITEMS).shape == (3, N_ITEMS)
    assert summed_matrix(Histories.empty(0), N_ITEMS).nnz == 0
