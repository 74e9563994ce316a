"""A day of a million rows into the logs, against what DuckDB alone takes to read, sort and write the same file."""

import datetime as dt
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from retrieval.rules import Action, Rules
from storage.layout import Lake
from tasks.ingest import Ingested, ingest

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]
DAY = dt.date(2026, 1, 5)
N_ROWS = 1_000_000
ACTIONS = {"click": Action(sign="+"), "order": Action(sign="+")}


def write_day(landing: Path, day: dt.date, n_rows: int) -> Path:
    """A day of events with everything that a sender usually says of them."""
    folder = landing / "events" / f"day={day}"
    folder.mkdir(parents=True)
    duckdb.execute(
        f"""COPY (SELECT 'u' || (hash(i, '{day}') % 100000) AS user_id, 'i' || (hash(i + 7, '{day}') % 50000) AS item_id,
                  CASE WHEN i % 10 = 0 THEN 'order' ELSE 'click' END AS action,
                  TIMESTAMP '{day}' + to_seconds((hash(i + 3) % 86400)::INT) AS occurred_at,
                  '{day}-' || i AS event_id, (hash(i + 1) % 100)::DOUBLE AS value,
                  MAP {{'store': (hash(i + 9) % 300)::VARCHAR, 'device': CASE WHEN i % 3 = 0 THEN 'app' ELSE 'web' END}} AS context
           FROM range({n_rows}) t(i)) TO '{folder}/a.parquet' (FORMAT parquet)"""
    )
    return folder / "a.parquet"


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    items = folder / "items" / f"day={DAY}"
    items.mkdir(parents=True)
    duckdb.execute(
        f"""COPY (SELECT 'i' || i AS item_id, 'item ' || i AS title, ['topic ' || (i % 40)] AS topics FROM range(50000) t(i))
            TO '{items}/a.parquet' (FORMAT parquet)"""
    )
    return folder


def load(lake: Path, landing: Path, day: dt.date) -> Ingested:
    done = ingest.fn(Lake(lake), str(landing), (day, day), Rules(), ACTIONS, required=day)
    assert not done.refused
    return done


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def test_a_million_rows_are_judged_and_loaded_in_three_times_a_bare_copy(landing: Path, tmp_path: Path) -> None:
    file = write_day(landing, DAY, N_ROWS)
    copy = f"COPY (FROM '{file}' ORDER BY user_id, occurred_at) TO '{tmp_path}/copy.parquet' (FORMAT parquet)"
    load(tmp_path / "warm", landing, DAY)  # Great Expectations takes seconds to import, once a process
    bare, ours = [], []
    for run in range(5):
        bare.append(seconds(lambda: duckdb.execute(copy)))
        ours.append(seconds(lambda: load(tmp_path / f"lake-{run}", landing, DAY)))  # noqa: B023
    ratio = statistics.median(ours) / statistics.median(bare)
    print(
        f"\n{N_ROWS:,} rows: ingest, row rules and suites {statistics.median(ours):.2f} s, "
        f"DuckDB's read, sort and write {statistics.median(bare):.2f} s: {ratio:.2f} times as long"
    )
    assert ratio <= 3


def test_a_million_rows_take_less_than_two_gibibytes(landing: Path, tmp_path: Path) -> None:
    write_day(landing, DAY, N_ROWS)
    code = (
        "import datetime as dt, sys, flows\nfrom retrieval.rules import Action, Rules\nfrom storage.layout import Lake\n"
        "from tasks.ingest import ingest\nfrom pathlib import Path\nday = dt.date.fromisoformat(sys.argv[3])\n"
        "actions = {'click': Action(sign='+'), 'order': Action(sign='+')}\n"
        "ingest.fn(Lake(Path(sys.argv[1])), sys.argv[2], (day, day), Rules(), actions, required=day)\n"
        "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "lake", landing, str(DAY)],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    peak = int(done.stdout.split()[-1]) * 1024
    print(f"\n{N_ROWS:,} rows: peak memory of the process {peak / 2**30:.2f} GiB")
    assert peak < 2 * 2**30


def test_a_day_takes_as_long_beside_25_million_rows_as_beside_one_million(landing: Path, tmp_path: Path) -> None:
    days = [DAY + dt.timedelta(n) for n in range(28)]
    for day in days:
        write_day(landing, day, N_ROWS)
    few, many = tmp_path / "few", tmp_path / "many"
    for day in days[:25]:
        load(many, landing, day)
    load(few, landing, days[0])
    took: dict[Path, list[float]] = {few: [], many: []}
    for day in days[25:]:  # in turns, so that a busy machine slows both
        for lake in (few, many):
            took[lake].append(seconds(lambda: load(lake, landing, day)))  # noqa: B023
    beside_few, beside_many = (statistics.median(took[lake]) for lake in (few, many))
    print(
        f"\nadding a day of {N_ROWS:,} rows: {beside_few:.2f} s beside 1 to 3 million, {beside_many:.2f} s beside 25 to "
        f"27 million ({Lake(many).logs.stat().st_size / 2**20:,.0f} MiB): {beside_many / beside_few:.2f} times as long"
    )
    assert beside_many < 1.3 * beside_few
