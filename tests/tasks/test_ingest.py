"""Ingest: the required day or a reason why not, what was missed caught up, and the same answer twice."""

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrieval.errors import ContractError, DayRefused, LogsError
from retrieval.rules import Action, Rules
from retrieval.schema import CONTRACTS, Kind
from storage.layout import Lake
from storage.logs import open_logs
from tasks.ingest import Ingested, ingest

DAY = dt.date(2026, 3, 5)
ACTIONS = {"buy": Action(sign="+")}
RULES = Rules()


def day_of(offset: int) -> dt.date:
    return DAY + dt.timedelta(offset)


def write(lake: Lake, kind: Kind, day: dt.date, rows: list[dict[str, Any]], name: str = "part.parquet") -> None:
    folder = lake.landing / kind / f"day={day}"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=CONTRACTS[kind].arrow), folder / name)


def land(lake: Lake, day: dt.date, n: int = 20, faulty: int = 0, user: str = "u") -> None:
    moment = dt.datetime.combine(day, dt.time(12), dt.UTC)
    rows = [{"user_id": f"{user}{k}", "item_id": "i1", "action": "buy", "occurred_at": moment} for k in range(n)]
    write(lake, "events", day, [row | ({"user_id": None} if k < faulty else {}) for k, row in enumerate(rows)])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    write(lake, "items", day_of(-3), [{"item_id": "i1", "title": "One"}])
    return lake


def run(lake: Lake, first: int, last: int, rules: Rules = RULES, **more: Any) -> Ingested:
    return ingest.fn(lake, str(lake.landing), (day_of(first), day_of(last)), rules, ACTIONS, **more)


def held(lake: Lake) -> dict[dt.date, int]:
    with open_logs(lake.logs, read_only=True) as logs:
        rows = logs.connection.execute("SELECT day, count(*) FROM events GROUP BY day").fetchall()
        return dict(rows)


def content(lake: Lake) -> list[Any]:
    with open_logs(lake.logs, read_only=True) as logs:
        tables = ("events", "items", "users", "quarantine", "contents", "seen_users", "profiles")
        tables += ("(SELECT * EXCLUDE (refused_correction) FROM partitions)",)
        return [logs.connection.execute(f"FROM {table} ORDER BY ALL").fetchall() for table in tables]


def night(lake: Lake, offset: int = 0, **more: Any) -> Ingested:
    return run(lake, offset - 30, offset, required=day_of(offset), **more)


def test_a_night_whose_day_did_not_land_says_so_and_loads_nothing(lake: Lake) -> None:
    land(lake, day_of(-1))
    with pytest.raises(ContractError, match=r"no events landed for 2026-03-05.*newest landed day: 2026-03-04"):
        night(lake)
    assert held(lake) == {}


def test_a_torn_file_of_the_required_day_stops_the_night_before_anything_is_loaded(lake: Lake) -> None:
    for offset in (-1, 0):
        land(lake, day_of(offset))
    (lake.landing / "events" / f"day={DAY}" / "z.parquet").write_bytes(b"PAR1")
    with pytest.raises(ContractError, match=r"day=2026-03-05/z.parquet"):
        night(lake)
    assert held(lake) == {}


def test_files_of_an_earlier_day_that_cannot_be_used_leave_the_night_to_go_on(lake: Lake) -> None:
    for offset in (-3, -2, -1, 0):
        land(lake, day_of(offset))
    (lake.landing / "events" / f"day={day_of(-1)}" / "z.parquet").write_bytes(b"PAR1")
    (lake.landing / "events" / f"day={day_of(-2)}" / "part.parquet").unlink()
    ingested = night(lake)
    assert held(lake) == {day_of(-3): 20, DAY: 20}
    assert "z.parquet" in ingested.refused[day_of(-1)]
    assert "is empty" in ingested.refused[day_of(-2)]


def test_earlier_landed_days_are_caught_up_in_the_same_pass(lake: Lake) -> None:
    for offset in (-40, -3, -1, 0, 1):
        land(lake, day_of(offset))
    ingested = night(lake)
    assert held(lake) == {day_of(offset): 20 for offset in (-3, -1, 0)}
    assert ingested.refused == {}
    assert {entry.day for entry in ingested.counts if entry.kind == "events"} == set(held(lake))


def test_items_are_caught_up_from_before_the_span_and_never_from_after_it(lake: Lake) -> None:
    write(lake, "items", day_of(-90), [{"item_id": "i0", "title": "Zero"}])
    write(lake, "items", day_of(1), [{"item_id": "i2", "title": "Two"}])
    land(lake, DAY)
    night(lake)
    with open_logs(lake.logs, read_only=True) as logs:
        assert {entry.counts.day for entry in logs.recorded("items")} == {day_of(-90), day_of(-3)}


