"""Days: loaded twice, in any order, replaced as a whole, or not at all."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import DAY, EARLIER, event, item

from retrieval.errors import ContractError
from retrieval.rules import Action, Rules
from storage.logs import Staged, Verdict, open_logs, settle
from storage.logs.upkeep import problems

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
    with open_logs(place.logs) as logs:
        for day in days:
            others = [other for other in WEEK if newest < other <= day]
            place.settle(logs, [("events", day), *((kind, other) for kind in ("items", "users") for other in others)])
            newest = max(newest, day)


def answers(place: Any) -> list[Any]:
    with place.opened() as logs:
        return [[logs.catalogue(day, Rules()).to_pylist(), logs.people(day, ["store"]).to_pylist()] for day in WEEK] + [
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


def test_a_refused_partition_takes_out_its_rows_and_is_kept_aside(stocked: Any) -> None:
    stocked.land("events", EARLIER, [event(day=EARLIER)])
    stocked.land("events", DAY, [event("u1"), event("")])
    stocked.load(EARLIER, DAY)
    (counts,) = stocked.load(DAY, accept=False, kinds=("events",))
    assert (counts.loaded, counts.quarantined) == (0, 2)
    assert stocked.rows("SELECT day, user_id FROM events") == [(EARLIER, "u1")]
    assert [reasons for _, _, reasons, _ in stocked.quarantine()] == [["day_refused"], ["missing_user"]]
    assert stocked.rows("SELECT is_refused FROM partitions WHERE kind = 'events' ORDER BY day") == [(False,), (True,)]
    with stocked.opened() as logs:
        assert logs.days_loaded() == [(EARLIER, 1)]
        assert problems(logs) == []


def test_an_error_inside_the_transaction_leaves_the_logs_as_they_were(stocked: Any) -> None:
    stocked.load(EARLIER)
    before = stocked.content()
    stocked.land("events", DAY, [event()])
    with pytest.raises(KeyboardInterrupt), open_logs(stocked.logs) as logs, logs.transaction():
        staged = Staged.landed(logs.connection, stocked.zone, [stocked.zone.partition("events", DAY)])
        staged.judge_catalogue()
        staged.judge_events({"buy": Action(sign="+")}, Rules(), [])
        settle(staged, {("events", DAY): Verdict(False, {}, [])}, {("events", DAY): "tests"})
        raise KeyboardInterrupt
    assert stocked.content() == before


def test_after_a_file_that_cannot_be_used_the_same_connection_loads_the_next(stocked: Any) -> None:
    stocked.land("events", DAY, b"torn", "torn.parquet")
    stocked.land("events", EARLIER, [event(day=EARLIER)])
    with open_logs(stocked.logs) as logs:
        with pytest.raises(ContractError, match=r"torn\.parquet"):
            stocked.settle(logs, [("items", EARLIER), ("events", DAY)])
        stocked.settle(logs, [("items", EARLIER), ("events", EARLIER)])
        assert logs.days_loaded() == [(EARLIER, 1)]


def test_recorded_gives_back_what_was_decided_of_each_partition(stocked: Any) -> None:
    stocked.land("items", DAY, [item("i3"), item("i4", title="")])
    stocked.land("users", DAY, [{"user_id": "u"}])
    stocked.land("events", DAY, [event(), event(), event("")])
    checks = [{"rule": "n_rows", "day": DAY, "passed": True}, {"rule": "null_share", "day": DAY, "passed": True}]
    metrics = {"n_rows": 3.0, "volume_ratio": None}
    parts: list[tuple[Any, dt.date]] = [("items", EARLIER), ("items", DAY), ("users", DAY), ("events", DAY)]
    with open_logs(stocked.logs) as logs:
        with stocked.staged(logs, parts) as staged:
            verdicts = {part: Verdict(False, {}, []) for part in parts} | {parts[-1]: Verdict(False, metrics, checks)}
            made = settle(staged, verdicts, dict.fromkeys(verdicts, "judge 7"))
        recorded = logs.recorded()
        assert sorted((entry.counts for entry in recorded), key=str) == sorted(made, key=str)
        assert {entry.judged_by for entry in recorded} == {"judge 7"}
        assert all(
            entry.bytes == stocked.zone.partition(e.kind, e.day).digest for entry in recorded for e in [entry.counts]
        )
        (entry,) = logs.recorded("events", DAY)
        assert (entry.metrics, [check["rule"] for check in entry.checks]) == (metrics, ["n_rows", "null_share"])
        assert {(e.counts.kind, e.counts.day) for e in logs.recorded(day=DAY)} == {
            ("items", DAY),
            ("users", DAY),
            ("events", DAY),
        }
        assert logs.reasons([("items", DAY), ("events", DAY)]) == {"missing_title": 1, "missing_user": 1}
        assert logs.reasons([("events", EARLIER)]) == {}


def test_the_digest_is_of_the_rows_whatever_format_they_landed_in(places: Callable[[], Any]) -> None:
    digests = set()
    for ending in ("parquet", "csv", "jsonl"):
        place = places()
        place.land("items", EARLIER, [item("i1", attributes={"b": "2", "a": "1"})], f"x.{ending}")
        place.land("users", EARLIER, [{"user_id": "u1", "attributes": {"age": "3"}}], f"x.{ending}")
        place.land("events", DAY, [event(value=0.1, context={"store": "7"}), event("u2", event_id="e")], f"x.{ending}")
        place.load(EARLIER, DAY)
        with place.opened() as logs:
            digests.add(logs.digest(DAY))
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("events", event(value=2.0)),
        ("events", event("u2")),
        ("users", {"user_id": "u1"}),
        ("items", item("i1", topics=["a"])),
    ],
)
def test_the_digest_sees_every_value_of_every_kind(places: Callable[[], Any], kind: Any, row: dict[str, Any]) -> None:
    digests = []
    for more in ({}, {kind: row}):
        place = places()
        landed = {"items": item("i1"), "users": {"user_id": "u0"}, "events": event()} | more
        for each, content in landed.items():
            place.land(each, DAY, [content])
        place.load(DAY)
        with place.opened() as logs:
            digests.append(logs.digest(DAY))
            assert problems(logs) == []
    assert digests[0] != digests[1]
