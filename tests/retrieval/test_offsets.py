"""What popularity weighs beside factors is what a regression over all pairs says, and popularity is a decayed count."""

import numpy as np
import pytest

from retrieval.domain import DAY, Histories, Ragged
from retrieval.offsets import offset_weight, popularity, without


def ragged(rows: list[list[int]]) -> Ragged:
    lengths = [len(row) for row in rows]
    return Ragged(np.cumsum([0, *lengths], dtype=np.int64), np.array([item for row in rows for item in row], np.int32))


def planted(popular_matters: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, Ragged, Ragged]:
    """Choices whose chance is linear in <u, v> and in popularity."""
    rng = np.random.default_rng(7)
    users, items = rng.uniform(0, 0.5, (150, 3)), rng.uniform(0, 0.5, (200, 3))
    popular = rng.exponential(1.0, 200)
    chance = 0.02 + 0.3 * users @ items.T + popular_matters * popular
    chosen = rng.random(chance.shape) < chance
    left_out = rng.random(chance.shape) < 0.1
    rows = (ragged([np.flatnonzero(row).tolist() for row in table]) for table in (chosen, left_out))
    return users.astype(np.float32), items.astype(np.float32), popular.astype(np.float32), *rows


def by_regression(
    users: np.ndarray, items: np.ndarray, popular: np.ndarray, chosen: Ragged, left_out: Ragged
) -> np.ndarray:
    """a, b and c of y = a <u, v> + b popularity + c over every pair that counts, written out."""
    rows, answers = [], []
    for user in range(len(users)):
        barred, hits = set(left_out.row(user).tolist()), set(chosen.row(user).tolist())
        for item in range(len(items)):
            if item not in barred:
                rows.append([users[user] @ items[item], popular[item], 1.0])
                answers.append(float(item in hits))
    return np.linalg.lstsq(np.array(rows, np.float64), np.array(answers), rcond=None)[0]


@pytest.mark.parametrize("pairs_at_once", [13, 1 << 18])
def test_the_weight_is_that_of_a_regression_over_all_pairs(monkeypatch: pytest.MonkeyPatch, pairs_at_once: int) -> None:
    monkeypatch.setattr("retrieval.offsets.PAIRS_AT_ONCE", pairs_at_once)
    planted_pairs = planted(0.1)
    of_factors, of_popularity, _ = by_regression(*planted_pairs)
    found = offset_weight(*planted_pairs)
    assert found == pytest.approx(of_popularity / of_factors, rel=1e-3)
    assert found == pytest.approx(0.1 / 0.3, rel=0.3)


def test_popularity_that_speaks_against_items_weighs_nothing() -> None:
    assert offset_weight(*planted(-0.02)) == 0


def test_nobody_to_learn_from_gives_no_weight() -> None:
    users, items, popular, _, _ = planted(0.1)
    assert offset_weight(users[:0], items, popular, Ragged.empty(0), Ragged.empty(0)) == 0


def test_rows_without_others_lose_only_their_own() -> None:
    left = without(ragged([[1, 2, 3], [2], []]), ragged([[2], [1, 3], [1]]), 4)
    assert [left.row(row).tolist() for row in range(3)] == [[1, 3], [2], []]


def test_popularity_is_the_logarithm_of_decayed_counts() -> None:
    zeros = np.zeros(3, np.int64)
    times = np.array([10 * DAY, 8 * DAY, 10 * DAY], np.int64)
    events = Histories.build(zeros, np.array([0, 0, 2]), np.ones(3, np.float32), times, 1)
    found = popularity(events, 4, 10, 2.0)
    np.testing.assert_allclose(found, np.log1p([1.5, 0, 1, 0]), rtol=1e-6)
