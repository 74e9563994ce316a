"""The logs: every row accounted for, days replaced as a whole in any order, one writer, never half a day."""

import datetime as dt
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import ContractError, LogsError
from retrieval.rules import Rules
from storage.logs import open_logs
from storage.logs.queries import query
from validation.reasons import REASONS

DAY = dt.date(2026, 3, 5)
EARLIER = DAY - dt.timedelta(1)
HOUR = dt.timedelta(hours=1)


def at(day: dt.date, hour: float = 12) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC) + hour * HOUR


def event(user: str = "u1", item: str = "i1", day: dt.date = DAY, hour: float = 12, **more: Any) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "action": "buy", "occurred_at": at(day, hour)} | more


def item(id_: str, **more: Any) -> dict[str, Any]:
    return {"item_id": id_, "title": f"title of {id_}"} | more


@pytest.fixture
def stocked(place: Any) -> Any:
    """A place whose catalogue holds i1 and i2 since the day before."""
    place.land("items", EARLIER, [item("i1"), item("i2")])
    return place


# Rows: what becomes of each.

ROWS = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(["u1", "u1", "u2", "", None]),
        "item_id": st.sampled_from(["i1", "i1", "i2", "ghost", "", None]),
        "action": st.sampled_from(["buy", "buy", "rate", "fly", None]),
        "occurred_at": st.sampled_from(["2026-03-05T10:00:00", "2026-03-05T10:00:00", "2026-03-06", "junk", None]),
        "event_id": st.sampled_from([None, None, None, "e1", "e2"]),
        "value": st.sampled_from([None, "1", "2", "x"]),
        "served_by": st.sampled_from([None, "r1", "r2"]),
    }
)


def reasons_of(row: Mapping[str, str | None]) -> set[str]:
    """The slow twin of judge_events.sql."""
    tests = {
        "missing_user": not row["user_id"],
        "missing_item": not row["item_id"],
        "unknown_action": row["action"] not in ("buy", "rate"),
        "unreadable_time": row["occurred_at"] in ("junk", None),
        "outside_day": row["occurred_at"] == "2026-03-06",
        "unknown_item": row["item_id"] == "ghost",
        "unreadable_value": row["value"] == "x",
    }
    return {reason for reason, holds in tests.items() if holds}


@settings(max_examples=15, deadline=None)
@given(rows=st.lists(ROWS, min_size=1, max_size=25), ending=st.sampled_from(["csv", "jsonl"]))
def test_every_landed_row_is_loaded_refused_or_a_duplicate(
    places: Callable[[], Any], rows: list[dict[str, str | None]], ending: str
) -> None:
    place = places()
    place.land("items", EARLIER, [item("i1"), item("i2")])
    place.land("events", DAY, rows, f"a.{ending}")
    counts = {entry.kind: entry for entry in place.load(EARLIER, DAY)}["events"]
    refused = [(line, reasons_of(row)) for line, row in enumerate(rows, 1) if reasons_of(row)]
    kept = {row["event_id"] or frozenset(row.items()) for row in rows if not reasons_of(row)}
    assert counts.landed == len(rows)
    assert counts.landed == counts.loaded + counts.quarantined + counts.duplicates
    assert (counts.loaded, counts.quarantined) == (len(kept), len(refused))
    assert [(line, set(reasons)) for _, line, reasons, _ in place.quarantine()] == refused
    assert place.rows("SELECT count(*) FROM events") == [(counts.loaded,)]
    assert place.rows(
        "SELECT n_landed, n_loaded, n_quarantined, n_duplicates FROM partitions WHERE kind = 'events'"
    ) == [(counts.landed, counts.loaded, counts.quarantined, counts.duplicates)]


FAULTY_EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("missing_user", {"user_id": ""}),
    ("missing_item", {"item_id": None}),
    ("unknown_action", {"action": "fly"}),
    ("unknown_action", {"action": None}),
    ("unreadable_time", {"occurred_at": None}),
    ("outside_day", {"occurred_at": at(DAY, 24)}),
    ("outside_day", {"occurred_at": at(DAY, -0.001)}),
    ("unknown_item", {"item_id": "ghost"}),
    ("unreadable_value", {"value": "x"}),
]


