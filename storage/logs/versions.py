"""Versions of the tables: an older file is saved beside, then brought up to date by one script a version."""

import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import duckdb

from retrieval.errors import LogsError
from storage.logs.judging import KINDS
from storage.logs.loading import content_of
from storage.logs.queries import query

VERSION = 2
Connect = Callable[[], duckdb.DuckDBPyConnection]


def brought_up_to_date(path: Path, connect: Connect) -> duckdb.DuckDBPyConnection:
    """A connection to tables of this version: made in a new file, changed in an older one after it was saved.

    Raises:
        LogsError: when the file is of a version that this software does not know.
    """
    connection = connect()
    tables = _tables(connection)
    found = _version(connection, tables)
    if found == VERSION:
        _renew_sums(connection)
        return connection
    if found > VERSION:
        connection.close()
        raise _too_new(path, found)
    if found:
        connection.execute("CHECKPOINT")
        connection.close()
        _save(path, found)
        connection = connect()
    connection.execute("BEGIN")
    if found:
        _migrate(connection, tables, found)
    else:
        connection.execute(query("schema"))
        connection.execute("INSERT INTO about VALUES (?, version(), uuid()::VARCHAR)", [VERSION])
    connection.execute("COMMIT")
    return connection


def require_known(path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    """Read only tables of this version.

    Raises:
        LogsError: when the file is of another one, or a writer has just begun to make it.
    """
    found = _version(connection, _tables(connection))
    if found > VERSION:
        raise _too_new(path, found)
    if found < VERSION:
        what = f"is of version {found}, older than this software's {VERSION}" if found else "holds nothing yet"
        raise LogsError(f"{path} {what}. Run `lamplighter nightly` or `backfill` first.")


def _too_new(path: Path, found: int) -> LogsError:
    return LogsError(
        f"{path} is of version {found}, and this software knows {VERSION}. Use the newer software, "
        f"or go back to a file in {backups(path)}."
    )


def backups(path: Path) -> Path:
    """Where files of former versions are kept."""
    return path.parent / "backups"


def _migrate(connection: duckdb.DuckDBPyConnection, tables: set[str], version: int) -> None:
    for table in tables:
        connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    connection.execute(query("schema"))
    connection.execute(query("macros"))
    connection.execute(resources.files(__package__).joinpath(f"migrations/from_{version}.sql").read_text())
    _sum_up(connection)
    for table in tables:
        connection.execute(f"DROP TABLE old_{table}")


def _renew_sums(connection: duckdb.DuckDBPyConnection) -> None:
    """Sum up all days again when the library, whose hashes they are, is another one than before."""
    if connection.execute("SELECT library = version() FROM about").fetchall() == [(True,)]:
        return
    connection.execute("BEGIN; DELETE FROM contents")
    _sum_up(connection)
    connection.execute("UPDATE about SET library = version(); COMMIT")


def _sum_up(connection: duckdb.DuckDBPyConnection) -> None:
    for kind in KINDS:
        connection.execute(f"INSERT INTO contents {content_of(kind)} GROUP BY day")


def _save(path: Path, version: int) -> None:
    backups(path).mkdir(exist_ok=True)
    saved = backups(path) / f"{path.stem}-version-{version}{path.suffix}"
    shutil.copyfile(path, saved.with_suffix(".part"))
    saved.with_suffix(".part").replace(saved)


def _tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}


def _version(connection: duckdb.DuckDBPyConnection, tables: set[str]) -> int:
    """The version of a file's tables, 0 when it has none; the first version did not say."""
    if not tables:
        return 0
    if "about" not in tables:
        return 1
    ((version,),) = connection.execute("SELECT version FROM about").fetchall()
    return int(version)
