"""What comes before and after a step is what a walk along each history finds, and never another user's."""

import numpy as np
import pytest

from retrieval.domain import Histories
from retrieval.interactions import last_steps, steps_ago
from retrieval.steps import Steps

N_USERS, N_ITEMS = 9, 6


@pytest.fixture
def histories() -> Histories:
    rng = np.random.default_rng(8)
    users = rng.choice([0, 1, 2, 3, 5, 8], 90)  # some users have done nothing
    times = rng.integers(0, 12, 90)  # and many things happen at once
    return Histories.build(users, rng.integers(0, N_ITEMS, 90), np.ones(90), times, N_USERS)


def baskets(histories: Histories) -> list[list[np.ndarray]]:
    """For each user the steps in order, each as ones of its items."""
    found: list[list[np.ndarray]] = []
    for user in range(len(histories)):
        part = slice(histories.offsets[user], histories.offsets[user + 1])
        times, items = histories.times[part], histories.items[part]
        found.append([np.isin(np.arange(N_ITEMS), items[times == time]).astype(float) for time in np.unique(times)])
    return found


def walk(steps: list[np.ndarray], decay: float, n: int) -> np.ndarray:
    return sum((decay**j * step for j, step in enumerate(steps[:n])), np.zeros(N_ITEMS))


@pytest.mark.parametrize(("decay", "n"), [(0.0, 4), (0.5, 3), (0.9, 50)])
def test_surroundings_are_those_of_a_walk(histories: Histories, decay: float, n: int) -> None:
    steps, expected = Steps.of(histories, N_ITEMS), baskets(histories)
    rows = np.arange(len(steps))
    before = [walk(user[:t][::-1], decay, n) for user in expected for t in range(len(user))]
    after = [walk(user[t:], decay, n) for user in expected for t in range(len(user))]
    np.testing.assert_allclose(steps.before(rows, decay, n).toarray(), before, atol=2e-3)
    np.testing.assert_allclose(steps.following(rows, decay, n).toarray(), after, atol=2e-3)
    latest = steps.latest(np.arange(N_USERS), decay, n).toarray()
    np.testing.assert_allclose(latest, [walk(user[::-1], decay, n) for user in expected], atol=2e-3)


def test_a_basket_is_foretold_from_what_came_before_it_alone() -> None:
    """One user: items 0 and 1 at once, then items 2 and 3 at once."""
    histories = Histories.build(np.zeros(4, int), np.arange(4), np.ones(4), np.array([7, 7, 9, 9]), 1)
    steps = Steps.of(histories, 4)
    assert steps.items.toarray().tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    assert steps.before(np.arange(2), 0.5, 9).toarray().tolist() == [[0, 0, 0, 0], [1, 1, 0, 0]]


def test_steps_ago_count_later_times(histories: Histories) -> None:
    ago = steps_ago(histories)
    for event, (user, time) in enumerate(zip(histories.owners(), histories.times, strict=True)):
        mine = histories.times[histories.offsets[user] : histories.offsets[user + 1]]
        assert ago[event] == len(set(mine[mine > time].tolist()))
    np.testing.assert_array_equal(last_steps(histories, 2).items, histories.items[ago < 2])


def test_no_events_are_no_steps() -> None:
    nothing = Histories.empty(3)
    assert len(Steps.of(nothing, 4)) == len(steps_ago(nothing)) == 0
    assert Steps.of(nothing, 4).latest(np.arange(3), 0.5, 5).shape == (3, 4)