@pytest.mark.parametrize(("reason", "fault"), FAULTY_EVENTS)
def test_a_faulty_event_carries_the_reason_made_for_it(stocked: Any, reason: str, fault: dict[str, Any]) -> None:
    rows = [event("u9"), event() | fault]
    stocked.land("events", DAY, rows, "a.csv")
    stocked.load(EARLIER, DAY)
    assert [(line, reasons) for _, line, reasons, _ in stocked.quarantine()] == [(2, [reason])]


@pytest.mark.parametrize(
    ("kind", "row", "reasons"),
    [
        ("items", {"item_id": None, "title": "T"}, ["missing_item"]),
        ("items", {"item_id": "a", "title": ""}, ["missing_title"]),
        (
            "items",
            {"item_id": "a", "title": "T", "available_from": "2026-02-01", "available_until": "2026-01-31"},
            ["ends_before_start"],
        ),
        ("items", {"item_id": "a", "title": "T", "available_from": "spring"}, ["unreadable_value"]),
        ("users", {"user_id": "", "attributes": "{}"}, ["missing_user"]),
        ("users", {"user_id": "a", "attributes": "x"}, ["unreadable_value"]),
    ],
)
def test_a_faulty_item_or_user_carries_the_reason_made_for_it(
    place: Any, kind: Any, row: dict[str, Any], reasons: list[str]
) -> None:
    place.land(kind, DAY, [row], "a.csv")
    (counts,) = place.load(DAY)
    assert (counts.landed, counts.quarantined) == (1, 1)
    assert [found for _, _, found, _ in place.quarantine()] == [reasons]


def test_the_last_and_the_first_moment_of_the_day_are_inside_it(stocked: Any) -> None:
    moments = [at(DAY, 0), at(DAY, 24) - dt.timedelta(microseconds=1)]
    stocked.land("events", DAY, [event() | {"occurred_at": moment} for moment in moments])
    stocked.load(EARLIER, DAY)
    assert stocked.rows("SELECT count(*) FROM events") == [(2,)]


def test_a_row_carries_every_reason_that_holds(stocked: Any) -> None:
    row = event("", "ghost", EARLIER, value="x") | {"action": "fly"}
    stocked.land("events", DAY, [row], "a.csv")
    stocked.load(EARLIER, DAY)
    reasons = {"missing_user", "unknown_item", "unknown_action", "outside_day", "unreadable_value"}
    assert set(stocked.quarantine()[0][2]) == reasons


def test_the_reasons_in_code_are_exactly_those_the_queries_give() -> None:
    sql = "".join(query(f"judge_{kind}") for kind in ("events", "items", "users"))
    assert set(re.findall(r"THEN '(\w+)' END", sql)) | {"day_refused"} == set(REASONS)


def test_the_same_event_id_counts_once_whatever_else_differs(stocked: Any) -> None:
    stocked.land("events", DAY, [event(event_id="e"), event("u2", event_id="e"), event(event_id="f")])
    counts = {entry.kind: entry for entry in stocked.load(EARLIER, DAY)}["events"]
    assert (counts.loaded, counts.duplicates) == (2, 1)
    assert stocked.rows("SELECT event_id, user_id FROM events ORDER BY ALL") == [("e", "u1"), ("f", "u1")]


def test_without_an_id_only_rows_alike_in_every_column_are_duplicates(stocked: Any) -> None:
    others = [{"value": 1.0}, {"condition": "c"}, {"position": 1}, {"served_by": "r"}, {"context": {"store": "1"}}]
    others += [{"user_id": "u2"}, {"item_id": "i2"}, {"action": "rate"}, {"occurred_at": at(DAY, 13)}]
    rows = [event(), *(event() | other for other in others)]
    stocked.land("events", DAY, [*rows, *rows])
    counts = {entry.kind: entry for entry in stocked.load(EARLIER, DAY)}["events"]
    assert (counts.loaded, counts.duplicates) == (len(rows), len(rows))


