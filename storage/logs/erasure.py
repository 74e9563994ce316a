"""A user out of the logs, for good: rows, what counts them, and the bytes that deleted rows leave in the file."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from storage.logs.loading import content_of
from storage.logs.reading import Logs
from storage.logs.sql import days_in, quoted

OF_USER = "(content::JSON ->> '$.user_id')"
THEIRS = {
    "events": "user_id = $user",
    "late_events": "user_id = $user",
    "users": "user_id = $user",
    "quarantine": f"{OF_USER} = $user",
}
"""The tables that hold rows of users, and which rows are a user's."""


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows of a user were taken out."""

    events: int
    users: int
    quarantined: int


def forget(logs: Logs, user: str) -> Erased:
    """Take a user out of every table, and keep out what may land of them again; inside a transaction.

    What is kept is a salted digest of the id: it recognises the user's rows and does not tell whose they are.
    """
    con = logs.connection
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE theirs AS
           SELECT 'events' AS kind, landed AS day, day AS own_day, 'loaded' AS place FROM events WHERE user_id = $user
           UNION ALL SELECT 'users', day, day, 'loaded' FROM users WHERE user_id = $user
           UNION ALL SELECT kind, day, day, 'quarantined' FROM quarantine WHERE {THEIRS["quarantine"]}""",
        {"user": user},
    )
    for table, condition in THEIRS.items():
        con.execute(f"DELETE FROM {table} WHERE {condition}", {"user": user})
    con.execute("DELETE FROM seen_users WHERE user_id = ?", [user])
    con.execute(
        """UPDATE partitions SET n_loaded = n_loaded - n_gone, n_quarantined = n_quarantined - n_aside,
               n_late = n_late - n_gone_late, n_forgotten = n_forgotten + n_gone + n_aside
           FROM (SELECT kind, day, count(*) FILTER (WHERE place = 'loaded') AS n_gone,
                     count(*) FILTER (WHERE place = 'quarantined') AS n_aside,
                     count(*) FILTER (WHERE place = 'loaded' AND own_day < day) AS n_gone_late
                 FROM theirs GROUP BY kind, day) AS gone
           WHERE gone.kind = partitions.kind AND gone.day = partitions.day"""
    )
    for kind in ("events", "users"):
        days = [day for (day,) in con.execute(f"SELECT DISTINCT own_day FROM theirs WHERE kind = '{kind}'").fetchall()]
        con.execute(f"DELETE FROM contents WHERE kind = '{kind}' AND day IN {days_in(days)}")
        con.execute(f"INSERT INTO contents {content_of(kind)} WHERE day IN {days_in(days)} GROUP BY day")
    con.execute(
        "INSERT INTO forgotten SELECT token_of($user) WHERE token_of($user) NOT IN (SELECT token FROM forgotten)",
        {"user": user},
    )
    found = dict(
        con.execute(
            "SELECT CASE place WHEN 'loaded' THEN kind ELSE place END, count(*) FROM theirs GROUP BY 1"
        ).fetchall()
    )
    con.execute("DROP TABLE theirs")
    return Erased(found.get("events", 0), found.get("users", 0), found.get("quarantined", 0))


def is_forgotten(logs: Logs, user: str) -> bool:
    """Whether a user has been taken out before."""
    known = "SELECT 1 FROM forgotten WHERE token = token_of($user)"
    return bool(logs.connection.execute(known, {"user": user}).fetchall())


def forget_in_exports(folder: Path, user: str) -> int:
    """Write every exported file again without a user's rows; returns how many files held any.

    One that cannot be read is removed.
    """
    changed = 0
    for path in sorted(folder.rglob("*")):
        reader = {".jsonl": "read_json", ".parquet": "read_parquet"}.get(path.suffix)
        if path.suffix == ".part" or (reader and not _is_readable(path, reader)):
            path.unlink()  # nobody could tell whether it holds them
        elif reader:
            changed += _forget_in(path, reader, user)
    return changed


def _is_readable(path: Path, reader: str) -> bool:
    with duckdb.connect() as con:
        try:
            con.execute(f"SELECT count(hash(row)) FROM {reader}('{quoted(path)}') AS row").fetchall()
        except duckdb.Error:
            return False
    return True


def _forget_in(path: Path, reader: str, user: str) -> bool:
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE rows AS FROM {reader}('{quoted(path)}')")
        if "content" not in [name for name, *_ in con.execute("DESCRIBE rows").fetchall()]:
            return False  # no rows at all
        if not con.execute(f"DELETE FROM rows WHERE {OF_USER} = $user RETURNING 1", {"user": user}).fetchall():
            return False
        part = path.with_name(f".{path.name}.part")
        con.execute(f"COPY rows TO '{quoted(part)}' (FORMAT {'json' if path.suffix == '.jsonl' else 'parquet'})")
    part.replace(path)
    return True
