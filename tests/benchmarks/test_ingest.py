"""A day of a million rows into the logs, against what DuckDB alone takes to read, sort and write the same file."""

import datetime as dt
import time
from pathlib import Path

import duckdb
import pytest

from retrieval.rules import Action, Rules
from storage.layout import Lake
from tasks.ingest import ingest

pytestmark = pytest.mark.benchmark
DAY = dt.date(2026, 1, 5)
N_ROWS = 1_000_000


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    for kind in ("events", "items"):
        (tmp_path / kind / f"day={DAY}").mkdir(parents=True)
    duckdb.execute(
        f"""COPY (SELECT 'u' || (hash(i) % 100000) AS user_id, 'i' || (hash(i + 7) % 50000) AS item_id, 'click' AS action,
                  TIMESTAMP '{DAY}' + to_seconds((hash(i + 3) % 86400)::INT) AS occurred_at, i::VARCHAR AS event_id
           FROM range({N_ROWS}) t(i)) TO '{tmp_path}/events/day={DAY}/a.parquet' (FORMAT parquet)"""
    )
    duckdb.execute(
        f"""COPY (SELECT 'i' || i AS item_id, 'item ' || i AS title FROM range(50000) t(i))
            TO '{tmp_path}/items/day={DAY}/a.parquet' (FORMAT parquet)"""
    )
    return tmp_path


def test_a_million_rows_are_judged_and_loaded_in_few_times_a_bare_copy(landing: Path, tmp_path: Path) -> None:
    file = landing / "events" / f"day={DAY}" / "a.parquet"
    start = time.perf_counter()
    duckdb.execute(f"COPY (FROM '{file}' ORDER BY user_id, occurred_at) TO '{tmp_path}/copy.parquet' (FORMAT parquet)")
    bare = time.perf_counter() - start
    start = time.perf_counter()
    done = ingest.fn(
        Lake(tmp_path / "lake"), str(landing), (DAY, DAY), Rules(), {"click": Action(sign="+")}, required=DAY
    )
    ours = time.perf_counter() - start
    assert not done.refused
    print(
        f"\n{N_ROWS:,} rows: ingest with rules and suite {ours:.2f} s, DuckDB's read, sort and write {bare:.2f} s ({ours / bare:.1f} x)"
    )
    assert ours < 10 * bare