def test_an_empty_event_id_is_no_id(stocked: Any) -> None:
    stocked.land("events", DAY, [event("u1", event_id=""), event("u2", event_id="")])
    assert {entry.kind: entry for entry in stocked.load(EARLIER, DAY)}["events"].loaded == 2


def test_refused_rows_that_repeat_each_other_are_refused_each(stocked: Any) -> None:
    stocked.land("events", DAY, [event(""), event(""), event("", event_id="e"), event(event_id="e")])
    counts = {entry.kind: entry for entry in stocked.load(EARLIER, DAY)}["events"]
    assert (counts.loaded, counts.quarantined, counts.duplicates) == (1, 3, 0)


def test_the_same_event_id_on_another_day_is_another_event(stocked: Any) -> None:
    stocked.land("events", DAY, [event(event_id="e")])
    stocked.land("events", EARLIER, [event(day=EARLIER, event_id="e")])
    stocked.load(EARLIER, DAY)
    assert stocked.rows("SELECT count(*) FROM events") == [(2,)]


def test_which_of_two_duplicates_is_kept_does_not_depend_on_the_days_loaded_with_it(places: Callable[[], Any]) -> None:
    contents = []
    for together in (True, False):
        place = places()
        place.land("items", EARLIER, [item("i1")])
        place.land("events", EARLIER, [event(day=EARLIER, value=1.0)], "z.csv")
        place.land("events", DAY, [event("u1", event_id="e")], "a.parquet")
        place.land("events", DAY, [event("u2", event_id="e", value=1.0)], "b.csv")
        if together:
            place.load(EARLIER, DAY)
        else:
            place.load(EARLIER, kinds=("items",))
            place.load(DAY)
            place.load(EARLIER, kinds=("events",))
        contents.append(place.rows("SELECT user_id FROM events WHERE event_id = 'e'"))
    assert contents[0] == contents[1] == [("u1",)]


def test_a_refused_item_is_known_to_no_event(stocked: Any) -> None:
    stocked.land("items", DAY, [item("i3", title="")])
    stocked.land("events", DAY, [event(item="i3")])
    stocked.load(EARLIER, DAY)
    assert stocked.quarantine()[0][2] == ["unknown_item"]


def test_an_item_that_lands_later_is_unknown_to_an_earlier_day(stocked: Any) -> None:
    stocked.land("items", DAY + dt.timedelta(1), [item("i3")])
    stocked.land("events", DAY, [event(item="i3")])
    stocked.load(EARLIER, DAY, DAY + dt.timedelta(1))
    assert stocked.quarantine()[0][2] == ["unknown_item"]


# Days: twice, in any order, replaced as a whole.

WEEK = [DAY + dt.timedelta(n) for n in range(5)]


def land_week(place: Any) -> None:
    for n, day in enumerate(WEEK):
        place.land("items", day, [item(f"i{n}", title=f"as of {day}"), item("i0", title=f"as of {day}")])
        place.land("users", day, [{"user_id": "u1", "attributes": {"age": str(n)}}])
        rows = [event(f"u{k}", f"i{min(k, n)}", day, hour=k, context={"store": str(k % 2)}) for k in range(n + 2)]
        rows += [rows[0], event("", "i0", day), event("u1", f"i{n + 1}", day)]
        place.land("events", day, rows, "a.parquet" if n % 2 else "a.jsonl")


def load_by_day(place: Any, days: list[dt.date]) -> None:
    """As ingest does: with a day, the items and users landed up to it that are not in the logs."""
    newest = WEEK[0] - dt.timedelta(1)
    for day in days:
        others = [other for other in WEEK if newest < other <= day]
        place.load_parts([("events", day), *((kind, other) for kind in ("items", "users") for other in others)])
        newest = max(newest, day)


def answers(place: Any) -> list[Any]:
    with place.opened() as logs:
        return [[logs.catalogue(day).to_pylist(), logs.people(day, ["store"]).to_pylist()] for day in WEEK] + [
            logs.interactions(WEEK[0], WEEK[-1]).to_pylist()
        ]


