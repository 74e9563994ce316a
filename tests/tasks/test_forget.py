"""Forget: no file that the next release could be made from holds a byte of the user."""

from pathlib import Path

import pytest
from nights import NOW, Nights
from rows import DAY, EARLIER, event

from retrieval.errors import LogsError, UnknownId
from storage.logs import open_logs
from storage.logs.quarantine import Wanted
from storage.logs.versions import backups
from tasks.forget import Forgotten, forget_user

WHO = "person-7f3a"


@pytest.fixture
def known(nights: Nights) -> Nights:
    """Logs, exports, artifacts and a saved file with a user's rows."""
    nights.write("users", DAY, [{"user_id": WHO, "attributes": {"name": WHO}}, {"user_id": "u1"}])
    nights.write("events", EARLIER, [event(f"u{k}", day=EARLIER) for k in range(200)] + [event(WHO, day=EARLIER)])
    rows = [event(f"u{k}", context={"store": "7"}) for k in range(200)]
    rows += [event(WHO), event(WHO, "ghost"), event(WHO, day=EARLIER, hour=1), event("", "ghost")]
    nights.write("events", DAY, rows)
    nights.night(DAY)
    with nights.read() as logs:
        Wanted().export(logs, nights.lake.exports / "all.jsonl")
        Wanted(reason="missing_user").export(logs, nights.lake.exports / "other.parquet")
        Wanted(reason="future_time").export(logs, nights.lake.exports / "none.jsonl")
    for folder in (nights.lake.artifacts("prepare", DAY), backups(nights.lake.logs)):
        folder.mkdir(parents=True)
        (folder / "people.txt").write_text(WHO)
    return nights


def holding(nights: Nights) -> set[Path]:
    files = [path for path in nights.lake.root.rglob("*") if path.is_file() and not path.is_relative_to(nights.landing)]
    return {path.relative_to(nights.lake.root) for path in files if WHO.encode() in path.read_bytes()}


def test_no_byte_of_a_forgotten_user_is_left_outside_the_landing_zone(known: Nights) -> None:
    assert Path("logs/logs.duckdb") in holding(known)
    assert Path("exports/all.jsonl") in holding(known)
    assert forget_user(known.lake, WHO, at=NOW) == Forgotten(events=3, users=1, quarantined=1, exports=1, releases=0)
    assert holding(known) == set()
    known.state()
    assert known.held() == {EARLIER: 200, DAY: 200}


def test_that_somebody_was_forgotten_is_noted_but_not_who(known: Nights) -> None:
    forget_user(known.lake, WHO, at=NOW)
    with known.read() as logs:
        (note,) = logs.audit()
    assert note == {
        "at": NOW.replace(tzinfo=None).isoformat(),
        "action": "forget",
        "events": 3,
        "users": 1,
        "quarantined": 1,
    }


def test_a_backfill_and_a_night_from_the_same_landing_keep_a_forgotten_user_out(known: Nights) -> None:
    forget_user(known.lake, WHO, at=NOW)
    before = known.state(without="profiles")
    with known.read() as logs:
        digest = logs.digest(DAY)
    ingested = known.run(EARLIER, DAY, reload=True)
    assert (ingested.logs_digest, ingested.refused) == (digest, {})
    assert sum(entry.forgotten for entry in ingested.counts) == 5
    assert known.state(without="profiles") == before  # what days are compared with is of no user
    known.write("events", DAY, [event(WHO, hour=5), *[event(f"u{k}") for k in range(200)]])
    known.night(DAY).require(DAY)
    assert known.rows("SELECT count(*) FROM events WHERE landed = '2026-03-05'") == [(200,)]


@pytest.mark.parametrize("user", ["", "  ", "nobody-of-this-name"])
def test_an_id_that_is_nobody_s_is_told_and_changes_nothing(known: Nights, user: str) -> None:
    before = known.state()
    with pytest.raises(UnknownId, match=r"no user was named|hold no row of"):
        forget_user(known.lake, user, at=NOW)
    assert known.state() == before
    assert known.rows("SELECT count(*) FROM forgotten") == [(0,)]
    assert known.rows("SELECT count(*) FROM audit") == [(0,)]


def test_logs_that_are_not_there_are_not_made_to_forget_somebody(nights: Nights) -> None:
    with pytest.raises(LogsError, match="nothing was loaded yet"):
        forget_user(nights.lake, WHO, at=NOW)
    assert not nights.lake.logs.exists()


def test_an_export_that_cannot_be_read_is_removed(known: Nights) -> None:
    (known.lake.exports / "deep").mkdir()
    for name in ("torn.parquet", "deep/torn.jsonl"):
        (known.lake.exports / name).write_bytes(b"PAR1" + WHO.encode())
    forget_user(known.lake, WHO, at=NOW)
    assert holding(known) == set()


def test_nobody_is_forgotten_while_another_writes(known: Nights) -> None:
    before = holding(known)
    with open_logs(known.lake.logs), pytest.raises(LogsError, match="is being written by"):
        forget_user(known.lake, WHO, at=NOW)
    assert holding(known) == before
