"""Single precision in place gives what numpy gives in double."""

import numpy as np
import pytest
import scipy.sparse as sp

from retrieval import ridge
from retrieval.domain import Histories
from retrieval.errors import ModelError
from retrieval.ridge import add_product, inverse, most_chosen, only, solve


@pytest.fixture
def gram() -> np.ndarray:
    x = np.random.default_rng(1).random((200, 30)) < 0.2
    return (x.T.astype(float) @ x + 5 * np.eye(30)).astype(np.float32)


def test_the_inverse_is_numpy_s(gram: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge, "ROWS_AT_ONCE", 7)  # blocks that do not divide the matrix
    np.testing.assert_allclose(inverse(gram.copy()), np.linalg.inv(gram.astype(float)), rtol=1e-3, atol=1e-6)


def test_the_solution_is_numpy_s_and_reads_the_upper_half_alone(gram: np.ndarray) -> None:
    moments = np.random.default_rng(2).random((30, 8)).astype(np.float32)
    expected = np.linalg.solve(gram.astype(float), moments)
    found = solve(np.triu(gram), moments)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert found.flags.c_contiguous


def test_what_is_not_positive_definite_is_refused_with_what_to_do() -> None:
    with pytest.raises(ModelError, match="row 2 of 2 depends on those before it. Raise the ridge"):
        inverse(np.ones((2, 2), np.float32))


def test_nothing_to_solve_is_solved_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    none = np.zeros((0, 0), np.float32)
    assert inverse(none.copy()).shape == solve(none.copy(), none).shape == (0, 0)
    assert capfd.readouterr() == ("", ""), "LAPACK complains of what it is not to be asked"


def test_products_of_blocks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    left, right = (sp.random_array((50, n), density=0.3, format="csr", dtype=np.float32, rng=rng) for n in (11, 9))
    expected = 1 + left.toarray().T @ right.toarray()
    for rows in (1024, 4):
        monkeypatch.setattr(ridge, "ROWS_AT_ONCE", rows)
        total = np.ones((11, 9), np.float32)
        add_product(total, left, right)
        np.testing.assert_allclose(total, expected, rtol=1e-5)


def test_the_most_chosen_keep_their_order_and_others_are_left_out() -> None:
    items = np.array([4, 4, 4, 1, 1, 3, 0])
    histories = Histories.build(np.zeros(7, int), items, np.ones(7), np.arange(7), 1)
    chosen = most_chosen(histories, 6, 3)
    assert chosen.tolist() == [0, 1, 4], "the tie of 0 and 3 goes to the lower row"
    assert only(histories, chosen, 6).items.tolist() == [2, 2, 2, 1, 1, 0]
    assert most_chosen(histories, 6, 99).tolist() == [0, 1, 3, 4]