@pytest.fixture(scope="module")
def in_order(places: Callable[[], Any]) -> Any:
    place = places()
    land_week(place)
    load_by_day(place, WEEK)
    return place


def same_but_files(one: Any, two: Any) -> bool:
    return bool(one.content() == two.content() and answers(one) == answers(two))


def test_a_day_loaded_twice_has_no_row_twice(places: Callable[[], Any], in_order: Any) -> None:
    place = places()
    land_week(place)
    load_by_day(place, [day for day in WEEK for _ in range(2)])
    assert same_but_files(place, in_order)


@settings(max_examples=5, deadline=None)
@given(order=st.permutations(WEEK))
def test_days_loaded_in_any_order_end_in_the_same_logs(
    places: Callable[[], Any], in_order: Any, order: list[dt.date]
) -> None:
    place = places()
    land_week(place)
    load_by_day(place, order)
    assert same_but_files(place, in_order)


def test_days_loaded_in_one_pass_end_in_the_same_logs(places: Callable[[], Any], in_order: Any) -> None:
    place = places()
    land_week(place)
    place.load(*WEEK)
    assert same_but_files(place, in_order)


def test_the_digest_of_a_past_day_does_not_see_later_days(in_order: Any, places: Callable[[], Any]) -> None:
    place = places()
    land_week(place)
    load_by_day(place, WEEK[:3])
    with place.opened() as few, in_order.opened() as all_:
        assert few.digest(WEEK[2]) == all_.digest(WEEK[2])
        assert few.digest(WEEK[4]) != all_.digest(WEEK[4])


def test_a_corrected_partition_replaces_its_day_and_no_other(stocked: Any) -> None:
    stocked.land("events", EARLIER, [event(day=EARLIER)])
    stocked.land("events", DAY, [event("u1"), event("u2"), event("")])
    stocked.load(EARLIER, DAY)
    with stocked.opened() as logs:
        before = logs.digest(DAY)
    stocked.land("events", DAY, [event("u3")])
    stocked.load(DAY)
    assert stocked.rows("SELECT day, user_id FROM events ORDER BY ALL") == [(EARLIER, "u1"), (DAY, "u3")]
    assert stocked.quarantine() == []
    assert stocked.rows("SELECT count(*) FROM partitions WHERE day = '2026-03-05'") == [(1,)]
    with stocked.opened() as logs:
        assert logs.digest(DAY) != before


def test_a_day_that_is_not_accepted_leaves_what_the_logs_held_of_it(stocked: Any) -> None:
    stocked.land("events", DAY, [event("u1"), event("")])
    stocked.load(EARLIER, DAY)
    before = stocked.content()
    stocked.land("events", DAY, [event("u2")])
    stocked.load(DAY, accept=False)
    assert stocked.content() == before


def test_an_error_inside_the_block_leaves_the_logs_as_they_were(stocked: Any) -> None:
    stocked.load(EARLIER)
    before = stocked.content()
    stocked.land("events", DAY, [event()])
    with pytest.raises(KeyboardInterrupt), open_logs(stocked.logs) as logs:
        partitions = [stocked.zone.partition("events", DAY)]
        with logs.staging(stocked.zone, partitions, ["buy"]) as staged:
            staged.accept({DAY: []})
            raise KeyboardInterrupt
    assert stocked.content() == before


def test_after_a_refused_file_the_same_connection_loads_the_next(stocked: Any) -> None:
    stocked.land("events", DAY, b"torn", "torn.parquet")
    stocked.land("events", EARLIER, [event(day=EARLIER)])
    with open_logs(stocked.logs) as logs:
        for day in (DAY, EARLIER):
            try:
                parts = [stocked.zone.partition("items", EARLIER), stocked.zone.partition("events", day)]
                with logs.staging(stocked.zone, parts, ["buy"]) as staged:
                    staged.accept({day: []})
            except ContractError:
                assert day == DAY
        assert logs.days_loaded() == [(EARLIER, 1)]