def test_a_refused_day_is_kept_whole_aside_and_the_night_that_requires_it_goes_no_further(lake: Lake) -> None:
    land(lake, day_of(-1))
    land(lake, DAY, faulty=10)
    write(lake, "users", DAY, [{"user_id": "u1"}])
    ingested = night(lake)
    ingested.require(day_of(-1))
    with pytest.raises(DayRefused) as refusal:
        ingested.require(DAY)
    message = str(refusal.value)
    assert "2026-03-05 is refused, and the live release stands" in message
    assert all(rule in message for rule in ("null_share of", "refused_share of", "missing_user 10"))
    assert "lamplighter quarantine list --day 2026-03-05" in message
    assert "duplicate_share" not in message
    assert "day_refused" not in message
    assert held(lake) == {day_of(-1): 20}
    assert ingested.reasons == {"missing_user": 10, "day_refused": 10}
    with open_logs(lake.logs, read_only=True) as logs:
        (entry,) = logs.recorded("events", DAY)
        assert (entry.counts.is_refused, entry.counts.landed, entry.counts.quarantined) == (True, 20, 20)
        assert not logs.recorded("users", DAY)[0].counts.is_refused


def test_a_refused_day_is_reported_again_until_it_is_mended(lake: Lake) -> None:
    land(lake, day_of(-1), faulty=20)
    land(lake, DAY)
    refused = [night(lake).refused for _ in range(2)]
    assert refused[0] == refused[1]
    assert set(refused[0]) == {day_of(-1)}
    land(lake, day_of(-1))
    assert night(lake).refused == {}
    assert held(lake) == {day_of(-1): 20, DAY: 20}


def test_a_refused_day_is_judged_again_when_the_rules_change(lake: Lake) -> None:
    land(lake, day_of(-1), faulty=10)
    land(lake, DAY)
    night(lake)
    mild = Rules(max_null_share=1.0, max_refused_share=1.0)
    assert night(lake, rules=mild).refused == {}
    assert held(lake) == {day_of(-1): 10, DAY: 20}


def test_a_bad_day_among_good_ones_is_refused_and_the_others_are_loaded(lake: Lake) -> None:
    for offset in (-2, -1, 0):
        land(lake, day_of(offset), faulty=20 if offset == -1 else 0)
    ingested = night(lake)
    assert held(lake) == {day_of(-2): 20, DAY: 20}
    assert set(ingested.refused) == {day_of(-1)}


def test_a_day_of_no_rows_is_refused(lake: Lake) -> None:
    land(lake, DAY, n=0)
    with pytest.raises(DayRefused, match="n_rows of 2026-03-05.* is 0, expected at least 1"):
        night(lake).require(DAY)


def test_a_warning_does_not_refuse_the_day(lake: Lake) -> None:
    land(lake, DAY, n=20)
    path = lake.landing / "events" / f"day={DAY}"
    (path / "again.parquet").write_bytes((path / "part.parquet").read_bytes())
    ingested = night(lake)
    assert [check.rule for check in ingested.checks if not check.passed] == ["duplicate_share"]
    assert held(lake) == {DAY: 20}


def test_a_volume_far_from_usual_is_refused_once_there_are_days_to_compare(lake: Lake) -> None:
    write(lake, "items", day_of(-40), [{"item_id": "i1", "title": "One"}])
    for offset in range(-7, 0):
        land(lake, day_of(offset), n=20)
        night(lake, offset)
    land(lake, DAY, n=2)
    with pytest.raises(DayRefused, match=r"volume_ratio of 2026-03-05.* is 0.1, expected between 0.2 and 5"):
        night(lake).require(DAY)
    night(lake, rules=Rules(min_volume_ratio=0.05)).require(DAY)
    assert held(lake)[DAY] == 2


def test_a_second_night_changes_nothing_and_reports_what_the_first_did(lake: Lake) -> None:
    listed = [{"item_id": f"i{k}", "title": "Two"} for k in range(2, 12)]
    write(lake, "items", DAY, [*listed, {"item_id": "i99", "title": None}])
    write(lake, "users", DAY, [{"user_id": "u1"}])
    land(lake, DAY, n=200, faulty=1)
    first = night(lake)
    before = content(lake)
    second = night(lake)
    assert second.logs_digest == first.logs_digest
    of_day = [entry for entry in first.counts if entry.day == DAY]
    assert sorted(second.counts, key=str) == sorted(of_day, key=str)
    assert sorted(second.checks, key=str) == sorted([check for check in first.checks if check.day == DAY], key=str)
    assert second.reasons == first.reasons == {"missing_title": 1, "missing_user": 1}
    assert second.refused == {}
    assert held(lake) == {DAY: 199}
    assert content(lake) == before


def test_a_required_day_whose_bytes_changed_is_loaded_again(lake: Lake) -> None:
    land(lake, DAY)
    first = night(lake)
    land(lake, DAY, n=30, user="v")
    second = night(lake)
    assert held(lake) == {DAY: 30}
    assert second.logs_digest != first.logs_digest


