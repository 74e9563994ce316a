"""The history of fresh items' vectors: a DuckDB file of its own, which nights fill and follow back.

A night of a space is known by the digests of its vectors, of its catalogue and of what was kept of them, and names the
one it came from, so a lineage of releases is followed whatever else was run in the lake.
"""

import datetime as dt
import fcntl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from retrieval.alignment import Alignment
from retrieval.convergence import Lineage, Positions
from retrieval.errors import HistoryError
from storage.logs.opening import CONFIG

SECONDS = 60.0
"""How long to wait for others, who hold the file for a moment each."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS nights (night TEXT PRIMARY KEY, space TEXT, day INTEGER, vectors_sha256 TEXT, parent TEXT);
CREATE TABLE IF NOT EXISTS vectors (night TEXT, item_id TEXT, first_seen INTEGER, vector FLOAT[]);
CREATE TABLE IF NOT EXISTS rotations (night TEXT PRIMARY KEY, rotation DOUBLE[], residual DOUBLE, n_items INTEGER);
CREATE TABLE IF NOT EXISTS curves (
    recipe TEXT, space TEXT, day DATE, first_seen DATE, age INTEGER, n_items INTEGER,
    low DOUBLE, median DOUBLE, high DOUBLE, established DOUBLE
);
CREATE TABLE IF NOT EXISTS verdicts (
    recipe TEXT, space TEXT, day DATE, first_seen DATE, n_items INTEGER, n_nights INTEGER,
    nights_to_half DOUBLE, nights_to_nine_tenths DOUBLE, state TEXT, sentence TEXT
);
"""
OF_NIGHTS = ("nights", "vectors", "rotations")
NEWEST = """
SELECT * REPLACE (day::TEXT AS day, first_seen::TEXT AS first_seen) FROM {}
QUALIFY dense_rank() OVER (PARTITION BY recipe, space ORDER BY day DESC) = 1 ORDER BY ALL
"""


@dataclass(frozen=True, slots=True)
class NightOfSpace:
    """One night of one space: what it is known by, and where its items were."""

    id: str
    space: str
    vectors_sha256: str
    kept: Positions


