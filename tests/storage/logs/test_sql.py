"""Rows are added without the fault of the library that loses sight of them."""

from pathlib import Path

import duckdb
import pytest

from storage.logs.sql import add_rows

MANY = 200_000
ROWS = "SELECT i // 1000 AS day, i FROM source"


@pytest.fixture
def connection(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(tmp_path / "t.duckdb")
    connection.execute("CREATE TABLE t (day BIGINT, i BIGINT)")
    connection.execute(f"CREATE TEMP TABLE source AS SELECT i FROM range({MANY}) r(i)")
    return connection


def seen(connection: duckdb.DuckDBPyConnection) -> int:
    return int(connection.execute("SELECT count(*) FROM t WHERE day = 7").fetchall()[0][0])


def test_many_rows_added_after_none_are_seen(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("BEGIN")
    add_rows(connection, "t", f"{ROWS} WHERE i < $least", {"least": 0})
    add_rows(connection, "t", ROWS)
    assert seen(connection) == 1000
    connection.execute("COMMIT")
    assert seen(connection) == 1000


def test_the_library_still_loses_sight_of_them_or_add_rows_can_go(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("BEGIN")
    connection.execute(f"INSERT INTO t {ROWS} WHERE i < 0")
    connection.execute(f"INSERT INTO t {ROWS}")
    assert seen(connection) == 0
