"""How far apart heads are, by counting and by the formula of a textbook."""

import numpy as np
import pytest

from retrieval.domain import UNKNOWN, Candidates
from retrieval.head_health import linear_cka, overlap


def ranking(rows: list[list[int]]) -> Candidates:
    items = np.array(rows, np.int32)
    return Candidates(items, np.where(items == UNKNOWN, -np.inf, 1.0).astype(np.float32))


def test_overlap_is_the_share_of_answers_that_both_give() -> None:
    one, other = (
        ranking([[1, 2, 3, 4], [5, 6, UNKNOWN, UNKNOWN], [UNKNOWN] * 4]),
        ranking([[4, 3, 9, 8], [7, 6, 1, 0], [1] * 4]),
    )
    assert overlap(one, other, 10).tolist() == [0.5, 0.5, 0.0]
    assert overlap(one, one, 10).tolist() == [1.0, 1.0, 0.0]


def test_cka_sees_past_turns_and_scale() -> None:
    rng = np.random.default_rng(0)
    one = rng.standard_normal((200, 8))
    turn, _ = np.linalg.qr(rng.standard_normal((8, 8)))
    assert linear_cka(one, 3 * one @ turn + 5) == pytest.approx(1)
    assert linear_cka(one, rng.standard_normal((200, 8))) < 0.15


def test_cka_is_that_of_centred_gram_matrices() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((30, 3)), rng.standard_normal((30, 5))
    y[:, :2] += x[:, :2]
    centre = np.eye(30) - 1 / 30
    k, m = centre @ x @ x.T @ centre, centre @ y @ y.T @ centre
    wanted = (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum())
    assert linear_cka(x, y) == pytest.approx(wanted)
