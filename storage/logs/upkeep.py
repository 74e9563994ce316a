"""Keeping the file in order: looked through, made smaller, put in the place of another."""

import datetime as dt
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from retrieval.schema import Kind
from storage.logs.judging import KINDS
from storage.logs.loading import content_of
from storage.logs.opening import CONFIG, alone, opened_to_write, require_there
from storage.logs.reading import Logs
from storage.logs.sql import quoted
from storage.logs.versions import backups


@dataclass(frozen=True, slots=True)
class Difference:
    """A kind and day of which two logs hold different rows."""

    kind: Kind
    day: dt.date
    rows: int
    rows_before: int


def problems(logs: Logs) -> list[str]:
    """What is wrong with the logs: rows that are not accounted for, or are not those that were loaded."""
    con, found = logs.connection, []
    for kind in KINDS:
        really = {day: (n, digest) for _, day, n, digest in con.execute(f"{content_of(kind)} GROUP BY day").fetchall()}
        noted = {
            day: (n, digest)
            for day, n, digest in con.execute(
                "SELECT day, n_rows, digest FROM contents WHERE kind = ?", [kind]
            ).fetchall()
        }
        for day in sorted(really.keys() | noted.keys()):
            (n, _), (n_noted, _) = really.get(day, (0, 0)), noted.get(day, (0, 0))
            if really.get(day) != noted.get(day):
                what = f"{n:,} rows instead of {n_noted:,}" if n != n_noted else f"{n:,} rows that are not those loaded"
                found.append(f"{kind} of {day}: {what}.")
        landed = "landed" if kind == "events" else "day"
        counts = con.execute(
            f"""SELECT p.day, n_loaded, coalesce(l.n, 0), n_quarantined, coalesce(q.n, 0) FROM partitions p
                LEFT JOIN (SELECT {landed} AS day, count(*) AS n FROM {kind} GROUP BY 1) l USING (day)
                LEFT JOIN (SELECT day, count(*) AS n FROM quarantine WHERE kind = '{kind}' GROUP BY 1) q USING (day)
                WHERE kind = '{kind}' ORDER BY p.day"""
        ).fetchall()
        for day, loaded, is_loaded, quarantined, is_quarantined in counts:
            if (loaded, quarantined) != (is_loaded, is_quarantined):
                found.append(
                    f"{kind} landed for {day}: counted {loaded:,} loaded and {quarantined:,} quarantined, "
                    f"but {is_loaded:,} and {is_quarantined:,} are there."
                )
    ((n_users,),) = con.execute(
        """SELECT count(*) FROM (SELECT user_id, min(day) AS first_day FROM events GROUP BY user_id) e
           FULL JOIN seen_users s USING (user_id) WHERE e.first_day IS DISTINCT FROM s.first_day"""
    ).fetchall()
    if n_users:
        found.append(f"the first days of {n_users:,} users are not those of their events.")
    return found


@contextmanager
def beside(logs: Logs, former: Path) -> Iterator[str | None]:
    """Read another file of logs from the connection of these, by a name in SQL; None when it cannot be read."""
    con = logs.connection
    try:
        if not former.exists():
            raise duckdb.IOException("there is no such file")
        con.execute(f"ATTACH '{quoted(former)}' AS former (READ_ONLY)")
        con.execute("SELECT version, salt FROM former.about").fetchall()
    except duckdb.Error:
        yield None
        return
    try:
        yield "former"
    finally:
        con.execute("DETACH former")


def carry_over(logs: Logs, former: str | None) -> None:
    """Take over from other logs what no landing zone tells: who is forgotten, what was taken up, what people did."""
    if former is None:
        return
    logs.connection.execute(f"UPDATE about SET salt = (SELECT any_value(salt) FROM {former}.about)")
    for table in ("forgotten", "taken_up", "audit"):
        logs.connection.execute(f"INSERT INTO {table} FROM {former}.{table}")


def differences(logs: Logs, former: str | None) -> list[Difference]:
    """The kinds and days of which these logs hold other rows than the former ones; rows_before is what those held."""
    if former is None:
        return []
    rows = logs.connection.execute(
        f"""SELECT kind, day, coalesce(n.n_rows, 0), coalesce(f.n_rows, 0)
            FROM contents n FULL JOIN {former}.contents f USING (kind, day)
            WHERE n.digest IS DISTINCT FROM f.digest OR n.n_rows IS DISTINCT FROM f.n_rows ORDER BY kind, day"""
    ).fetchall()
    return [Difference(*row) for row in rows]


def lost(logs: Logs, former: str | None) -> list[tuple[Kind, dt.date]]:
    """The partitions whose rows only the former logs hold: not landed any more, or since then landed worse."""
    if former is None:
        return []
    return logs.connection.execute(
        f"""SELECT kind, day FROM {former}.partitions f LEFT JOIN partitions n USING (kind, day)
            WHERE n.bytes IS NULL OR (n.is_refused AND NOT f.is_refused AND n.bytes <> f.bytes) ORDER BY day, kind"""
    ).fetchall()


def vacuum(path: Path, *, sweep: bool = False) -> tuple[int, int]:
    """Write the file again without the bytes that deleted rows left in it; returns its size before and after.

    With `sweep`, remove every other copy of rows beside it: files of former versions, and what killed commands left.

    Raises:
        LogsError: when another process writes, or there are no logs.
    """
    require_there(path)
    with opened_to_write(path):
        pass  # what a killed writer had finished is part of the file from here on
    fresh = path.with_suffix(".vacuum")
    with alone(path):
        before = path.stat().st_size
        fresh.unlink(missing_ok=True)
        with duckdb.connect(config=CONFIG) as con:
            con.execute(f"ATTACH '{quoted(path)}' AS old (READ_ONLY)")
            con.execute(f"ATTACH '{quoted(fresh)}' AS fresh")
            con.execute("COPY FROM DATABASE old TO fresh")
            con.execute("CHECKPOINT fresh")
            con.execute("DETACH fresh")
        put_in_place(fresh, path)
        if sweep:
            _remove_leftovers(path)
        return before, path.stat().st_size


def _remove_leftovers(path: Path) -> None:
    for other in path.parent.iterdir():
        if other.is_dir():
            shutil.rmtree(other, ignore_errors=True)
        elif other != path and other.suffix not in (".lock", ".json", ".wal"):
            other.unlink(missing_ok=True)


def keep_damaged(path: Path, at: dt.datetime) -> None:
    """Put a file that cannot be read where files of former versions are kept."""
    backups(path).mkdir(exist_ok=True)
    path.replace(backups(path) / f"{path.stem}-damaged-{at:%Y%m%dT%H%M%S}{path.suffix}")


def put_in_place(fresh: Path, path: Path) -> None:
    """Let one file of logs take another's place, whose write-ahead log must not be replayed onto it."""
    path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
    fresh.replace(path)
