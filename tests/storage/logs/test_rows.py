"""Rows: what becomes of each that landed."""

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import DAY, EARLIER, at, event, item

from storage.logs.queries import query
from validation.reasons import REASONS

ROWS = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(["u1", "u1", "u2", "", None]),
        "item_id": st.sampled_from(["i1", "i1", "i2", "ghost", "", None]),
        "action": st.sampled_from(["buy", "buy", "rate", "fly", None]),
        "occurred_at": st.sampled_from(
            ["2026-03-05T10:00:00", "2026-03-05T10:00:00", "2026-03-06", "2026-03-04", "junk"]
        ),
        "event_id": st.sampled_from([None, None, None, "e1", "e2"]),
        "value": st.sampled_from([None, "1", "2", "-1", "x"]),
        "served_by": st.sampled_from([None, "r1", "r2"]),
    }
)


def reasons_of(row: Mapping[str, str | None]) -> set[str]:
    """The slow twin of judge_events.sql."""
    tests = {
        "missing_user": not row["user_id"],
        "missing_item": not row["item_id"],
        "unknown_action": row["action"] not in ("buy", "rate"),
        "unreadable_time": row["occurred_at"] == "junk",
        "future_time": row["occurred_at"] == "2026-03-06",
        "outside_day": row["occurred_at"] == "2026-03-04",
        "unknown_item": row["item_id"] == "ghost",
        "value_out_of_range": row["value"] == "-1"
        and row["action"] in ("buy", "rate"),  # who knows no action, no range
        "unreadable_value": row["value"] == "x",
    }
    return {reason for reason, holds in tests.items() if holds}


@settings(max_examples=15, deadline=None)
@given(rows=st.lists(ROWS, min_size=1, max_size=25), ending=st.sampled_from(["csv", "jsonl"]))
def test_every_landed_row_is_loaded_quarantined_or_a_duplicate(
    places: Callable[[], Any], rows: list[dict[str, str | None]], ending: str
) -> None:
    place = places()
    place.land("items", EARLIER, [item("i1"), item("i2")])
    place.land("events", DAY, rows, f"a.{ending}")
    counts = {entry.kind: entry for entry in place.load(EARLIER, DAY)}["events"]
    faulty = [(line, reasons_of(row)) for line, row in enumerate(rows, 1) if reasons_of(row)]
    kept = {row["event_id"] or frozenset(row.items()) for row in rows if not reasons_of(row)}
    assert counts.landed == len(rows)
    assert counts.landed == counts.loaded + counts.quarantined + counts.duplicates
    assert (counts.loaded, counts.quarantined) == (len(kept), len(faulty))
    assert [(line, set(reasons)) for _, line, reasons, _ in place.quarantine()] == faulty
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
    ("unreadable_time", {"occurred_at": "infinity"}),
    ("future_time", {"occurred_at": at(DAY, 24)}),
    ("outside_day", {"occurred_at": at(DAY, -0.001)}),
    ("unknown_item", {"item_id": "ghost"}),
    ("unreadable_value", {"value": "x"}),
    ("value_out_of_range", {"value": -0.5}),
    ("value_out_of_range", {"value": 1.1e9}),
    ("value_out_of_range", {"value": "inf"}),
    ("value_out_of_range", {"value": "nan"}),
    ("value_out_of_range", {"position": 0}),
    ("malformed_context", {"context": "[1]"}),
    ("malformed_context", {"context": "{"}),
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
    row = event("", "ghost", EARLIER, value="x", context="{", position=0) | {"action": "fly"}
    stocked.land("events", DAY, [row], "a.csv")
    stocked.load(EARLIER, DAY)
    reasons = {"missing_user", "unknown_item", "unknown_action", "outside_day", "unreadable_value"}
    reasons |= {"value_out_of_range", "malformed_context"}
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


def test_faulty_rows_that_repeat_each_other_are_set_aside_each(stocked: Any) -> None:
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


def test_an_item_set_aside_is_known_to_no_event(stocked: Any) -> None:
    stocked.land("items", DAY, [item("i3", title="")])
    stocked.land("events", DAY, [event(item="i3")])
    stocked.load(EARLIER, DAY)
    assert [reasons for _, _, reasons, _ in stocked.quarantine()] == [["missing_title"], ["unknown_item"]]


def test_an_item_that_lands_later_is_unknown_to_an_earlier_day(stocked: Any) -> None:
    stocked.land("items", DAY + dt.timedelta(1), [item("i3")])
    stocked.land("events", DAY, [event(item="i3")])
    stocked.load(EARLIER, DAY, DAY + dt.timedelta(1))
    assert stocked.quarantine()[0][2] == ["unknown_item"]


@pytest.mark.parametrize("reload", [False, True], ids=["loaded once", "loaded twice"])
def test_of_a_refused_partition_every_row_is_kept_whole_with_its_own_reasons(stocked: Any, reload: bool) -> None:
    rows = [event("u1", value=1.5), event(""), event("u1", value=1.5), event("u2", context={"store": "7"})]
    stocked.land("events", DAY, rows, "a.jsonl")
    stocked.load(EARLIER)
    for _ in range(1 + reload):
        (counts,) = stocked.load(DAY, accept=False)
    assert (counts.is_refused, counts.landed, counts.loaded, counts.quarantined, counts.duplicates) == (
        True,
        4,
        0,
        3,
        1,
    )
    found = stocked.quarantine()
    assert [(line, reasons) for _, line, reasons, _ in found] == [
        (1, ["day_refused"]),
        (2, ["missing_user"]),
        (4, ["day_refused"]),
    ]
    assert [(row["user_id"], row.get("value")) for *_, row in found] == [("u1", 1.5), ("", None), ("u2", None)]
    kept = found[2][3]["context"]  # as it landed: text in CSV, a map in JSON
    assert (kept if isinstance(kept, dict) else json.loads(kept)) == {"store": "7"}
    assert stocked.rows("SELECT count(*) FROM events") == [(0,)]
