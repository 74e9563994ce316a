"""Judged partitions into the logs: each replaced as a whole, in the transaction that judged it."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from retrieval.errors import LogsError
from retrieval.schema import CONTRACTS, Kind
from storage.landed import Partition
from storage.logs.judging import KINDS, Staged
from storage.logs.queries import query
from storage.logs.sql import add_rows, days_in


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about one staged partition."""

    is_refused: bool
    metrics: Mapping[str, float | None]
    checks: Sequence[Mapping[str, Any]]
    """The results of its rules, as plain values."""


@dataclass(frozen=True, slots=True)
class DayCounts:
    """What became of the rows of one partition: landed = loaded + quarantined + duplicates + forgotten."""

    kind: Kind
    day: dt.date
    is_refused: bool
    landed: int
    loaded: int
    quarantined: int
    duplicates: int
    forgotten: int
    late: int
    """Those of the loaded rows that went to an earlier day, their own."""


def settle(
    staged: Staged, verdicts: Mapping[tuple[Kind, dt.date], Verdict], judged_by: Mapping[tuple[Kind, dt.date], str]
) -> list[DayCounts]:
    """Put every staged partition where its verdict says: good rows into the logs, the others into the quarantine.

    A refused partition goes to the quarantine as a whole. Whatever the logs held of a partition before is replaced.

    Raises:
        LogsError: when a row is not accounted for; nothing is changed then, once the transaction is rolled back.
    """
    con = staged.connection
    _write_verdicts(con, staged.partitions, verdicts, judged_by)
    touched = {day for (day,) in con.execute(query("touched_days")).fetchall()}
    late = _late_days(con, touched)
    for kind in KINDS:
        _remove(con, kind)
        _insert(con, kind)
    touched |= {day for (day,) in con.execute(query("touched_days")).fetchall()}
    con.execute(query("record_partitions"))
    _merge_late(con, late | _late_days(con, touched))
    _sum_up(con, touched)
    if touched:
        con.execute(query("see_users").replace("$days", days_in(touched)))
    con.execute("DROP TABLE settled")
    return _accounted(con, staged.partitions)


def _write_verdicts(
    con: duckdb.DuckDBPyConnection,
    partitions: Sequence[Partition],
    verdicts: Mapping[tuple[Kind, dt.date], Verdict],
    judged_by: Mapping[tuple[Kind, dt.date], str],
) -> None:
    rows = [
        {
            "kind": partition.kind,
            "day": partition.day,
            "is_refused": verdicts[partition.kind, partition.day].is_refused,
            "bytes": partition.digest,
            "judged_by": judged_by[partition.kind, partition.day],
            "metrics": json.dumps(dict(verdicts[partition.kind, partition.day].metrics)),
            "checks": json.dumps(list(verdicts[partition.kind, partition.day].checks), default=str),
        }
        for partition in partitions
    ]
    con.register("given_verdicts", pa.Table.from_pylist(rows, schema=_VERDICTS))
    con.execute("CREATE OR REPLACE TEMP TABLE settled AS FROM given_verdicts")
    con.unregister("given_verdicts")


_VERDICTS = pa.schema(
    [
        ("kind", pa.string()),
        ("day", pa.date32()),
        ("is_refused", pa.bool_()),
        ("bytes", pa.string()),
        ("judged_by", pa.string()),
        ("metrics", pa.string()),
        ("checks", pa.string()),
    ]
)


def _remove(con: duckdb.DuckDBPyConnection, kind: Kind) -> None:
    """Take out what the logs hold of the staged partitions; a day that is new costs no search."""
    former = con.execute(f"SELECT day FROM settled JOIN partitions USING (kind, day) WHERE kind = '{kind}'").fetchall()
    if not former:
        return
    days = days_in(day for (day,) in former)
    for table in ("events", "late_events") if kind == "events" else (kind,):
        con.execute(f"DELETE FROM {table} WHERE {'landed' if kind == 'events' else 'day'} IN {days}")
    con.execute(f"DELETE FROM quarantine WHERE kind = '{kind}' AND day IN {days}")


