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
        assert set(logs.loaded("items")) == {day_of(-90), day_of(-3)}


def test_a_refused_day_stops_the_night_and_leaves_the_logs_as_they_were(lake: Lake) -> None:
    land(lake, day_of(-1))
    land(lake, DAY, faulty=10)
    write(lake, "users", DAY, [{"user_id": "u1"}])
    with pytest.raises(DayRefused) as refusal:
        night(lake)
    message = str(refusal.value)
    assert "2026-03-05" in message
    assert all(rule in message for rule in ("null_share of", "refused_share of", "missing_user 10"))
    assert "duplicate_share" not in message
    assert held(lake) == {}
    with open_logs(lake.logs, read_only=True) as logs:
        assert logs.loaded("users") == {}


def test_a_bad_day_among_good_ones_is_refused_and_the_others_are_loaded(lake: Lake) -> None:
    for offset in (-2, -1, 0):
        land(lake, day_of(offset), faulty=20 if offset == -1 else 0)
    ingested = night(lake)
    assert held(lake) == {day_of(-2): 20, DAY: 20}
    assert set(ingested.refused) == {day_of(-1)}


def test_a_day_of_no_rows_is_refused(lake: Lake) -> None:
    land(lake, DAY, n=0)
    with pytest.raises(DayRefused, match="n_rows of 2026-03-05 is 0, expected at least 1"):
        night(lake)


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
    with pytest.raises(DayRefused, match=r"volume_ratio of 2026-03-05 is 0.1, expected between 0.2 and 5"):
        night(lake)
    night(lake, rules=Rules(min_volume_ratio=0.05))
    assert held(lake)[DAY] == 2


def test_a_second_night_changes_nothing_and_reports_what_the_first_did(lake: Lake) -> None:
    write(lake, "items", DAY, [{"item_id": "i2", "title": "Two"}, {"item_id": "i3", "title": None}])
    write(lake, "users", DAY, [{"user_id": "u1"}])
    land(lake, DAY, n=200, faulty=1)
    first = night(lake)
    before = lake.logs.read_bytes()
    second = night(lake)
    assert second.logs_digest == first.logs_digest
    of_day = [entry for entry in first.counts if entry.day == DAY]
    assert sorted(second.counts, key=str) == sorted(of_day, key=str)
    assert second.checks == first.checks
    assert second.reasons == first.reasons == {"missing_title": 1, "missing_user": 1}
    assert second.refused == {}
    assert held(lake) == {DAY: 199}
    assert lake.logs.read_bytes() == before


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
    first = night(lake)
    land(lake, DAY, n=30, faulty=30)
    with pytest.raises(DayRefused):
        night(lake)
    assert held(lake) == {DAY: 20}
    with open_logs(lake.logs, read_only=True) as logs:
        assert logs.digest(DAY) == first.logs_digest


def test_other_rules_judge_the_day_again(lake: Lake) -> None:
    land(lake, DAY, n=200, faulty=1)
    first = night(lake)
    second = night(lake, rules=Rules(max_null_share=0.5))
    assert second.logs_digest != first.logs_digest
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
    assert (ingested.checks, ingested.refused) == ((), {})
    assert held(lake) == {}


def test_logs_that_are_damaged_stop_the_night_with_a_message(lake: Lake) -> None:
    land(lake, DAY)
    lake.logs.parent.mkdir(parents=True)
    lake.logs.write_bytes(b"no database" * 1000)
    with pytest.raises(LogsError, match=r"logs.duckdb cannot be opened"):
        night(lake)
