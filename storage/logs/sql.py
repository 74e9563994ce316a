"""What queries of the logs are put together from."""

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb


def add_rows(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    select: str,
    values: Mapping[str, Any] | None = None,
    *,
    order: str = "",
) -> None:
    """Insert what a query finds, and do nothing when it finds nothing.

    DuckDB 2.0.0 no longer sees, until the file is opened again, what a large INSERT adds to a table into which the same
    transaction inserted no rows before. `tests/storage/logs/test_sql.py` tells when that is mended and this can go.
    """
    if connection.execute(f"SELECT 1 FROM ({select}) LIMIT 1", values).fetchall():
        connection.execute(f"INSERT INTO {table} {select} {order}", values)


def days_in(days: Iterable[dt.date]) -> str:
    """Days as an SQL list: constants let DuckDB pass over the blocks of all other days."""
    return "(" + (", ".join(f"DATE '{day}'" for day in sorted(days)) or "NULL") + ")"


def quoted(path: Path | str) -> str:
    """A path as it stands between the quotes of SQL text."""
    return str(path).replace("'", "''")
