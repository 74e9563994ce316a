"""The interaction logs: one DuckDB file, days replaced as a whole, one writer at a time."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from retrieval.errors import LogsError
from retrieval.rules import Rules
from retrieval.schema import CONTRACTS, Kind
from storage.landing import Landing, Partition
from storage.queries import query
from storage.refs import digest_of
from storage.staging import stage

KINDS: tuple[Kind, ...] = ("items", "users", "events")
"""In the order they are judged: events are checked against the catalogue."""


@dataclass(frozen=True, slots=True)
class DayCounts:
    """What became of the rows of one partition: landed = loaded + refused + duplicates."""

    kind: Kind
    day: dt.date
    landed: int
    loaded: int
    refused: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class StagedDays:
    """Landed partitions, read and judged row by row, not yet part of the logs."""

    connection: duckdb.DuckDBPyConnection
    partitions: tuple[Partition, ...]

    def metrics(self, rules: Rules) -> pa.Table:
        """One row a day of events: counts, shares of each fault, volume against the trailing days."""
        bounds = {"trailing_days": rules.trailing_days, "min_trailing_days": rules.min_trailing_days}
        return self.connection.sql(query("day_metrics"), params=bounds).to_arrow_table()

    def counts(self) -> list[DayCounts]:
        """What would be loaded of each partition, empty partitions included."""
        found: dict[tuple[Kind, dt.date], DayCounts] = {}
        for kind in KINDS:
            rows = self.connection.execute(
                f"""SELECT day, count(*), count(*) FILTER (WHERE len(reasons) = 0 AND NOT is_duplicate),
                       count(*) FILTER (WHERE len(reasons) > 0), count(*) FILTER (WHERE is_duplicate)
                    FROM judged_{kind} GROUP BY day"""
            ).fetchall()
            found |= {(kind, day): DayCounts(kind, day, *numbers) for day, *numbers in rows}
        keys = ((partition.kind, partition.day) for partition in self.partitions)
        return [found.get(key, DayCounts(*key, 0, 0, 0, 0)) for key in keys]

    def reasons(self) -> dict[str, int]:
        """How many rows of all kinds carry each reason."""
        unions = " UNION ALL ".join(f"SELECT unnest(reasons) AS reason FROM judged_{kind}" for kind in KINDS)
        rows = self.connection.execute(
            f"SELECT reason, count(*) FROM ({unions}) GROUP BY reason ORDER BY reason"
        ).fetchall()
        return dict(rows)

    def accept(self, checks: Mapping[dt.date, Sequence[Mapping[str, Any]]]) -> None:
        """Replace, in the logs, accepted days of events and all staged items and users; other days stay as they are.

        `checks` gives the accepted days of events with the results of their checks.
        """
        counts = {(entry.kind, entry.day): entry for entry in self.counts()}
        accepted = [
            asdict(counts[partition.kind, partition.day])
            | {"digest": partition.digest, "checks": json.dumps(_checks_of(partition, checks), default=str)}
            for partition in self.partitions
            if partition.kind != "events" or partition.day in checks
        ]
        if not accepted:
            return
        self.connection.register("accepted_rows", pa.Table.from_pylist(accepted))
        self.connection.execute("CREATE OR REPLACE TEMP TABLE accepted AS SELECT * FROM accepted_rows")
        self.connection.unregister("accepted_rows")
        for kind in KINDS:
            self._replace(kind)
        self.connection.execute(
            "DELETE FROM partitions USING accepted a WHERE partitions.kind = a.kind AND partitions.day = a.day"
        )
        self.connection.execute(
            "INSERT INTO partitions SELECT kind, day, digest, landed, loaded, refused, duplicates, checks FROM accepted"
        )

    def _replace(self, kind: Kind) -> None:
        days = f"(SELECT day FROM accepted WHERE kind = '{kind}')"
        columns = ", ".join(column.name for column in CONTRACTS[kind].columns)
        content = ", ".join(f"'{column.name}': {column.name}" for column in CONTRACTS[kind].columns)
        self.connection.execute(f"DELETE FROM {kind} WHERE day IN {days}")
        self.connection.execute(f"DELETE FROM quarantine WHERE kind = '{kind}' AND day IN {days}")
        self.connection.execute(
            f"""INSERT INTO {kind} (day, {columns}) SELECT day, {columns} FROM judged_{kind}
                WHERE day IN {days} AND len(reasons) = 0 AND NOT is_duplicate ORDER BY line"""
        )
        self.connection.execute(
            f"""INSERT INTO quarantine SELECT '{kind}', day, file, line - first_line + 1, reasons,
                    coalesce(raw, to_json({{{content}}})::VARCHAR)
                FROM judged_{kind}
                JOIN (SELECT file, min(line) AS first_line FROM judged_{kind} GROUP BY file) USING (file)
                WHERE day IN {days} AND len(reasons) > 0 ORDER BY line"""
        )


@dataclass(frozen=True, slots=True)
class Logs:
    """An open event store."""

    connection: duckdb.DuckDBPyConnection

    @contextmanager
    def staging(
        self, landing: Landing, partitions: Sequence[Partition], actions: Sequence[str]
    ) -> Iterator[StagedDays]:
        """Read and judge landed partitions inside one transaction, kept when the block ends well.

        Raises:
            ContractError: naming a landed file that cannot be used; the logs stay as they were.
        """
        self.connection.execute("BEGIN")
        try:
            self.connection.execute("CREATE OR REPLACE TEMP TABLE staged_days (day DATE)")
            events = [(partition.day,) for partition in partitions if partition.kind == "events"]
            if events:
                self.connection.executemany("INSERT INTO staged_days VALUES (?)", events)
            for kind in KINDS:
                files = [file for partition in partitions if partition.kind == kind for file in partition.files]
                stage(self.connection, landing, kind, files)
            for kind in KINDS:
                values = {"actions": list(actions)} if kind == "events" else {}
                self.connection.execute(query(f"judge_{kind}"), values)
            yield StagedDays(self.connection, tuple(partitions))
            self.connection.execute("COMMIT")
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise

    def loaded(self, kind: Kind) -> dict[dt.date, str]:
        """The days loaded of a kind, with the digest of what landed."""
        rows = self.connection.execute("SELECT day, digest FROM partitions WHERE kind = ?", [kind]).fetchall()
        return dict(rows)

    def recorded(self, day: dt.date) -> tuple[list[DayCounts], dict[str, int], list[dict[str, Any]]]:
        """What became of the rows of a day when it was loaded: counts by kind, reasons, results of the checks."""
        rows = self.connection.execute(
            """SELECT kind, day, n_landed, n_loaded, n_refused, n_duplicates, checks FROM partitions
               WHERE day = ? ORDER BY kind""",
            [day],
        ).fetchall()
        reasons = self.connection.execute(
            """SELECT reason, count(*) FROM (SELECT unnest(reasons) AS reason FROM quarantine WHERE day = ?)
               GROUP BY reason ORDER BY reason""",
            [day],
        ).fetchall()
        checks = [check | {"day": day} for *_, text in rows for check in json.loads(text)]
        return [DayCounts(*row[:-1]) for row in rows], dict(reasons), checks

    def days_loaded(self) -> list[tuple[dt.date, int]]:
        """The days of events in the logs with their rows, ascending."""
        return self.connection.execute(
            "SELECT day, n_loaded FROM partitions WHERE kind = 'events' ORDER BY day"
        ).fetchall()

    def digest(self, until: dt.date) -> str:
        """The digest of everything the logs hold up to a day, of the order of loading independent."""
        rows = self.connection.execute(
            """SELECT kind, day, digest, n_landed, n_loaded, n_refused, n_duplicates FROM partitions
               WHERE day <= ? ORDER BY kind, day""",
            [until],
        ).fetchall()
        return digest_of(rows)

    def catalogue(self, day: dt.date) -> pa.Table:
        """Every item known on a day, as it was then."""
        return self.connection.sql(query("catalogue"), params={"day": day}).to_arrow_table()

    def people(self, day: dt.date, context_keys: Sequence[str]) -> pa.Table:
        """Every user known on a day, with the context their events before it usually had."""
        bounds = {"day": day, "context_keys": list(context_keys)}
        return self.connection.sql(query("people"), params=bounds).to_arrow_table()

    def interactions(self, first: dt.date, last: dt.date) -> pa.Table:
        """The events of a span of days, both ends included."""
        return self.connection.sql(query("interactions"), params={"first": first, "last": last}).to_arrow_table()


def _checks_of(partition: Partition, checks: Mapping[dt.date, Sequence[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    return list(checks.get(partition.day, ())) if partition.kind == "events" else []


@contextmanager
def open_logs(path: Path, *, read_only: bool = False) -> Iterator[Logs]:
    """Open the event store, made when it does not exist yet.

    Raises:
        LogsError: when another process holds it, or it cannot be opened.
    """
    if read_only and not path.exists():
        raise LogsError(
            f"{path} does not exist: nothing was loaded yet. Run `lamplighter nightly` or `backfill` first."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        connection = duckdb.connect(path, read_only=read_only, config=_CONFIG)
    except duckdb.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise LogsError(
            f"{path} cannot be opened ({reason}). Wait for the other process to end, then repeat."
        ) from error
    try:
        connection.execute("SET TimeZone = 'UTC'")
        if not read_only:
            connection.execute(query("schema"))
        yield Logs(connection)
    finally:
        connection.close()


_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
