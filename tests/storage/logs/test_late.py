"""Late events: each to its own day, whatever landed first, whatever landed again."""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import DAY, EARLIER, day_of, event, item

from retrieval.rules import Rules
from storage.logs import open_logs
from storage.logs.upkeep import problems

LATE = Rules(late_days=2)
OFFSETS = range(4)


@dataclass
class Twin:
    """Logs as a person would keep them on paper: every partition's good rows, from which each day is made anew."""

    late_days: int
    rows: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    def kept(self, landed: int) -> list[tuple[int, int, Any, str]]:
        """Day, line, key and user of the rows of a partition that are no fault and no repeat within it."""
        found, seen = [], set()
        for line, row in enumerate(self.rows[landed], 1):
            day = (row["occurred_at"].date() - DAY).days
            key = (day, row.get("event_id") or (row["user_id"], row["occurred_at"]))
            if landed - self.late_days <= day <= landed and key not in seen:
                seen.add(key)
                found.append((day, line, key, row["user_id"]))
        return found

    def events(self) -> list[tuple[dt.date, dt.date, int, str]]:
        """Day, day of landing, line and user of every event, the own partition's before those that landed later."""
        rows = [
            (landed != day, landed, line, day, key, user)
            for landed in self.rows
            for day, line, key, user in self.kept(landed)
        ]
        found, seen = [], set()
        for _, landed, line, day, key, user in sorted(rows, key=lambda row: row[:3]):
            if key not in seen:
                seen.add(key)
                found.append((day_of(day), day_of(landed), line, user))
        return sorted(found)


PEOPLE = st.sampled_from(["u1", "u2", "u3"])
LANDED = st.lists(
    st.tuples(PEOPLE, st.integers(-3, 1), st.sampled_from([None, None, "e1", "e2"])), min_size=0, max_size=6
)


def land(place: Any, offset: int, rows: Iterable[tuple[str, int, str | None]]) -> list[dict[str, Any]]:
    made = [event(user, day=day_of(offset + later)) | {"event_id": id_} for user, later, id_ in rows]
    place.land("events", day_of(offset), made, "a.jsonl")
    return made


def state(place: Any) -> dict[str, Any]:
    """All that must not depend on the order of loading."""
    tables = ("events", "late_events", "quarantine", "partitions", "contents", "seen_users", "profiles")
    with place.opened() as logs:
        assert problems(logs) == []
        return {name: logs.connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall() for name in tables}


def held(place: Any) -> list[tuple[dt.date, dt.date, int, str]]:
    return list(place.rows("SELECT day, landed, line, user_id FROM events ORDER BY ALL"))


def loaded(place: Any, landed: Sequence[Sequence[Any]], offsets: Iterable[int]) -> Any:
    place.land("items", day_of(-9), [item("i1")])
    with open_logs(place.logs) as logs:
        place.settle(logs, [("items", day_of(-9))])
        for offset in offsets:
            land(place, offset, landed[offset])
            place.settle(logs, [("events", day_of(offset))], rules=LATE)
    return place


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    first=st.lists(LANDED, min_size=4, max_size=4),
    second=st.lists(LANDED, min_size=4, max_size=4),
    order=st.lists(st.sampled_from(OFFSETS), max_size=3).flatmap(lambda again: st.permutations([*OFFSETS, *again])),
)
def test_days_landed_and_corrected_in_any_order_end_as_on_paper_and_as_in_fresh_logs(
    places: Callable[[], Any], first: list[Any], second: list[Any], order: list[int]
) -> None:
    place, twin, last = places(), Twin(LATE.late_days), list(first)
    place.land("items", day_of(-9), [item("i1")])
    with open_logs(place.logs) as logs:
        place.settle(logs, [("items", day_of(-9))])
        for offset in order:
            last[offset] = second[offset] if offset in twin.rows else first[offset]
            twin.rows[offset] = land(place, offset, last[offset])
            (counts,) = place.settle(logs, [("events", day_of(offset))], rules=LATE)
            assert counts.landed == counts.loaded + counts.quarantined + counts.duplicates == len(last[offset])
    assert held(place) == twin.events()
    by_partition = dict(place.rows("SELECT day, (n_loaded, n_late) FROM partitions WHERE kind = 'events'"))
    for offset in OFFSETS:
        mine = [day for day, landed, *_ in twin.events() if landed == day_of(offset)]
        assert by_partition[day_of(offset)] == (len(mine), sum(day < day_of(offset) for day in mine))
    assert state(place) == state(loaded(places(), last, OFFSETS))


REPEATED: dict[str, list[list[tuple[str, int, str | None]]]] = {
    "an id sent again late": [[("u1", 0, "e")], [("u1", -1, "e")], [("u1", -2, "e")], []],
    "an id of another user": [[("u1", 0, "e")], [("u2", -1, "e"), ("u3", -1, "e")], [("u3", -2, "e")], []],
    "a row alike in everything": [[("u1", 0, None)], [("u1", -1, None)], [("u1", -2, None), ("u1", 0, None)], []],
    "late twice, own never": [[], [("u2", -1, "e")], [("u1", -2, "e")], [("u1", -2, "f"), ("u1", -2, "f")]],
}


