"""One writer, known by name; readers who never wait for it; never half a day."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from rows import DAY, EARLIER, event, item

from retrieval.errors import LogsError
from retrieval.progress import listening
from storage.logs import open_logs
from storage.logs.upkeep import problems

Python = Callable[..., subprocess.Popen[str]]
HOLD = """
import sys
from pathlib import Path
from storage.logs import open_logs
with open_logs(Path(sys.argv[1]), read_only="reading" in sys.argv) as logs:
    if "writing" in sys.argv:
        logs.connection.execute("BEGIN; DELETE FROM items; INSERT INTO audit VALUES (now()::TIMESTAMP, 'x', '{}')")
    if "committed" in sys.argv:
        logs.connection.execute("INSERT INTO audit VALUES (now()::TIMESTAMP, 'y', '{}')")
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holding(python: Python, place: Any, *how: str) -> Iterator[subprocess.Popen[str]]:
    holder = python(HOLD, place.logs, *how)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def test_a_second_writer_is_told_the_process_and_command_of_the_first(stocked: Any, python: Python) -> None:
    stocked.load(EARLIER)
    with holding(python, stocked, "nightly", "--day", "2026-03-05") as holder:
        with pytest.raises(LogsError) as refusal, open_logs(stocked.logs):
            pytest.fail("two processes write the logs")
        for part in (str(stocked.logs), f"process {holder.pid} (-c ", " nightly)", "Wait for it to end"):
            assert part in str(refusal.value)  # options may name whom it concerns
    with open_logs(stocked.logs) as logs:
        assert [entry.counts.day for entry in logs.recorded("items")] == [EARLIER]


def test_a_writer_that_waits_goes_on_when_the_first_ends_and_hears_who_that_is(stocked: Any, python: Python) -> None:
    stocked.load(EARLIER)
    said: list[str] = []
    seconds: list[int] = []

    def heard(work: str, done: int, total: int) -> None:
        seconds.append(total)

    with holding(python, stocked, "nightly") as holder:
        ends = threading.Timer(1.5, holder.kill)
        ends.start()
        start = time.monotonic()
        with listening(heard), open_logs(stocked.logs, wait_seconds=30, tell=said.append) as logs:
            assert 1 < time.monotonic() - start < 20
            assert [entry.counts.day for entry in logs.recorded("items")] == [EARLIER]
        ends.join()
    assert len(said) == 1 and f"is being written by process {holder.pid} (-c " in said[0]
    assert 31 in seconds and seconds[-1] == 1, "the terminal sees the wait, and its end"


def test_a_writer_waits_no_longer_than_it_is_told(stocked: Any, python: Python) -> None:
    stocked.load(EARLIER)
    with (
        holding(python, stocked, "backfill") as holder,
        pytest.raises(LogsError, match=rf"is still, after 1 s, being written by process {holder.pid} .*Wait for it"),
        open_logs(stocked.logs, wait_seconds=1),
    ):
        pytest.fail("two processes write the logs")


def test_a_second_writer_in_the_same_process_is_refused_too(stocked: Any) -> None:
    stocked.load(EARLIER)
    with (
        open_logs(stocked.logs),
        pytest.raises(LogsError, match="is being written by process"),
        open_logs(stocked.logs),
    ):
        pytest.fail("the logs are written twice")


@pytest.mark.parametrize("how", ["writing", "committed", ""])
def test_a_reader_beside_a_writer_sees_what_was_finished_before(stocked: Any, python: Python, how: str) -> None:
    stocked.load(EARLIER)
    before = stocked.content()
    with holding(python, stocked, how):
        start = time.monotonic()
        assert stocked.content() == before
        with stocked.opened() as logs:
            assert logs.audit() == []
            assert problems(logs) == []
        assert time.monotonic() - start < 5
    assert stocked.content() == before
    assert [path.name for path in stocked.logs.parent.glob(".reading-*")] == []


def test_a_reader_in_the_process_that_writes_sees_what_was_finished_before(stocked: Any) -> None:
    stocked.load(EARLIER)
    with open_logs(stocked.logs) as writer, writer.transaction():
        writer.connection.execute("DELETE FROM items")
        assert stocked.rows("SELECT count(*) FROM items") == [(2,)]