@dataclass(frozen=True, slots=True)
class History:
    """The history of a lake; its file is held only while rows are read or written."""

    path: Path

    def has(self, night: str, parent: str | None = None) -> bool:
        """Whether a night is there and came from this one, where that is known."""
        with self._opened() as connection:
            found = _row(connection, "SELECT parent FROM nights WHERE night = ?", night)
        return found is not None and parent in (None, found[0])

    def write(self, night: NightOfSpace, parent: str | None, turn: Alignment | None) -> None:
        """Put a night's rows in the place of its own; without a turn nothing leads back from it."""
        kept = night.kept
        table = pa.table({"item_id": kept.ids.tolist(), "first_seen": kept.first_seen, "vector": list(kept.vectors)})
        with self._changed() as connection:
            for name in OF_NIGHTS:
                connection.execute(f"DELETE FROM {name} WHERE night = ?", [night.id])
            row = [night.id, night.space, kept.day, night.vectors_sha256, parent if turn else None]
            connection.execute("INSERT INTO nights VALUES (?, ?, ?, ?, ?)", row)
            connection.register("given", table)
            connection.execute("INSERT INTO vectors SELECT ?, item_id, first_seen, vector FROM given", [night.id])
            connection.unregister("given")
            if turn is not None:
                entry = [night.id, turn.rotation.ravel().tolist(), turn.residual, turn.n_items]
                connection.execute("INSERT INTO rotations VALUES (?, ?, ?, ?)", entry)

    def forget_before(self, day: int) -> None:
        """Let go of the vectors of nights that no cohort is followed back to; a release has them still."""
        with self._changed() as connection:
            for name in reversed(OF_NIGHTS):
                connection.execute(f"DELETE FROM {name} WHERE night IN (SELECT night FROM nights WHERE day < ?)", [day])

    def lineage(self, night: str, first_day: int) -> Lineage:
        """A night that is in the history with those it came from, none of an earlier day than the first."""
        nights: list[Positions] = []
        turns: list[Alignment | None] = []
        with self._opened() as connection:
            id_: str | None = night
            while id_ is not None:
                found = _row(connection, "SELECT day, parent FROM nights WHERE night = ?", id_)
                if found is None or found[0] < first_day:
                    break
                nights.append(_positions(connection, id_, found[0]))
                turns.append(_turn(connection, id_, nights[-1].vectors.shape[1]))
                id_ = found[1]
        between = [turn for turn in turns[: len(nights) - 1] if turn is not None]
        return Lineage(tuple(nights[::-1]), tuple(between[::-1]))

    def write_findings(self, recipe: str, day: dt.date, spaces: Sequence[dict[str, Any]]) -> None:
        """Put a night's curves and verdicts, `SpaceFindings` as plain values, in the place of its own."""
        curves, verdicts = [], []
        for found in spaces:
            for cohort in found["cohorts"]:
                head = [recipe, found["space"], day, cohort["first_seen"]]
                ages = zip(cohort["delta"], cohort["established"], strict=True)
                curves += [
                    [*head, age, cohort["n_items"], delta["low"], delta["median"], delta["high"], established]
                    for age, (delta, established) in enumerate(ages)
                ]
                facts = ("n_items", "n_nights", "nights_to_half", "nights_to_nine_tenths", "state", "sentence")
                verdicts.append([*head, *(cohort[name] for name in facts)])
        with self._changed() as connection:
            for name, rows in (("curves", curves), ("verdicts", verdicts)):
                connection.execute(f"DELETE FROM {name} WHERE recipe = ? AND day = ?", [recipe, day])
                if rows:
                    places = ", ".join("?" * len(rows[0]))
                    connection.executemany(f"INSERT INTO {name} VALUES ({places})", rows)

    def newest(self) -> dict[str, list[dict[str, Any]]]:
        """The curves and verdicts of the newest night of each recipe's spaces.

        Raises:
            HistoryError: when there is no history yet.
        """
        if not self.path.exists():
            raise HistoryError(f"{self.path} does not exist: no night was run yet. Run `lamplighter nightly --day D`.")
        with self._opened() as connection:
            return {
                name: connection.sql(NEWEST.format(name)).to_arrow_table().to_pylist()
                for name in ("curves", "verdicts")
            }

    @contextmanager
    def _changed(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction: whole, or not at all."""
        with self._opened() as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The file with its tables, held alone.

        Raises:
            HistoryError: when others do not let go of it, or it cannot be opened.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + SECONDS
        with self.path.with_suffix(".lock").open("a") as lock:
            _hold(lock.fileno(), self.path, deadline)
            connection = _connect(self.path, deadline)
            try:
                connection.execute(SCHEMA)
                yield connection
            finally:
                connection.close()


def _hold(lock: int, path: Path, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _wait(path, deadline)


def _connect(path: Path, deadline: float) -> duckdb.DuckDBPyConnection:
    while True:
        try:
            return duckdb.connect(path, config=CONFIG)
        except duckdb.Error as error:
            if not isinstance(error, duckdb.IOException) or "lock" not in str(error).lower():
                raise HistoryError(
                    f"{path} cannot be opened ({str(error).strip().splitlines()[0][:200]}). Remove it: the next night "
                    "makes it again from the releases."
                ) from error
            _wait(path, deadline)


def _wait(path: Path, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise HistoryError(f"{path} is still in use after {SECONDS:.0f} s. End who holds it, then repeat.")
    time.sleep(0.05)


def _row(connection: duckdb.DuckDBPyConnection, asked: str, night: str) -> tuple[Any, ...] | None:
    rows: list[tuple[Any, ...]] = connection.execute(asked, [night]).fetchall()
    return rows[0] if rows else None


def _positions(connection: duckdb.DuckDBPyConnection, night: str, day: int) -> Positions:
    asked = "SELECT item_id, first_seen, vector FROM vectors WHERE night = $night ORDER BY item_id"
    table = connection.sql(asked, params={"night": night}).to_arrow_table().combine_chunks()
    ids = np.asarray(table["item_id"].to_pylist(), str)
    flat = table["vector"].combine_chunks().flatten().to_numpy()
    first_seen = table["first_seen"].to_numpy().astype(np.int32)
    return Positions(day, ids, first_seen, flat.reshape(len(ids), -1).astype(np.float32))


def _turn(connection: duckdb.DuckDBPyConnection, night: str, width: int) -> Alignment | None:
    found = _row(connection, "SELECT rotation, residual, n_items FROM rotations WHERE night = ?", night)
    return Alignment(np.array(found[0]).reshape(width, width), found[1], found[2]) if found else None