@pytest.mark.parametrize("landed", REPEATED.values(), ids=list(REPEATED))
def test_an_event_counts_once_whichever_partition_that_holds_it_lands_first(
    places: Callable[[], Any], landed: list[Any]
) -> None:
    orders = [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1), (1, 3, 0, 2, 1)]
    states = [state(loaded(places(), landed, order)) for order in orders]
    assert all(found == states[0] for found in states)


def test_a_late_event_goes_to_its_own_day_and_is_counted_where_it_landed(stocked: Any) -> None:
    stocked.land("events", EARLIER, [event("u1", day=EARLIER)])
    stocked.load(EARLIER)
    stocked.land(
        "events", DAY, [event("u2"), event("u3", day=EARLIER), event("u1", day=EARLIER), event("u4", day=day_of(-3))]
    )
    (counts,) = stocked.load(DAY, rules=LATE)
    assert (counts.landed, counts.loaded, counts.late, counts.quarantined, counts.duplicates) == (4, 2, 1, 1, 1)
    assert held(stocked) == [(EARLIER, EARLIER, 1, "u1"), (EARLIER, DAY, 2, "u3"), (DAY, DAY, 1, "u2")]
    assert [reasons for _, _, reasons, _ in stocked.quarantine()] == [["outside_day"]]
    with stocked.opened() as logs:
        assert [(entry.day, entry.taken_up, entry.waiting) for entry in logs.reopened()] == [(EARLIER, 1, 0)]
        assert logs.days_loaded() == [(EARLIER, 2), (DAY, 1)]


def test_the_oldest_event_that_may_land_late_is_late_days_old(stocked: Any) -> None:
    stocked.land("items", day_of(-9), [item("i1")])
    stocked.land("events", DAY, [event("a", day=day_of(-2), hour=0), event("b", day=day_of(-3), hour=23.99)])
    stocked.load(day_of(-9), DAY, rules=LATE)
    assert [user for *_, user in held(stocked)] == ["a"]


def test_a_late_event_is_judged_by_the_catalogue_of_its_own_day(stocked: Any) -> None:
    stocked.land("items", DAY, [item("i3")])
    stocked.land("events", DAY, [event("a", "i3"), event("b", "i3", day=EARLIER)])
    stocked.load(EARLIER, DAY, rules=LATE)
    assert [user for *_, user in held(stocked)] == ["a"]
    assert [reasons for _, _, reasons, _ in stocked.quarantine()] == [["unknown_item"]]


def test_the_late_events_of_a_refused_partition_stay_out_of_their_days(stocked: Any) -> None:
    stocked.land("events", EARLIER, [event("u1", day=EARLIER)])
    stocked.land("events", DAY, [event("u2"), event("u3", day=EARLIER)])
    stocked.load(EARLIER, DAY, rules=LATE)
    stocked.load(DAY, rules=LATE, accept=False, kinds=("events",))
    assert held(stocked) == [(EARLIER, EARLIER, 1, "u1")]
    with stocked.opened() as logs:
        assert logs.reopened() == []
        assert problems(logs) == []


# Waiting for a backfill of their own day.

WAITING = Rules(late_days=2, late_events="backfill")


def test_with_backfill_late_events_wait_in_the_quarantine_with_that_reason_alone(stocked: Any) -> None:
    rows = [event("u2"), event("u3", day=EARLIER), event("", day=EARLIER), event("u4", day=day_of(-3))]
    stocked.land("events", DAY, rows)
    counts = {entry.kind: entry for entry in stocked.load(EARLIER, DAY, rules=WAITING)}["events"]
    assert (counts.loaded, counts.quarantined, counts.late) == (1, 3, 0)
    found = [(line, set(reasons)) for _, line, reasons, _ in stocked.quarantine()]
    assert found == [(2, {"late_event"}), (3, {"late_event", "missing_user"}), (4, {"outside_day"})]
    with stocked.opened() as logs:
        assert [(entry.day, entry.taken_up, entry.waiting) for entry in logs.reopened()] == [(EARLIER, 0, 1)]


def test_what_was_taken_up_comes_in_with_its_partition_and_the_rest_goes_on_waiting(stocked: Any) -> None:
    stocked.land("items", day_of(-9), [item("i1")])
    rows = [event("u2"), event("u3", day=EARLIER), event("u4", day=day_of(-2)), event("u5", day=EARLIER, hour=99)]
    stocked.land("events", DAY, [*rows, event("u6") | {"occurred_at": "junk"}], "a.csv")
    stocked.load(day_of(-9), DAY, rules=WAITING)
    with open_logs(stocked.logs) as logs, logs.transaction():
        assert logs.take_up(EARLIER, EARLIER) == [DAY]
        assert logs.take_up(EARLIER, EARLIER) == [DAY]  # nothing was judged yet
    stocked.load(DAY, rules=WAITING)
    assert held(stocked) == [(EARLIER, DAY, 2, "u3"), (DAY, DAY, 1, "u2")]
    with open_logs(stocked.logs) as logs, logs.transaction():
        assert [(entry.day, entry.taken_up, entry.waiting) for entry in logs.reopened()] == [
            (day_of(-2), 0, 1),
            (EARLIER, 1, 0),
        ]
        assert logs.take_up(EARLIER, DAY) == []
        assert problems(logs) == []
