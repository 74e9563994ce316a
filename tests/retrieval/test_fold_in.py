"""Folding in solves each user's normal equations, however users are put in blocks."""

import numpy as np
import pytest
import scipy.sparse as sp

from retrieval.fold_in import fold_in

REGULARIZATION = 0.3


def planted(n_users: int = 23, n_items: int = 40, dim: int = 6) -> tuple[sp.csr_array, np.ndarray]:
    rng = np.random.default_rng(5)
    lengths = rng.integers(0, 30, n_users)
    lengths[3] = 0
    dense = np.zeros((n_users, n_items), np.float32)
    for user, length in enumerate(lengths):
        dense[user, rng.choice(n_items, length, replace=False)] = rng.uniform(0.1, 40, length)
    return sp.csr_array(dense), rng.standard_normal((n_items, dim)).astype(np.float32)


def one_by_one(extra: sp.csr_array, factors: np.ndarray) -> np.ndarray:
    """The full equations of each user, with a confidence and a preference for every item of the catalogue."""
    exact, solved = factors.astype(np.float64), []
    for row in extra.toarray().astype(np.float64):
        confidence, preference = np.diag(1 + row), (row > 0).astype(float)
        system = exact.T @ confidence @ exact + REGULARIZATION * np.eye(exact.shape[1])
        solved.append(np.linalg.solve(system, exact.T @ confidence @ preference))
    return np.array(solved)


@pytest.mark.parametrize("numbers_at_once", [1, 500, 1 << 23], ids=["one at a time", "few", "all at once"])
def test_users_are_those_of_their_own_equations(monkeypatch: pytest.MonkeyPatch, numbers_at_once: int) -> None:
    extra, factors = planted()
    monkeypatch.setattr("retrieval.fold_in.NUMBERS_AT_ONCE", numbers_at_once)
    found = fold_in(extra, factors, factors.T @ factors, REGULARIZATION)
    np.testing.assert_allclose(found, one_by_one(extra, factors), rtol=1e-3, atol=1e-4)


def test_a_user_without_history_is_zero_and_no_users_are_none() -> None:
    extra, factors = planted()
    gram = factors.T @ factors
    assert not fold_in(extra[[3]], factors, gram, REGULARIZATION).any()
    assert fold_in(extra[:0], factors, gram, REGULARIZATION).shape == (0, 6)
