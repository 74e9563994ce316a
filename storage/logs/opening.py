"""Opening the logs: one writer, known by name to whoever else comes, and readers who never wait for it."""

import fcntl
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import IO

import duckdb

from retrieval.errors import LogsDamaged, LogsError
from retrieval.progress import advance
from storage.durable import write_durable
from storage.logs.queries import query
from storage.logs.versions import brought_up_to_date, require_known

READER_SECONDS = 30.0
"""How long a writer waits for readers, who hold the file for seconds."""
LOOK_SECONDS = 0.2
"""How often a writer that waits for another looks whether it is gone."""
WAIT = "wait for another writer of the logs"
"""The work of waiting: its parts are seconds."""
Tell = Callable[[str], None]
WRITER_MEMORY = "1500MB"
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


@contextmanager
def opened_to_write(
    path: Path, *, wait_seconds: float = 0.0, tell: Tell | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the event store as its only writer, made when it does not exist yet and brought up to date when it is old.

    Another writer is waited for so many seconds; `tell` hears once of each who is waited for.

    Raises:
        LogsError: naming the process that writes still, or when the file cannot be opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _only_writer(path, wait_seconds, tell):
        with _flipping(path):
            connection = brought_up_to_date(path, lambda: _connect(path, read_only=False))
        try:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"SET memory_limit = '{WRITER_MEMORY}'")
            connection.execute("SET checkpoint_threshold = '1TB'")  # only below, where no reader copies the file
            connection.execute("PRAGMA disable_checkpoint_on_shutdown")
            connection.execute(query("macros"))
            yield connection
        finally:
            try:
                with _flipping(path):
                    connection.execute("CHECKPOINT")
            finally:
                connection.close()


@contextmanager
def opened_to_read(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the event store for reading; while somebody writes, a copy of it as it was at the last finished write.

    Raises:
        LogsError: when there is none, or it cannot be opened.
    """
    require_there(path)
    with tempfile.TemporaryDirectory(prefix=".reading-", dir=path.parent) as place:
        try:
            connection = duckdb.connect(path, read_only=True, config=CONFIG)
        except (duckdb.IOException, duckdb.ConnectionException):  # locked, or open in this process to write
            snapshot = Path(place) / path.name
            with _flipping(path, shared=True):  # between two checkpoints what the file's header names is never written
                shutil.copyfile(path, snapshot)
            connection = _connect(snapshot, read_only=True, named=path)
        except duckdb.Error as error:
            raise _unusable(path, error) from error
        try:
            require_known(path, connection)
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(query("macros"))
            yield connection
        finally:
            connection.close()


def require_there(path: Path) -> None:
    """Refuse to make logs where only what they hold is asked for.

    Raises:
        LogsError: when there are none.
    """
    if not path.exists():
        raise LogsError(
            f"{path} does not exist: nothing was loaded yet. Run `lamplighter nightly` or `backfill` first."
        )


def _connect(path: Path, *, read_only: bool, named: Path | None = None) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + READER_SECONDS
    while True:
        try:
            return duckdb.connect(path, read_only=read_only, config=CONFIG)
        except duckdb.IOException as error:
            if "lock" not in str(error).lower():
                raise _unusable(named or path, error) from error
            if time.monotonic() > deadline:
                raise LogsError(
                    f"{path} is still being read after {READER_SECONDS:.0f} s "
                    f"({_first_line(error)}). End that process, then repeat."
                ) from error
            time.sleep(0.1)
        except duckdb.Error as error:
            raise _unusable(named or path, error) from error


def _unusable(path: Path, error: duckdb.Error) -> LogsDamaged:
    return LogsDamaged(
        f"{path} cannot be opened ({_first_line(error)}). It may be damaged: run `lamplighter logs rebuild`, "
        f"which makes the logs again from the landing zone."
    )


@contextmanager
def _only_writer(path: Path, wait_seconds: float = 0.0, tell: Tell | None = None) -> Iterator[None]:
    """Hold the writer's lock, with a note of who holds it; the system frees it when its holder ends, however."""
    note = path.with_suffix(".writer.json")
    with path.with_suffix(".writer.lock").open("a") as lock:
        _take(lock, path, note, wait_seconds, tell)
        write_durable(note, json.dumps({"process": os.getpid(), "command": _command()}).encode())
        try:
            yield
        finally:
            note.unlink(missing_ok=True)


def _take(lock: IO[str], path: Path, note: Path, wait_seconds: float, tell: Tell | None) -> None:
    """Take the writer's lock, now or once whoever holds it is gone.

    Raises:
        LogsError: naming the holder, when it is still there after the wait.
    """
    start, told = time.monotonic(), set[str]()
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            who, waited = _named(note), time.monotonic() - start
        if waited >= wait_seconds:
            still = f"still, after {wait_seconds:.0f} s, " if wait_seconds else ""
            raise LogsError(f"{path} is {still}being written by {who}. Wait for it to end, then repeat.") from None
        if tell is not None and who not in told:
            tell(f"{path} is being written by {who}: waiting for it for at most {wait_seconds:.0f} s.")
        told.add(who)
        advance(WAIT, int(waited), int(wait_seconds) + 1)
        time.sleep(LOOK_SECONDS)
    if told:
        advance(WAIT, 1, 1)


def _command() -> str:
    """What this process was called to do, without the options: they may name whom it concerns."""
    words = takewhile(lambda word: not word.startswith("-"), sys.argv[1:3])
    return " ".join([Path(sys.argv[0]).name, *words])


def _named(note: Path) -> str:
    try:
        holder = json.loads(note.read_bytes())
        return f"process {holder['process']} ({holder['command']})"
    except (OSError, ValueError, KeyError):
        return "another process"


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep every other writer out, and everybody who would copy the file, to put another file in its place.

    Raises:
        LogsError: naming the process that writes.
    """
    with _only_writer(path), _flipping(path):
        yield


@contextmanager
def _flipping(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Keep checkpoints, which change what the file's header names, and copies of the file apart."""
    with path.with_suffix(".checkpoint.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