def test_an_earlier_day_whose_bytes_changed_is_loaded_again_only_when_asked(lake: Lake) -> None:
    for offset in (-1, 0):
        land(lake, day_of(offset))
    night(lake)
    land(lake, day_of(-1), n=30)
    night(lake)
    assert held(lake)[day_of(-1)] == 20
    run(lake, -1, 0, reload=True)
    assert held(lake)[day_of(-1)] == 30


def test_a_corrected_day_that_is_refused_leaves_the_former_rows(lake: Lake) -> None:
    land(lake, DAY)
    night(lake)
    before = content(lake)
    land(lake, DAY, n=30, faulty=30)
    for _ in range(2):  # it is not forgotten that what lies there now was refused
        with pytest.raises(DayRefused):
            night(lake).require(DAY)
        assert content(lake) == before
    land(lake, DAY, n=25)
    night(lake).require(DAY)
    assert held(lake) == {DAY: 25}


def test_the_same_bytes_judged_by_stricter_rules_are_refused_and_kept_aside(lake: Lake) -> None:
    land(lake, DAY, n=200, faulty=1)
    night(lake)
    assert set(night(lake, rules=Rules(max_null_share=0.0)).refused) == {DAY}
    assert held(lake) == {}
    night(lake).require(DAY)
    assert held(lake) == {DAY: 199}


@pytest.mark.parametrize(("kind", "rule"), [("items", "bad_item_share"), ("users", "bad_user_share")])
def test_a_bad_table_is_refused_and_its_day_with_it(lake: Lake, kind: Kind, rule: str) -> None:
    land(lake, DAY)
    rows: list[dict[str, Any]] = [{"item_id": "i2", "title": "T"}] if kind == "items" else [{"user_id": "u1"}]
    write(lake, kind, DAY, [*rows, *[dict.fromkeys(rows[0]) for _ in range(3)]])
    with pytest.raises(DayRefused, match=rule):
        night(lake).require(DAY)
    assert held(lake) == {DAY: 20}
    with open_logs(lake.logs, read_only=True) as logs:
        counts = logs.recorded(kind, DAY)[0].counts
        assert (counts.is_refused, counts.quarantined) == (True, 4)
        assert logs.reasons([(kind, DAY)])["day_refused"] == 1


def test_a_catalogue_that_shrank_is_refused_and_events_are_judged_by_the_former_one(lake: Lake) -> None:
    rules = Rules(catalogue="whole")
    write(lake, "items", day_of(-1), [{"item_id": f"i{k}", "title": "T"} for k in range(10)])
    write(lake, "items", DAY, [{"item_id": "i9", "title": "T"}])
    land(lake, DAY)
    ingested = night(lake, rules=rules)
    assert "catalogue_ratio of 2026-03-05" in ingested.refused[DAY]
    assert held(lake) == {DAY: 20}
    accepted = night(lake, rules=Rules(catalogue="whole", min_catalogue_ratio=0.0))
    assert "catalogue_ratio" not in accepted.refused[DAY]
    assert accepted.reasons == {"unknown_item": 20}


def test_other_rules_judge_the_day_again(lake: Lake) -> None:
    land(lake, DAY, n=200, faulty=1)
    first = night(lake)
    second = night(lake, rules=Rules(max_null_share=0.5))
    assert second.logs_digest == first.logs_digest  # of the rows, which are the same
    assert [check.expected for check in second.checks if check.rule == "null_share"] == ["at most 0.5"]
    assert held(lake) == {DAY: 199}


def test_nights_in_any_order_end_in_the_same_logs(tmp_path: Path) -> None:
    digests = []
    for n, order in enumerate([(-2, -1, 0), (0, -1, -2), (-1, 0, -2)]):
        lake = Lake(tmp_path / str(n))
        for offset in (-2, -1, 0):
            write(lake, "items", day_of(offset), [{"item_id": "i1", "title": f"as of {offset}"}])
            land(lake, day_of(offset), n=10 - offset)
        for offset in order:
            run(lake, offset, offset, required=day_of(offset))
        with open_logs(lake.logs, read_only=True) as logs:
            digests.append(logs.digest(DAY))
    assert len(set(digests)) == 1


def test_a_span_without_a_required_day_may_be_empty(lake: Lake) -> None:
    ingested = run(lake, -30, 0)
    assert {check.kind for check in ingested.checks} == {"items"}
    assert ingested.refused == {}
    assert held(lake) == {}


def test_logs_that_are_damaged_stop_the_night_with_a_message(lake: Lake) -> None:
    land(lake, DAY)
    lake.logs.parent.mkdir(parents=True)
    lake.logs.write_bytes(b"no database" * 1000)
    with pytest.raises(LogsError, match=r"logs.duckdb cannot be opened"):
        night(lake)
