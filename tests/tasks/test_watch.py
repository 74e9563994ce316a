"""One look at a lake after the other, without any orchestrator."""

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest
from nights import Nights
from rows import day_of

from flows.cli import run as command
from storage.incidents import Entry, read_book
from storage.layout import Lake
from storage.releases import ReleaseStore
from tasks.watch import OF_A_NIGHT, note_outcome, watch
from validation.conditions import Outcome
from validation.incidents import Limits

DAY = day_of(0)
AT = dt.datetime.combine(DAY + dt.timedelta(1), dt.time(3), dt.UTC)
ROOMY = Limits(min_free_gib=0)


@pytest.fixture
def refused(nights: Nights) -> Nights:
    """A lake whose newest day a rule refuses."""
    nights.land(DAY, n=20, faulty=10)
    nights.night(DAY)
    return nights


def look(nights: Nights, at: dt.datetime = AT, **more: object):  # type: ignore[no-untyped-def]
    return watch(nights.lake, ReleaseStore(nights.lake.releases), ROOMY, at, **more)  # type: ignore[arg-type]


def test_what_holds_is_opened_once_and_closed_when_the_day_is_loaded(refused: Nights) -> None:
    first, second = look(refused), look(refused, AT + dt.timedelta(minutes=10))
    assert [incident.id for incident in first.opened] == [f"data-quality.events.{DAY}"]
    assert (second.opened, second.resolved) == ([], [])
    (entry,) = second.open
    assert entry.opened == AT
    refused.land(DAY)
    refused.night(DAY)
    third = look(refused, AT + dt.timedelta(minutes=20))
    assert [incident.id for incident in third.resolved] == [f"data-quality.events.{DAY}"]
    assert third.open == []
    (past,) = read_book(refused.lake.incidents).past
    assert past.resolved == AT + dt.timedelta(minutes=20)


def test_what_could_not_be_told_is_told_at_the_next_look_and_never_twice(refused: Nights) -> None:
    told: list[tuple[str, bool]] = []

    def tell(_lake: Lake, entries: Sequence[Entry]) -> None:
        for entry in entries:
            told.append((entry.id, entry.resolved is not None))
            entry.told_opened, entry.told_resolved = True, entry.resolved is not None

    look(refused)
    assert told == []
    for _ in range(3):
        look(refused, tell=tell)
    assert told == [(f"data-quality.events.{DAY}", False)]
    refused.land(DAY)
    refused.night(DAY)
    look(refused)
    look(refused, tell=tell)
    look(refused, tell=tell)
    assert told[1:] == [(f"data-quality.events.{DAY}", True)]


def test_logs_that_cannot_be_read_end_nothing(refused: Nights) -> None:
    look(refused)
    whole = refused.lake.logs.read_bytes()
    refused.lake.logs.write_bytes(b"damaged" * 1000)
    found = look(refused)
    assert "cannot be opened" in found.unseen["data-quality"]
    assert found.resolved == [] and len(found.open) == 1
    refused.lake.logs.write_bytes(whole)
    assert look(refused).unseen == {}


def test_a_failed_night_is_open_until_one_has_finished(nights: Nights) -> None:
    nights.land(DAY)
    nights.night(DAY)
    note_outcome(nights.lake, Outcome("one", DAY, "failed", AT, "OSError: no room"))
    assert [i.id for i in look(nights, kinds=OF_A_NIGHT).opened] == [f"night-failed.{DAY}"]
    crashed = Outcome("two", DAY, "crashed", AT + dt.timedelta(hours=1), "no heartbeat")
    assert look(nights, kinds=OF_A_NIGHT, outcomes=[crashed]).opened == [], "it is the same night"
    note_outcome(nights.lake, Outcome("three", DAY, "completed", AT + dt.timedelta(hours=2)))
    assert [i.id for i in look(nights, kinds=OF_A_NIGHT).resolved] == [f"night-failed.{DAY}"]


def test_the_command_says_what_is_wrong_and_what_to_do(
    refused: Nights, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    where = ["--lake", str(refused.lake.root)]
    assert command(["watch", *where, "--min-free-gib", "0", "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert f"data-quality.events.{DAY}" in shown["opened"]
    assert command(["incidents", *where]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "null_share" in text and "docs/runbook.md#alert-data-quality" in text and "at most 0.01" in text
    refused.land(DAY)
    refused.night(DAY)
    assert command(["watch", *where, "--min-free-gib", "0"]) == 0
    assert "Nothing is wrong." in capsys.readouterr().out
    assert command(["incidents", *where, "--past", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["past"]) == 1


def test_a_look_by_hand_waits_for_no_orchestrator(lakes: Callable[..., Nights]) -> None:
    program = (
        "import sys; from flows.cli import run\n"
        "run(['watch', '--lake', sys.argv[1], '--min-free-gib', '0'])\n"
        "sys.exit(any(name in sys.modules for name in ('prefect', 'torch', 'great_expectations')))"
    )
    assert subprocess.run([sys.executable, "-c", program, str(lakes().lake.root)], check=False).returncode == 0