def test_recorded_gives_back_counts_reasons_and_checks_once_each(stocked: Any) -> None:
    stocked.land("items", DAY, [item("i3"), item("i4", title="")])
    stocked.land("users", DAY, [{"user_id": "u"}])
    stocked.land("events", DAY, [event(), event(), event("")])
    checks = [{"rule": "n_rows", "day": DAY, "passed": True}, {"rule": "null_share", "day": DAY, "passed": True}]
    with open_logs(stocked.logs) as logs:
        kinds = [("items", EARLIER), ("items", DAY), ("users", DAY), ("events", DAY)]
        partitions = [stocked.zone.partition(kind, day) for kind, day in kinds]
        with logs.staging(stocked.zone, partitions, ["buy"]) as staged:
            staged.accept({DAY: checks})
            made = [entry for entry in staged.counts() if entry.day == DAY]
        counts, reasons, found = logs.recorded(DAY)
    assert sorted(counts, key=str) == sorted(made, key=str)
    assert reasons == {"missing_title": 1, "missing_user": 1}
    assert found == checks


# As of a day: nothing later is seen.


def test_the_catalogue_of_a_past_day_never_sees_a_later_version(place: Any) -> None:
    old = {"topics": ["a"], "attributes": {"k": "old"}, "available_until": dt.date(2026, 4, 1), "description": "old"}
    new = {"topics": ["b"], "attributes": {"k": "new"}, "available_until": None, "description": "new"}
    place.land("items", EARLIER, [item("i1", title="old", **old)])
    place.land("items", DAY, [item("i1", title="new", **new), item("i2")])
    place.load(EARLIER, DAY)
    with place.opened() as logs:
        assert logs.catalogue(EARLIER - dt.timedelta(1)).num_rows == 0
        (then,) = logs.catalogue(EARLIER).to_pylist()
        now, second = logs.catalogue(DAY).to_pylist()
    assert (then["title"], then["topics"], then["attributes"], then["description"]) == (
        "old",
        ["a"],
        [("k", "old")],
        "old",
    )
    assert then["available_until"] == dt.date(2026, 4, 1)
    assert (now["title"], now["topics"], now["attributes"], now["description"]) == ("new", ["b"], [("k", "new")], "new")
    assert now["available_until"] is None
    assert (then["first_seen"], now["first_seen"], second["first_seen"]) == (EARLIER, EARLIER, DAY)


def test_a_version_without_attributes_has_none_rather_than_the_former_ones(place: Any) -> None:
    place.land("items", EARLIER, [item("i1", attributes={"k": "v"}, topics=["a"], description="d")])
    place.land("items", DAY, [item("i1")])
    place.load(EARLIER, DAY)
    with place.opened() as logs:
        (now,) = logs.catalogue(DAY).to_pylist()
    assert (now["attributes"], now["topics"], now["description"]) == ([], [], "")


def test_people_are_those_met_up_to_the_day_with_the_attributes_they_had_then(stocked: Any) -> None:
    stocked.land("users", EARLIER, [{"user_id": "u1", "attributes": {"age": "30"}}])
    stocked.land("users", DAY, [{"user_id": "u1", "attributes": {"age": "31"}}, {"user_id": "u2"}])
    stocked.land("events", DAY, [event("u3")])
    stocked.load(EARLIER, DAY)
    with stocked.opened() as logs:
        then = {row["user_id"]: row["attributes"] for row in logs.people(EARLIER, []).to_pylist()}
        now = {row["user_id"]: row["attributes"] for row in logs.people(DAY, []).to_pylist()}
    assert then == {"u1": [("age", "30")]}
    assert now == {"u1": [("age", "31")], "u2": [], "u3": []}


def test_the_usual_context_is_read_off_earlier_events_alone(stocked: Any) -> None:
    stocked.land("events", EARLIER, [event(day=EARLIER, context={"store": "old", "odd key.$": "x"})])
    stocked.land("events", DAY, [event(hour=h, context={"store": "new"}) for h in range(5)])
    stocked.load(EARLIER, DAY)
    with stocked.opened() as logs:
        contexts = [
            logs.people(day, ["store", "odd key.$", "absent"]).to_pylist()[0]["context"]
            for day in (EARLIER, DAY, DAY + dt.timedelta(1))
        ]
    odd = ("odd key.$", "x")
    assert contexts == [[], [odd, ("store", "old")], [odd, ("store", "new")]]


