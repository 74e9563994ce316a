"""An open event store: what it holds, as of a day."""

import datetime as dt
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from retrieval.rules import Rules
from retrieval.schema import Kind
from storage.landed import Partition
from storage.logs.judging import KINDS
from storage.logs.loading import DayCounts, counts_of
from storage.logs.opening import Tell, opened_to_read, opened_to_write
from storage.logs.queries import query
from storage.logs.sql import days_in
from storage.refs import digest_of


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the logs know of a partition they have judged."""

    counts: DayCounts
    bytes: str
    judged_by: str
    metrics: dict[str, float | None]
    checks: list[dict[str, Any]]
    refused_correction: str | None
    """The digest of other bytes that landed later and were refused."""

    @property
    def partition(self) -> Partition:
        """The partition as the logs keep it, without its files."""
        return Partition(self.counts.kind, self.counts.day, (), self.bytes)


@dataclass(frozen=True, slots=True)
class Reopened:
    """A day for which events landed later."""

    day: dt.date
    taken_up: int
    """Late rows that its events hold."""
    waiting: int
    """Late rows that wait in the quarantine for a backfill of the day."""


@dataclass(frozen=True, slots=True)
class Logs:
    """An open event store."""

    connection: duckdb.DuckDBPyConnection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep everything done inside, or nothing."""
        self.connection.execute("BEGIN")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise

    def recorded(self, kind: Kind | None = None, day: dt.date | None = None) -> list[Recorded]:
        """The partitions judged, all or those of a kind or a day."""
        rows = self.connection.execute(
            """SELECT kind, day, bytes, judged_by, metrics, checks, refused_correction FROM partitions
               WHERE kind = coalesce(?, kind) AND day = coalesce(?, day)""",
            [kind, day],
        ).fetchall()
        counts = {(entry.kind, entry.day): entry for entry in counts_of(self.connection)}
        return [
            Recorded(counts[kind, day], bytes_, judged_by, json.loads(metrics), json.loads(checks), refused_correction)
            for kind, day, bytes_, judged_by, metrics, checks, refused_correction in rows
        ]

    def reasons(self, partitions: Iterable[tuple[Kind, dt.date]]) -> dict[str, int]:
        """How many rows of partitions are set aside for each reason."""
        chosen = list(partitions)
        tests = " OR ".join(
            f"kind = '{kind}' AND day IN {days_in(day for other, day in chosen if other == kind)}" for kind in KINDS
        )
        rows = self.connection.execute(
            f"""SELECT reason, count(*) FROM (SELECT unnest(reasons) AS reason FROM quarantine WHERE {tests})
                GROUP BY reason ORDER BY reason"""
        ).fetchall()
        return dict(rows)

    def catalogue_digests(self, landing: Iterable[Partition] = ()) -> dict[dt.date, str]:
        """The digest of the bytes of every items partition judged, with those about to be."""
        known = {entry.counts.day: entry.bytes for entry in self.recorded("items")}
        return known | {partition.day: partition.digest for partition in landing}

    def note_refused_correction(self, partition: Partition) -> None:
        """Remember that other bytes landed for a partition, and were refused."""
        self.connection.execute(
            "UPDATE partitions SET refused_correction = ? WHERE kind = ? AND day = ?",
            [partition.digest, partition.kind, partition.day],
        )

    def days_loaded(self) -> list[tuple[dt.date, int]]:
        """The days that hold events with their rows, ascending."""
        return self.connection.execute("SELECT day, n_rows FROM contents WHERE kind = 'events' ORDER BY day").fetchall()

    def reopened(self) -> list[Reopened]:
        """The days for which events landed later, ascending."""
        return [Reopened(*row) for row in self.connection.execute(query("reopened")).fetchall()]

    def waiting(self, first: dt.date, last: dt.date) -> list[tuple[dt.date, dt.date]]:
        """For which days late events landed that wait for a backfill of a span's days, and their own days."""
        return self.connection.execute(query("waiting"), {"first": first, "last": last}).fetchall()

    def take_up(self, first: dt.date, last: dt.date, only: Collection[dt.date] | None = None) -> list[dt.date]:
        """Let waiting late events of a span's days in when they are judged next; returns the days they landed for.

        With `only`, those of some of the days.
        """
        waiting = [(landed, own) for landed, own in self.waiting(first, last) if only is None or own in only]
        known = set(self.connection.execute("SELECT landed, day FROM taken_up").fetchall())
        for pair in sorted(set(waiting) - known):
            self.connection.execute("INSERT INTO taken_up VALUES (?, ?)", pair)
        return sorted({landed for landed, _ in waiting})

    def digest(self, until: dt.date) -> str:
        """The digest of everything the logs hold up to a day, of the order of loading and of formats independent."""
        rows = self.connection.execute(
            "SELECT kind, day, n_rows, digest FROM contents WHERE day <= ? ORDER BY kind, day", [until]
        ).fetchall()
        return digest_of(rows)

    def catalogue(self, day: dt.date, rules: Rules) -> pa.Table:
        """Every item known on a day, as it was then."""
        asked = {"day": day, "whole": rules.catalogue == "whole", "stubs": rules.unknown_items == "stub"}
        return self.connection.sql(query("catalogue"), params=asked).to_arrow_table()

    def people(self, day: dt.date, context_keys: Sequence[str]) -> pa.Table:
        """Every user known on a day, with the context their events before it usually had."""
        bounds = {"day": day, "context_keys": list(context_keys)}
        return self.connection.sql(query("people"), params=bounds).to_arrow_table()

    def interactions(self, first: dt.date, last: dt.date) -> pa.Table:
        """The events of a span of days, both ends included."""
        return self.connection.sql(query("interactions"), params={"first": first, "last": last}).to_arrow_table()

    def note(self, action: str, at: dt.datetime, detail: dict[str, Any]) -> None:
        """Write down what somebody had done to the logs."""
        self.connection.execute(
            "INSERT INTO audit VALUES (?, ?, ?)",
            [at.astimezone(dt.UTC).replace(tzinfo=None), action, json.dumps(detail, default=str)],
        )

    def audit(self) -> list[dict[str, Any]]:
        """What people had done to the logs, oldest first."""
        rows = self.connection.execute("SELECT done_at, action, detail FROM audit ORDER BY done_at").fetchall()
        return [{"at": at.isoformat(), "action": action} | json.loads(detail) for at, action, detail in rows]


@contextmanager
def open_logs(
    path: Path, *, read_only: bool = False, wait_seconds: float = 0.0, tell: Tell | None = None
) -> Iterator[Logs]:
    """Open the event store, to write as its only writer or to read what it held at the last finished write.

    Another writer is waited for so many seconds, of which `tell` hears; a reader never waits.

    Raises:
        LogsError: when another process writes still, or the file cannot be opened.
    """
    opened = opened_to_read(path) if read_only else opened_to_write(path, wait_seconds=wait_seconds, tell=tell)
    with opened as connection:
        yield Logs(connection)
