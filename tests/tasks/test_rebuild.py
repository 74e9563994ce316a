"""Rebuild: the same logs from the same landing, and nothing lost that cannot be made again."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from nights import ACTIONS, NOW, Nights
from rows import DAY, EARLIER, day_of, event

from retrieval.errors import ContractError, LogsError
from retrieval.rules import Rules
from storage.logs import open_logs
from storage.logs.upkeep import Difference
from storage.logs.versions import backups
from tasks.forget import forget_user
from tasks.rebuild import Rebuilt, rebuild

Lakes = Callable[..., Nights]


def run(nights: Nights, *, accept_loss: bool = False, rules: Rules | None = None) -> Rebuilt:
    return rebuild(nights.lake, nights.landing, rules or nights.rules, ACTIONS, accept_loss=accept_loss, at=NOW)


def folder(nights: Nights, offset: int) -> Any:
    return nights.lake.landing / "events" / f"day={day_of(offset)}"


@pytest.fixture
def three(nights: Nights) -> Nights:
    """Three days, the last with a late event, a repeat and a row set aside."""
    nights.write("users", EARLIER, [{"user_id": "u1"}])
    for offset in (-2, -1):
        nights.land(day_of(offset), n=100)
    rows = [event(f"u{k}") for k in range(100)]
    nights.write("events", DAY, [*rows, event("late", day=EARLIER), rows[0], event("")])
    nights.night(DAY)
    return nights


def test_rebuilt_logs_hold_what_the_former_held(three: Nights) -> None:
    before = three.state()
    made = run(three)
    assert (made.is_same, made.differences, made.refused) == (True, (), {})
    assert three.state() == before
    with three.read() as logs:
        assert logs.digest(DAY) == made.digest
        assert [entry["action"] for entry in logs.audit()] == ["rebuild"]


def test_a_rebuild_tells_which_days_were_changed_by_hand_and_mends_them(three: Nights) -> None:
    before = three.state()
    with open_logs(three.lake.logs) as logs, logs.transaction():
        logs.connection.execute("DELETE FROM events WHERE user_id = 'u7'")
        logs.connection.execute("UPDATE contents SET n_rows = n_rows - 1, digest = 0 WHERE kind = 'events'")
    made = run(three)
    assert made.differences == (
        Difference("events", day_of(-2), 100, 99),
        Difference("events", EARLIER, 101, 100),
        Difference("events", DAY, 100, 99),
    )
    assert three.state() == before


def test_a_rebuild_keeps_forgotten_users_out(three: Nights) -> None:
    forget_user(three.lake, "u7", at=NOW)
    before = three.state(without="profiles")
    assert run(three).is_same
    assert three.state(without="profiles") == before  # what days are compared with is of no user
    with three.read() as logs:
        assert [entry["action"] for entry in logs.audit()] == ["forget", "rebuild"]
    three.write("events", DAY, [event("u7", hour=3), event("u8", hour=3)])
    three.night(DAY)
    assert three.rows("SELECT user_id FROM events WHERE landed = '2026-03-05'") == [("u8",)]


def test_a_rebuild_lets_in_what_a_backfill_had_taken_up(lakes: Lakes) -> None:
    nights = lakes(late_events="backfill")
    nights.write(
        "events", DAY, [*[event(f"u{k}") for k in range(50)], event("a", day=EARLIER), event("b", day=day_of(-2))]
    )
    nights.night(DAY)
    nights.run(EARLIER, EARLIER, reload=True)
    before = nights.state()
    assert run(nights).is_same
    assert nights.state() == before
    assert nights.held() == {EARLIER: 1, DAY: 50}


def test_a_rebuild_refuses_to_lose_a_day_whose_files_are_gone(three: Nights) -> None:
    before = three.state()
    shutil.rmtree(folder(three, -2))
    with pytest.raises(LogsError, match=r"1 partitions .*first: events of 2026-03-03.*--accept-loss"):
        run(three)
    assert three.state() == before
    made = run(three, accept_loss=True)
    assert [(entry.day, entry.rows, entry.rows_before) for entry in made.differences] == [(day_of(-2), 0, 100)]
    assert set(three.held()) == {EARLIER, DAY}


def test_a_rebuild_refuses_to_lose_a_day_whose_files_can_no_longer_be_read(three: Nights) -> None:
    before = three.state()
    (folder(three, -2) / "part.parquet").write_bytes(b"PAR1")
    with pytest.raises(LogsError, match=r"events of 2026-03-03.*--accept-loss"):
        run(three)
    assert three.state() == before


def test_a_rebuild_refuses_to_lose_a_refused_day_whose_rows_are_only_in_the_quarantine(three: Nights) -> None:
    three.land(day_of(1), faulty=20)
    three.night(day_of(1))
    before = three.state()
    shutil.rmtree(folder(three, 1))
    with pytest.raises(LogsError, match=r"events of 2026-03-06.*--accept-loss"):
        run(three)
    assert three.state() == before


def test_a_rebuild_refuses_to_lose_the_rows_that_a_refused_correction_had_left(three: Nights) -> None:
    three.land(EARLIER, n=50, faulty=50)
    three.night(EARLIER)
    before = three.state()
    with pytest.raises(LogsError, match=r"events of 2026-03-04.*--accept-loss"):
        run(three)
    assert three.state() == before


def test_a_day_that_other_rules_refuse_now_is_kept_aside_and_not_lost(three: Nights) -> None:
    made = run(three, rules=Rules(max_null_share=0.0))
    assert set(made.refused) == {DAY}
    assert three.rows("SELECT count(*) FROM quarantine") == [(102,)]


@pytest.mark.parametrize("content", [b"no database" * 1000, b"", None], ids=["garbage", "empty", "absent"])
def test_logs_that_cannot_be_read_are_made_again(three: Nights, content: bytes | None) -> None:
    before = three.state()
    three.lake.logs.unlink()
    if content is not None:
        three.lake.logs.write_bytes(content)
    made = run(three, accept_loss=True)
    assert (made.had_former, made.is_same) == (False, False)
    assert three.state() == before


def test_a_rebuild_waits_for_no_writer_and_leaves_its_logs_alone(three: Nights) -> None:
    before = three.state()
    with open_logs(three.lake.logs), pytest.raises(LogsError, match="is being written by"):
        run(three)
    assert three.state() == before


def test_what_a_killed_writer_had_finished_is_compared_too(three: Nights) -> None:
    with duckdb.connect(three.lake.logs) as con:
        con.execute("PRAGMA disable_checkpoint_on_shutdown; SET checkpoint_threshold = '1TB'")
        con.execute("INSERT INTO audit VALUES (TIMESTAMP '2026-03-08', 'forget', '{}')")
    assert three.lake.logs.with_name("logs.duckdb.wal").exists()
    assert run(three).is_same
    with three.read() as logs:
        assert [entry["action"] for entry in logs.audit()] == ["forget", "rebuild"]


def test_a_landing_zone_of_nothing_is_told_and_the_logs_stay(three: Nights, tmp_path: Path) -> None:
    before = three.state()
    with pytest.raises(ContractError, match="nothing has landed in"):
        rebuild(three.lake, str(tmp_path), three.rules, ACTIONS, accept_loss=True, at=NOW)
    assert three.state() == before


def test_logs_that_cannot_be_read_are_kept_when_new_ones_take_their_place(three: Nights) -> None:
    three.lake.logs.write_bytes(b"no longer a database")
    with pytest.raises(LogsError, match="--accept-loss"):
        run(three)
    assert not run(three, accept_loss=True).had_former
    (kept,) = backups(three.lake.logs).iterdir()
    assert kept.read_bytes() == b"no longer a database"


def test_a_rebuild_that_is_refused_leaves_nothing_behind(three: Nights) -> None:
    shutil.rmtree(folder(three, -2))
    with pytest.raises(LogsError, match="would be lost"):
        run(three)
    assert {path.name for path in three.lake.logs.parent.iterdir() if path.suffix != ".lock"} == {"logs.duckdb"}