def test_a_tie_of_usual_contexts_is_broken_the_same_way_every_time(places: Callable[[], Any]) -> None:
    found = set()
    for stores in (["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]):
        place = places()
        place.land("items", EARLIER, [item("i1")])
        rows = [event(day=EARLIER, hour=n, context={"store": store}) for n, store in enumerate(stores)]
        place.land("events", EARLIER, rows)
        place.load(EARLIER)
        with place.opened() as logs:
            found.add(str(logs.people(DAY, ["store"]).to_pylist()))
    assert len(found) == 1


def test_interactions_come_in_one_order_however_the_rows_landed(places: Callable[[], Any]) -> None:
    rows = [event(f"u{k % 2}", f"i{1 + k % 3 % 2}", value=float(k % 4), event_id=f"e{k}") for k in range(12)]
    tables = []
    for seed in range(3):
        place = places()
        place.land("items", EARLIER, [item("i1"), item("i2")])
        place.land("events", DAY, [rows[k] for k in np.random.default_rng(seed).permutation(12)])
        place.load(EARLIER, DAY)
        with place.opened() as logs:
            tables.append(logs.interactions(DAY, DAY))
    assert tables[0].num_rows == 12
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


def test_the_time_of_an_interaction_never_rounds_into_the_next_day(stocked: Any) -> None:
    stocked.land("events", DAY, [event() | {"occurred_at": at(DAY, 24) - dt.timedelta(microseconds=1)}])
    stocked.load(EARLIER, DAY)
    with stocked.opened() as logs:
        (seconds,) = logs.interactions(DAY, DAY)["time"].to_pylist()
    assert seconds == int(at(DAY, 24).timestamp()) - 1


def test_interactions_end_where_the_span_ends(stocked: Any) -> None:
    stocked.land("events", EARLIER, [event(day=EARLIER)])
    stocked.land("events", DAY, [event()])
    stocked.load(EARLIER, DAY)
    with stocked.opened() as logs:
        assert logs.interactions(EARLIER, EARLIER)["time"].to_pylist() == [int(at(EARLIER).timestamp())]
        assert logs.interactions(EARLIER, DAY).num_rows == 2


# The metrics that the rules judge.


def metrics(place: Any, days: list[dt.date], rules: Rules) -> list[dict[str, Any]]:
    with open_logs(place.logs) as logs:
        partitions = [place.zone.partition("events", day) for day in days]
        with logs.staging(place.zone, partitions, ["buy", "rate"]) as staged:
            rows: list[dict[str, Any]] = staged.metrics(rules).to_pylist()
            return rows


def test_the_shares_of_a_day_are_those_of_its_rows(stocked: Any) -> None:
    rows = [event(f"u{k}", hour=k) for k in range(4)]
    rows += [rows[0], event(""), event("", ""), event(item="ghost"), event(day=EARLIER), event() | {"action": "fly"}]
    stocked.land("events", DAY, rows)
    stocked.load(EARLIER)
    (found,) = metrics(stocked, [DAY], Rules())
    assert found["n_rows"] == 10
    assert (found["n_loaded"], found["n_quarantined"], found["n_duplicates"]) == (4, 5, 1)
    assert found["null_share"] == pytest.approx(0.2)
    assert found["unknown_action_share"] == pytest.approx(0.1)
    assert found["outside_day_share"] == pytest.approx(0.1)
    assert found["unknown_item_share"] == pytest.approx(0.1)
    assert found["duplicate_share"] == pytest.approx(0.1)
    assert found["refused_share"] == pytest.approx(0.5)


def test_volume_is_the_ratio_to_the_median_of_the_trailing_days(stocked: Any) -> None:
    sizes = [100, 2, 4, 6, 3]
    days = [EARLIER + dt.timedelta(n) for n in range(5)]
    for day, size in zip(days, sizes, strict=True):
        stocked.land("events", day, [event(f"u{k}", day=day) for k in range(size)])
    stocked.load(*days[:4])
    rules = Rules(trailing_days=3, min_trailing_days=3)
    (found,) = metrics(stocked, days[4:], rules)
    assert (found["usual_rows"], found["trailing_days"], found["volume_ratio"]) == (4, 3, pytest.approx(0.75))
    (few,) = metrics(stocked, days[4:], Rules(trailing_days=3, min_trailing_days=4))
    assert few["volume_ratio"] is None


def test_a_day_of_no_rows_has_metrics_too(stocked: Any) -> None:
    stocked.load(EARLIER)
    stocked.land("events", DAY, [])
    (found,) = metrics(stocked, [DAY], Rules())
    assert (found["day"], found["n_rows"]) == (DAY, 0)


# One writer, and never half a day.

HOLD = """
import sys
from pathlib import Path
from storage.logs import open_logs
with open_logs(Path(sys.argv[1])) as logs:
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("read_only", [False, True])
def test_a_second_process_is_refused_with_the_number_of_the_first(
    stocked: Any, python: Callable[..., subprocess.Popen[str]], read_only: bool
) -> None:
    stocked.load(EARLIER)
    holder = python(HOLD, stocked.logs)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LogsError) as refusal, open_logs(stocked.logs, read_only=read_only):
            pytest.fail("two processes hold the logs")
        assert str(holder.pid) in str(refusal.value)
    finally:
        holder.kill()
        holder.communicate()
    with open_logs(stocked.logs, read_only=read_only) as logs:
        assert logs.loaded("items").keys() == {EARLIER}


def test_logs_that_are_absent_cannot_be_read(place: Any) -> None:
    with pytest.raises(LogsError, match="nothing was loaded yet"), open_logs(place.logs, read_only=True):
        pytest.fail("absent logs were opened")


@pytest.mark.parametrize("content", [b"no database" * 1000, b"x"], ids=["long", "short"])
def test_a_file_that_is_no_event_store_is_refused_with_its_path(place: Any, content: bytes) -> None:
    place.logs.parent.mkdir(parents=True)
    place.logs.write_bytes(content)
    with pytest.raises(LogsError, match=r"logs\.duckdb"), open_logs(place.logs):
        pytest.fail("garbage was opened")


LOAD_FOR_EVER = """
import datetime as dt, sys
from pathlib import Path
from storage.landing import Landing
from storage.logs import open_logs
day = dt.date(2026, 3, 5)
print("go", flush=True)
with open_logs(Path(sys.argv[1])) as logs:
    while True:
        for version in sys.argv[2:]:
            zone = Landing(version)
            with logs.staging(zone, [zone.partition("events", day)], ["buy"]) as staged:
                staged.accept({day: []})
            print(version, flush=True)
"""


def test_a_day_whose_load_is_killed_is_there_whole_or_not_at_all(
    place: Any, python: Callable[..., subprocess.Popen[str]]
) -> None:
    place.land("items", EARLIER, [item("i1")])
    place.load(EARLIER)
    versions = {}
    for name, n in (("a", 2_000), ("b", 3_000)):
        other = type(place)(place.root / name)
        other.land("events", DAY, [event(f"{name}{k}", event_id=str(k)) for k in range(n)])
        versions[other.zone.partition("events", DAY).digest] = (str(other.root / "landing"), name, n)
    rng = np.random.default_rng(5)
    for _ in range(4):
        writer = python(LOAD_FOR_EVER, place.logs, *[uri for uri, *_ in versions.values()])
        assert writer.stdout is not None
        assert writer.stdout.readline() == "go\n"
        time.sleep(rng.uniform(0.05, 0.8))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        recorded = place.rows("SELECT digest, n_loaded FROM partitions WHERE kind = 'events'")
        held = place.rows("SELECT user_id[1], count(*), count(DISTINCT event_id) FROM events GROUP BY 1")
        if recorded:
            ((digest, n_loaded),) = recorded
            _, name, n = versions[digest]
            assert held == [(name, n, n)]
            assert n_loaded == n
        else:
            assert held == []
    place.land("events", DAY, [event("z")])
    place.load(DAY)
    assert place.rows("SELECT user_id FROM events") == [("z",)]