def test_a_writer_waits_for_readers_to_end(stocked: Any, python: Python) -> None:
    stocked.load(EARLIER)
    with holding(python, stocked, "reading") as reader:
        waiting = python(HOLD, stocked.logs)
        assert waiting.stdout is not None
        time.sleep(1.0)
        assert waiting.poll() is None
        reader.kill()
        reader.wait()
        assert waiting.stdout.readline() == "held\n"
        waiting.kill()
        waiting.communicate()


def test_what_a_killed_writer_had_finished_is_there_and_nothing_else(stocked: Any, python: Python) -> None:
    stocked.load(EARLIER)
    before = stocked.content()
    for how, n_notes in (("writing", 0), ("committed", 1)):
        with holding(python, stocked, how):
            pass  # killed
        with stocked.opened() as logs:
            assert len(logs.audit()) == n_notes
        assert stocked.content() == before
    with open_logs(stocked.logs) as logs:
        assert len(logs.audit()) == 1
        assert problems(logs) == []


def test_logs_that_are_absent_cannot_be_read(place: Any) -> None:
    with pytest.raises(LogsError, match="nothing was loaded yet"), open_logs(place.logs, read_only=True):
        pytest.fail("absent logs were opened")


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("content", [b"no database" * 1000, b"x", b""], ids=["long", "short", "empty"])
def test_a_file_that_is_no_event_store_is_refused_with_its_path(place: Any, content: bytes, read_only: bool) -> None:
    place.logs.parent.mkdir(parents=True)
    place.logs.write_bytes(content)
    if not content and not read_only:
        return  # what DuckDB makes a new file of
    with pytest.raises(LogsError) as refusal, open_logs(place.logs, read_only=read_only):
        pytest.fail("garbage was opened")
    assert str(refusal.value).startswith(f"{place.logs} cannot be opened")


LOAD_FOR_EVER = """
import datetime as dt, sys
from pathlib import Path
from retrieval.rules import Action, Rules
from storage.landing import Landing
from storage.logs import Staged, Verdict, open_logs, settle
day = dt.date(2026, 3, 5)
print("go", flush=True)
while True:
    with open_logs(Path(sys.argv[1])) as logs:
        for version in sys.argv[2:]:
            zone = Landing(version)
            with logs.transaction():
                staged = Staged.landed(logs.connection, zone, [zone.partition("events", day)])
                staged.judge_catalogue()
                staged.judge_events({"buy": Action(sign="+")}, Rules(), [])
                settle(staged, {("events", day): Verdict(False, {}, [])}, {("events", day): "tests"})
            print(version, flush=True)
"""


def test_a_day_whose_load_is_killed_is_there_whole_or_not_at_all(place: Any, python: Python) -> None:
    place.land("items", EARLIER, [item("i1")])
    place.load(EARLIER)
    versions = {}
    for name, n in (("a", 2_000), ("b", 3_000)):
        other = type(place)(place.root / name)
        other.land("events", DAY, [event(f"{name}{k}", event_id=str(k)) for k in range(n)])
        versions[other.zone.partition("events", DAY).digest] = (str(other.root / "landing"), name, n)
    rng = np.random.default_rng(5)
    for _ in range(5):
        writer = python(LOAD_FOR_EVER, place.logs, *[uri for uri, *_ in versions.values()])
        assert writer.stdout is not None
        assert writer.stdout.readline() == "go\n"
        time.sleep(rng.uniform(0.05, 0.8))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        recorded = place.rows("SELECT bytes, n_loaded FROM partitions WHERE kind = 'events'")
        held = place.rows("SELECT user_id[1], count(*), count(DISTINCT event_id) FROM events GROUP BY 1")
        if recorded:
            ((digest, n_loaded),) = recorded
            _, name, n = versions[digest]
            assert held == [(name, n, n)]
            assert n_loaded == n
        else:
            assert held == []
        with place.opened() as logs:
            assert problems(logs) == []
    place.land("events", DAY, [event("z")])
    place.load(DAY)
    assert place.rows("SELECT user_id FROM events") == [("z",)]
    with place.opened() as logs:
        assert problems(logs) == []
