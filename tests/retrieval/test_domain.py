"""Ragged rows and histories do what plain lists of lists would."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from retrieval.domain import UNKNOWN, Candidates, Dataset, Histories, Ragged
from retrieval.synthetic import World, planted_world

LISTS = st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=8)
Event = tuple[int, int, float, int]
"""user, item, weight, time"""
EVENTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 6), st.sampled_from([-1.0, 0.5, 1.0]), st.integers(0, 5)), max_size=30
)
N_USERS = 5


@pytest.fixture(scope="module")
def world() -> World:
    return planted_world(n_users=20, n_items=16, n_days=4)


def ragged(rows: list[list[int]]) -> Ragged:
    owners = np.array([index for index, row in enumerate(rows) for _ in row], np.int64)
    return Ragged.from_owners(owners, np.array([value for row in rows for value in row], np.int64), len(rows))


def as_lists(rows: Ragged) -> list[list[int]]:
    return [rows.row(index).tolist() for index in range(len(rows))]


def histories(events: list[Event]) -> Histories:
    users, items, weights, times = (
        (np.array(column) for column in zip(*events, strict=True)) if events else [np.zeros(0, int)] * 4
    )
    return Histories.build(users, items, weights, times, N_USERS)


def rows_of(found: Histories) -> list[list[tuple[int, float, int]]]:
    bounds = zip(found.offsets[:-1], found.offsets[1:], strict=True)
    columns = (found.items, found.weights, found.times)
    return [list(zip(*(column[a:b].tolist() for column in columns), strict=True)) for a, b in bounds]


def built_by_hand(events: list[Event]) -> list[list[tuple[int, float, int]]]:
    """Each user's (item, weight, time), by time and then item; equal ones in the order given."""
    rows: list[list[tuple[int, float, int]]] = [[] for _ in range(N_USERS)]
    for user, item, weight, time in events:
        rows[user].append((item, weight, time))
    return [sorted(row, key=lambda entry: (entry[2], entry[0])) for row in rows]


@given(LISTS)
def test_ragged_holds_the_lists_it_was_made_of(rows: list[list[int]]) -> None:
    found = ragged(rows)
    assert as_lists(found) == rows
    assert found.lengths.tolist() == [len(row) for row in rows]
    assert found.owners().tolist() == [index for index, row in enumerate(rows) for _ in row]


@given(LISTS, st.data())
def test_take_gives_the_rows_asked_for_and_nothing_for_unknown_ones(rows: list[list[int]], data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.integers(UNKNOWN, len(rows) - 1), max_size=10))
    taken = ragged(rows).take(np.array(wanted, np.int32))
    assert as_lists(taken) == [[] if row == UNKNOWN else rows[row] for row in wanted]


def test_empty_ragged_has_empty_rows() -> None:
    assert as_lists(Ragged.empty(3)) == [[], [], []]


@given(EVENTS)
def test_histories_are_ordered_by_time_then_item(events: list[Event]) -> None:
    assert rows_of(histories(events)) == built_by_hand(events)


@given(EVENTS, st.randoms())
def test_equal_logs_give_equal_histories_in_whatever_order_they_come(events: list[Event], random: object) -> None:
    distinct = list({(user, item, time): (user, item, weight, time) for user, item, weight, time in events}.values())
    shuffled = distinct.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert rows_of(histories(shuffled)) == rows_of(histories(distinct))


@given(EVENTS, st.lists(st.integers(UNKNOWN, N_USERS - 1), max_size=8))
def test_take_of_histories_is_a_loop_over_users(events: list[Event], users: list[int]) -> None:
    rows = built_by_hand(events)
    assert rows_of(histories(events).take(np.array(users, np.int64))) == [
        [] if u == UNKNOWN else rows[u] for u in users
    ]


@given(EVENTS, st.data())
def test_where_keeps_every_user_and_only_the_events_asked_for(events: list[Event], data: st.DataObject) -> None:
    found = histories(events)
    keep = data.draw(hnp.arrays(bool, found.n_events))
    kept = iter(keep.tolist())
    assert rows_of(found.where(keep)) == [[event for event in row if next(kept)] for row in built_by_hand(events)]


@given(EVENTS, st.integers(1, 6))
def test_last_is_the_tail_of_each_history(events: list[Event], n: int) -> None:
    assert rows_of(histories(events).last(n)) == [row[-n:] for row in built_by_hand(events)]


@given(EVENTS)
def test_seen_is_the_set_of_each_users_items(events: list[Event]) -> None:
    assert as_lists(histories(events).seen()) == [sorted({item for item, _, _ in row}) for row in built_by_hand(events)]


@given(EVENTS)
def test_positives_have_weights_above_zero(events: list[Event]) -> None:
    wanted = [[event for event in row if event[1] > 0] for row in built_by_hand(events)]
    assert rows_of(histories(events).positives()) == wanted


def test_dataset_refuses_an_event_of_its_own_day(world: World) -> None:
    dataset = world.dataset(world.days[2])
    with pytest.raises(ValueError, match="on or after"):
        Dataset(dataset.day - 1, dataset.catalogue, dataset.people, dataset.histories)


def test_dataset_refuses_the_first_second_of_its_day_and_takes_the_last_before(world: World) -> None:
    dataset, one = world.dataset(world.days[1]), np.ones(1, np.int64)

    def at(second: int) -> Histories:
        return Histories.build(0 * one, 0 * one, one, one * second, len(dataset.people))

    midnight = dataset.day * 86_400
    Dataset(dataset.day, dataset.catalogue, dataset.people, at(midnight - 1))
    with pytest.raises(ValueError, match="on or after"):
        Dataset(dataset.day, dataset.catalogue, dataset.people, at(midnight))


def test_feature_fields_are_the_names_before_the_equals_sign(world: World) -> None:
    catalogue = world.dataset(world.days[1]).catalogue
    fields: dict[str, set[int]] = {}
    for name, number in zip(catalogue.feature_names.ids.to_pylist(), catalogue.feature_fields().tolist(), strict=True):
        fields.setdefault(name.split("=")[0], set()).add(number)
    assert set(fields) == {"brand", "topic1", "topic2"}
    assert sorted(len(numbers) for numbers in fields.values()) == [1, 1, 1]
    assert len(set.union(*fields.values())) == 3


def test_top_keeps_the_first_of_each_ranking() -> None:
    found = Candidates(np.array([[3, 1, 2]], np.int32), np.array([[0.9, 0.5, 0.1]], np.float32)).top(2)
    assert found.items.tolist() == [[3, 1]]
