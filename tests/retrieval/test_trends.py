"""Trends are decayed counts of the days before, and nothing of the day itself or later is in them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.domain import Histories
from retrieval.exposure import FLOOR
from retrieval.trends import DAY, Trends, first_choices, n_trend_features

N_USERS, N_ITEMS, START = 4, 5, 100
HALF_LIVES = (2.0, 7.0, 30.0)
FIRST_SEEN = np.array([90, 95, 100, 104, 110])
Event = tuple[int, int, float, int]
"""user, item, weight, hours after START"""
EVENTS = st.lists(
    st.tuples(
        st.integers(0, N_USERS - 1),
        st.integers(0, N_ITEMS - 1),
        st.sampled_from([-1.0, 0.5, 1.0]),
        st.integers(0, 24 * 12),
    ),
    max_size=40,
)


def histories(events: list[Event]) -> Histories:
    users, items, weights, hours = (
        (np.array(column) for column in zip(*events, strict=True)) if events else [np.zeros(0, int)] * 4
    )
    return Histories.build(users, items, weights, START * DAY + hours * 3600, N_USERS)


def before(events: list[Event], day: int) -> Trends:
    return Trends.before(histories(events), N_ITEMS, FIRST_SEEN, HALF_LIVES, day)


def counts_by_formula(found: Histories, day: int) -> np.ndarray:
    """Sum over positive events before the day of weight * 0.5 ^ (whole days between / half-life)."""
    counts = np.zeros((2 * len(HALF_LIVES), N_ITEMS))
    met: set[tuple[int, int]] = set()
    owners = found.owners()
    for index in range(found.n_events):
        user, item, weight = int(owners[index]), int(found.items[index]), float(found.weights[index])
        if weight <= 0:
            continue
        is_first = (user, item) not in met
        met.add((user, item))
        age = day - 1 - int(found.times[index]) // DAY
        if age < 0:
            continue
        for span, half_life in enumerate(HALF_LIVES):
            counts[span, item] += weight * 0.5 ** (age / half_life)
            counts[len(HALF_LIVES) + span, item] += is_first * weight * 0.5 ** (age / half_life)
    return counts


@given(EVENTS, st.integers(START - 3, START + 20))
def test_counts_are_the_formula_over_events(events: list[Event], day: int) -> None:
    np.testing.assert_allclose(
        before(events, day).counts, counts_by_formula(histories(events), day), rtol=1e-4, atol=1e-6
    )


@given(EVENTS, st.integers(START, START + 10), st.integers(0, 8))
def test_walking_on_is_starting_there(events: list[Event], day: int, further: int) -> None:
    walked = before(events, day)
    walked.walk_to(day + further)
    np.testing.assert_array_equal(walked.counts, before(events, day + further).counts)
    np.testing.assert_array_equal(walked.features(), before(events, day + further).features())


@given(EVENTS, st.integers(START, START + 12))
def test_features_do_not_change_when_the_day_and_later_ones_are_added(events: list[Event], day: int) -> None:
    earlier = [event for event in events if START + event[3] // 24 < day]
    np.testing.assert_array_equal(before(events, day).features(), before(earlier, day).features())
    np.testing.assert_array_equal(before(events, day).chosen(), before(earlier, day).chosen())


def test_an_event_of_the_day_before_counts_whole_and_one_of_the_day_not_at_all() -> None:
    events = [(0, 1, 1.0, 47), (0, 2, 1.0, 48)]
    counts = before(events, START + 2).counts
    assert counts[:, 1].tolist() == [1.0] * 6
    assert not counts[:, 2].any()


@given(EVENTS)
def test_first_choices_are_those_of_a_loop(events: list[Event]) -> None:
    found = histories(events)
    met: set[tuple[int, int]] = set()
    wanted = []
    for pair in zip(found.owners().tolist(), found.items.tolist(), strict=True):
        wanted.append(pair not in met)
        met.add(pair)
    assert first_choices(found).tolist() == wanted


def test_steady_choice_has_its_rate_whatever_the_span() -> None:
    events = [(0, 3, 1.0, 24 * day) for day in range(1000)]
    trends = before(events, START + 1000)
    spans = np.array(HALF_LIVES)
    np.testing.assert_allclose(trends.counts[:3, 3] * (1 - 0.5 ** (1 / spans)), 1.0, rtol=1e-3)
    assert trends.worth()[3] == pytest.approx(np.log(1 / FLOOR), abs=0.02)
    assert trends.features()[3, :3] == pytest.approx(np.log(1 + FLOOR), abs=1e-3)


def test_features_are_finite_and_as_many_as_said() -> None:
    for trends in (before([], START), before([(0, 1, 1.0, 1)], START + 1)):
        features = trends.features()
        assert features.shape == (N_ITEMS, n_trend_features(HALF_LIVES))
        assert features.dtype == np.float32
        assert np.isfinite(features).all()


def test_age_is_counted_from_the_day_first_seen_and_never_below_zero() -> None:
    ages = before([], 100).features()[:, -1]
    np.testing.assert_allclose(ages, np.log1p([10, 5, 0, 0, 0]) / 2, rtol=1e-6)
