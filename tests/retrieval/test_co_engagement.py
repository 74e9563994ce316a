"""What goes together is what a loop over every user's events says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.co_engagement import CoEngagement, Together
from retrieval.domain import DAY, Histories

Event = tuple[int, int, int, float]
"""User, item, second, weight."""


def histories_of(events: list[Event]) -> Histories:
    users, items, times, weights = (np.array(part) for part in zip(*events, strict=True))
    return Histories.build(users.astype(np.int64), items, weights.astype(np.float32), times.astype(np.int64), 4)


def by_loop(events: list[Event], window_days: float) -> list[tuple[int, int, int]]:
    """Every user, trigger and target: at most the window earlier, or at the same second."""
    chosen = [event for event in events if event[3] > 0]
    return sorted(
        (user, trigger, target)
        for place, (user, target, at, _) in enumerate(chosen)
        for other, (whose, trigger, before, _) in enumerate(chosen)
        if whose == user and other != place and trigger != target and at - window_days * DAY <= before <= at
    )


def as_tuples(found: Together) -> list[tuple[int, int, int]]:
    return sorted(zip(found.users.tolist(), found.triggers.tolist(), found.targets.tolist(), strict=True))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(0, 5),
            st.integers(0, 12).map(lambda n: n * DAY // 4),
            st.sampled_from([1, -1]),
        ),
        min_size=1,
        max_size=25,
    )
)
def test_all_pairs_are_those_of_a_loop(events: list[tuple[int, int, int, int]]) -> None:
    weighed = [(user, item, at, float(weight)) for user, item, at, weight in events]
    together = CoEngagement.of(histories_of(weighed), window_days=1.0)
    assert as_tuples(together.all_of(together.events_of(0, 10))) == by_loop(weighed, 1.0)


def test_what_was_chosen_at_the_same_second_goes_together_both_ways() -> None:
    together = CoEngagement.of(histories_of([(0, 1, 50, 1.0), (0, 2, 50, 0.5)]), window_days=1.0)
    found = together.all_of(together.events_of(0, 1))
    assert as_tuples(found) == [(0, 1, 2), (0, 2, 1)]
    assert found.weights.tolist() == [0.5, 0.5]


def test_draws_are_of_the_pairs_that_there_are_and_even() -> None:
    events = [(0, item, item * 60, 1.0) for item in range(5)] + [(1, 0, 0, 1.0)]
    together = CoEngagement.of(histories_of(events), window_days=1.0)
    drawn = together.sample(together.events_of(0, 1), 4000, np.random.default_rng(0))
    whole = by_loop(events, 1.0)
    assert set(as_tuples(drawn)) == set(whole)
    triggers_of_last = drawn.triggers[drawn.targets == 4]
    assert np.bincount(triggers_of_last) / len(triggers_of_last) == pytest.approx(0.25, abs=0.03)


def test_events_of_a_span_are_those_of_its_days_that_have_company() -> None:
    events = [(0, 1, 0, 1.0), (0, 2, DAY, 1.0), (0, 3, 2 * DAY, 1.0), (1, 1, DAY, 1.0)]
    together = CoEngagement.of(histories_of(events), window_days=1.0)
    found = together.all_of(together.events_of(1, 2))
    assert as_tuples(found) == [(0, 1, 2)]


def test_targets_are_grouped_by_trigger_once_each() -> None:
    events = [(0, 1, 0, 1.0), (0, 2, 60, 1.0), (1, 1, 0, 1.0), (1, 2, 60, 1.0), (1, 3, 120, 1.0)]
    together = CoEngagement.of(histories_of(events), window_days=1.0)
    triggers, targets = together.all_of(together.events_of(0, 1)).by_trigger()
    assert triggers.tolist() == [1, 2]
    assert [targets.row(row).tolist() for row in range(2)] == [[2, 3], [3]]


def test_nothing_goes_together_where_nobody_chose() -> None:
    together = CoEngagement.of(Histories.empty(2), window_days=1.0)
    triggers, targets = together.all_of(together.events_of(0, 100)).by_trigger()
    assert not len(triggers) and not len(targets)
