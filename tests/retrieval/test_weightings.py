"""Each weighting is its formula, pair by pair."""

import math

import numpy as np
import pytest
import scipy.sparse as sp

from retrieval.domain import Histories
from retrieval.weightings import bm25, centred, per_user_norm, tfidf, unit_columns

TIMES_CHOSEN = np.array([[3, 0, 1, 0], [0, 2, 1, 0], [1, 1, 4, 0], [0, 0, 0, 0]], np.float32)
"""Users by items; a user who chose nothing and an item that nobody chose."""


@pytest.fixture
def matrix() -> sp.csr_array:
    return sp.csr_array(TIMES_CHOSEN)


def pairs() -> list[tuple[int, int, float]]:
    return [(user, item, float(TIMES_CHOSEN[user, item])) for user, item in zip(*np.nonzero(TIMES_CHOSEN), strict=True)]


def test_bm25_is_robertson_s_formula(matrix: sp.csr_array) -> None:
    k1, b, expected = 1.5, 0.6, np.zeros_like(TIMES_CHOSEN, np.float64)
    lengths = TIMES_CHOSEN.sum(axis=0)
    mean_length = lengths[:3].mean()  # of items that were chosen
    for user, item, tf in pairs():
        n = np.count_nonzero(TIMES_CHOSEN[user])
        idf = math.log(1 + (4 - n + 0.5) / (n + 0.5))
        expected[user, item] = idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * lengths[item] / mean_length))
    np.testing.assert_allclose(bm25(matrix, k1, b).toarray(), expected, rtol=1e-6)


def test_bm25_by_hand() -> None:
    """One user, one of two items, chosen twice: log(1 + 1.5 / 1.5) * 2 * 2.2 / (2 + 1.2)."""
    found = bm25(sp.csr_array(np.array([[2.0, 0.0]])), 1.2, 0.75).toarray()
    np.testing.assert_allclose(found, [[0.693147 * 4.4 / 3.2, 0]], rtol=1e-6)


def test_tfidf_is_the_root_of_the_frequency_times_how_choosy_the_user_is(matrix: sp.csr_array) -> None:
    expected = np.zeros_like(TIMES_CHOSEN, np.float64)
    for user, item, tf in pairs():
        expected[user, item] = math.sqrt(tf) * math.log(5 / (1 + np.count_nonzero(TIMES_CHOSEN[user])))
    np.testing.assert_allclose(tfidf(matrix).toarray(), expected, rtol=1e-6)


def test_a_long_history_says_less_about_each_pair() -> None:
    found = per_user_norm(sp.csr_array(np.array([[1.0, 1, 1, 1], [0, 1, 0, 0]]))).toarray()
    np.testing.assert_allclose(found, [[0.5, 0.5, 0.5, 0.5], [0, 1, 0, 0]])


def test_inner_products_of_unit_columns_are_cosines_damped_by_shrinkage(matrix: sp.csr_array) -> None:
    squares = (TIMES_CHOSEN**2).sum(axis=0)[:3]
    for shrinkage in (0.0, 0.7):
        unit = unit_columns(matrix, shrinkage).toarray()[:, :3]
        lengths = np.sqrt(squares + shrinkage * squares.mean())
        expected = TIMES_CHOSEN[:, :3].T @ TIMES_CHOSEN[:, :3] / np.outer(lengths, lengths)
        np.testing.assert_allclose(unit.T @ unit, expected, rtol=1e-6)


def test_pairs_are_centred_by_all_the_users_events_those_that_say_nothing_or_no_too() -> None:
    rows = [(0, 0, 1.0), (0, 1, -1.0), (0, 2, 0.0), (0, 2, 1.0), (1, 0, 2.0)]
    users, items, weights = (np.array(column) for column in zip(*rows, strict=True))
    found = centred(Histories.build(users, items, weights, np.arange(5), 2), 3)
    np.testing.assert_allclose(found.toarray(), [[0.75, -1.25, 0.25], [0, 0, 0]], atol=1e-7)
    assert found.nnz == 4, "a pair of mean weight is kept: both were met"