def _insert(con: duckdb.DuckDBPyConnection, kind: Kind) -> None:
    columns = ", ".join(column.name for column in CONTRACTS[kind].columns)
    place = "f.file, coalesce(s.line, s.rowid - f.first_row + 1)"
    good = f"""FROM staged_{kind} s JOIN files_{kind} f USING (file_number)
        WHERE s.landed IN (SELECT day FROM settled WHERE kind = '{kind}' AND NOT is_refused)
            AND s.rowid NOT IN (SELECT row FROM faulty_{kind}) AND s.rowid NOT IN (SELECT row FROM repeated_{kind})"""
    if kind == "events":
        select = f"SELECT occurred_at::DATE, s.landed, {place}, {columns} {good}"
        add_rows(con, "events", f"{select} AND occurred_at::DATE = s.landed")
        add_rows(con, "late_events", f"{select} AND occurred_at::DATE <> s.landed")
    else:
        add_rows(con, kind, f"SELECT s.landed, {place}, {columns} {good}")
    content = ", ".join(f"'{column.name}': s.{column.name}" for column in CONTRACTS[kind].columns)
    add_rows(
        con,
        "quarantine",
        f"""SELECT '{kind}', s.landed, {place}, coalesce(b.reasons, ['day_refused']),
                coalesce(s.raw, to_json({{{content}}})::VARCHAR)
            FROM staged_{kind} s JOIN files_{kind} f USING (file_number)
            JOIN settled v ON v.kind = '{kind}' AND v.day = s.landed
            LEFT JOIN faulty_{kind} b ON b.row = s.rowid
            WHERE (v.is_refused OR b.row IS NOT NULL) AND s.rowid NOT IN (SELECT row FROM repeated_{kind})""",
        order="ORDER BY s.landed, f.file, s.rowid",
    )


def _late_days(con: duckdb.DuckDBPyConnection, days: set[dt.date]) -> set[dt.date]:
    """Those of the days that hold, or could hold, rows that landed late."""
    found = con.execute(f"SELECT DISTINCT day FROM late_events WHERE day IN {days_in(days)}").fetchall()
    return {day for (day,) in found}


def _merge_late(con: duckdb.DuckDBPyConnection, days: set[dt.date]) -> None:
    """Make the late part of days again: what landed late and is no repeat of what the day holds, first landed first."""
    if not days:
        return
    con.execute(query("merge_late").replace("$days", days_in(days)))


def _sum_up(con: duckdb.DuckDBPyConnection, days: set[dt.date]) -> None:
    """Write down how much the logs hold of every day that changed, and the sum of its hashes."""
    con.execute("DELETE FROM contents USING settled s WHERE contents.kind = s.kind AND contents.day = s.day")
    for kind in KINDS:
        if kind == "events":
            con.execute(f"DELETE FROM contents WHERE kind = 'events' AND day IN {days_in(days)}")
            con.execute(f"INSERT INTO contents {content_of(kind)} WHERE day IN {days_in(days)} GROUP BY day")
        else:
            asked = f"(SELECT day FROM settled WHERE kind = '{kind}')"
            con.execute(f"INSERT INTO contents {content_of(kind)} WHERE day IN {asked} GROUP BY day")


def _accounted(con: duckdb.DuckDBPyConnection, partitions: Sequence[Partition]) -> list[DayCounts]:
    """The counts of the partitions, compared with the rows that are really there.

    Raises:
        LogsError: when they differ.
    """
    recorded = {(entry.kind, entry.day): entry for entry in counts_of(con)}
    found: list[DayCounts] = []
    for kind in KINDS:
        days = [partition.day for partition in partitions if partition.kind == kind]
        if not days:
            continue
        landed = "landed" if kind == "events" else "day"
        tables = {
            "loaded": f"SELECT {landed}, count(*) FROM {kind} WHERE {landed} IN {days_in(days)} GROUP BY 1",
            "quarantined": f"""SELECT day, count(*) FROM quarantine
                               WHERE kind = '{kind}' AND day IN {days_in(days)} GROUP BY 1""",
        }
        really = {name: dict(con.execute(sql).fetchall()) for name, sql in tables.items()}
        for day in days:
            entry = recorded[kind, day]
            there = tuple(really[name].get(day, 0) for name in tables)
            if there != (entry.loaded, entry.quarantined):
                raise LogsError(
                    f"{kind} of {day}: {there[0]:,} rows are in the logs and {there[1]:,} in the quarantine, "
                    f"but {entry.loaded:,} and {entry.quarantined:,} were counted. Nothing was changed; this is a "
                    f"fault of the software: keep the landed files and report it."
                )
            found.append(entry)
    return found


def counts_of(con: duckdb.DuckDBPyConnection) -> list[DayCounts]:
    """What became of the rows of every partition."""
    rows = con.execute(
        """SELECT kind, day, is_refused, n_landed, n_loaded, n_quarantined, n_duplicates, n_forgotten, n_late
           FROM partitions ORDER BY kind, day"""
    ).fetchall()
    return [DayCounts(*row) for row in rows]


def content_of(kind: Kind) -> str:
    """The start of a query for the rows of each day and the sum of their hashes."""
    columns = ", ".join(column.name for column in CONTRACTS[kind].columns)
    return f"SELECT '{kind}', day, count(*), sum(hash({columns})::HUGEINT) FROM {kind}"
