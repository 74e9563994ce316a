"""Days loaded in any order, twice, and killed at any moment, end in the same logs."""

import datetime as dt
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from places import Place, land

from retrieval.rules import Action, Rules
from storage.layout import Lake
from storage.logs import open_logs
from storage.logs.upkeep import problems
from tasks.ingest import ingest

ROOT = Path(__file__).parents[2]
RULES = Rules(
    max_volume_ratio=1.8, min_trailing_days=3, min_same_weekdays=1, max_late_share=1.0, max_duplicate_share=1.0
)
ACTIONS = {"purchase": Action(sign="+"), "return": Action(sign="-")}
NIGHTS = """
import datetime as dt, sys
import flows
from pathlib import Path
from storage.layout import Lake
from tasks.ingest import ingest
sys.path.insert(0, sys.argv[4])
from test_interrupted import ACTIONS, RULES
print("ready", flush=True)
for text in sys.argv[3].split(","):
    day = dt.date.fromisoformat(text)
    ingest.fn(Lake(Path(sys.argv[1])), sys.argv[2], (day, day), RULES, ACTIONS, required=day)
"""


def spoil(place: Place) -> None:
    """Late events, repeats within and across partitions, rows to set aside, and a day of far too many rows."""
    days, world = place.world.days, place.world
    for n, day in enumerate(days):
        own = world.events(day)
        parts = [own, own.slice(0, 3)]
        for back in (1, 2):
            if n >= back:
                earlier = world.events(days[n - back])
                some = earlier.slice(n % 5, 4)
                parts.append(some)  # repeats of what has landed already
                hour = pc.add(some["occurred_at"], pa.scalar(dt.timedelta(seconds=1), pa.duration("us")))
                parts.append(some.set_column(some.schema.get_field_index("occurred_at"), "occurred_at", hour))
        ids = pa.array(["" if k == 1 else user for k, user in enumerate(own["user_id"].to_pylist())])
        parts.append(own.set_column(own.schema.get_field_index("user_id"), "user_id", ids).slice(0, 2))
        table = pa.concat_tables(parts)
        if n == 9:
            table = pa.concat_tables([table, *[_later(own, k) for k in range(1, 4)]])
        land(place.landing, "events", day, table)


def _later(table: pa.Table, seconds: int) -> pa.Table:
    moved = pc.subtract(table["occurred_at"], pa.scalar(dt.timedelta(microseconds=seconds), pa.duration("us")))
    return table.set_column(table.schema.get_field_index("occurred_at"), "occurred_at", moved)


def load(place: Place, lake: Path, days: list[dt.date]) -> None:
    for day in days:
        ingest.fn(Lake(lake), str(place.landing), (day, day), RULES, ACTIONS, required=day)


def held(lake: Path) -> dict[str, Any]:
    """All that the logs hold, and that nothing is wrong with it."""
    with open_logs(Lake(lake).logs, read_only=True) as logs:
        assert problems(logs) == []
        tables = {name: logs.connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall() for name in KEPT}
        counts = [(e.counts, e.bytes) for e in logs.recorded()]
        return tables | {"digest": logs.digest(dt.date.max), "partitions": sorted(counts, key=str)}


KEPT = ("events", "late_events", "items", "users", "quarantine", "profiles", "contents", "seen_users", "taken_up")


@pytest.fixture
def spoilt(place: Place) -> Place:
    spoil(place)
    return place


def test_the_days_to_be_shuffled_hold_every_difficulty(spoilt: Place, tmp_path: Path) -> None:
    load(spoilt, tmp_path / "a", spoilt.world.days)
    found = held(tmp_path / "a")
    partitions = [counts for counts, _ in found["partitions"]]
    assert any(counts.late for counts in partitions)
    assert any(counts.duplicates for counts in partitions)
    assert any(counts.quarantined and not counts.is_refused for counts in partitions)
    assert [counts.day for counts in partitions if counts.is_refused] == [spoilt.world.days[9]]


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
def test_days_loaded_in_any_order_and_twice_end_in_the_same_logs(spoilt: Place, tmp_path: Path, seed: int) -> None:
    days = spoilt.world.days
    load(spoilt, tmp_path / "in-order", days)
    shuffled = random.Random(seed).sample([*days, *days], 2 * len(days))
    load(spoilt, tmp_path / "shuffled", shuffled)
    assert held(tmp_path / "shuffled") == held(tmp_path / "in-order")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_days_loaded_in_any_order_and_killed_at_any_moment_end_in_the_same_logs(spoilt: Place, tmp_path: Path) -> None:
    days, rng = spoilt.world.days, random.Random(7)
    load(spoilt, tmp_path / "in-order", days)
    lake, n_killed = tmp_path / "killed", 0
    shuffled = rng.sample([*days, *days], 2 * len(days))
    for _ in range(25):
        order = ",".join(map(str, shuffled))
        arguments = [sys.executable, "-c", NIGHTS, str(lake), str(spoilt.landing), order, str(Path(__file__).parent)]
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")])
        with subprocess.Popen(
            arguments, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0.0, 6.0))
            is_over = process.poll() is not None
            process.send_signal(signal.SIGKILL)
            process.wait()
        n_killed += not is_over
        if Lake(lake).logs.exists():
            with open_logs(Lake(lake).logs, read_only=True) as logs:
                assert problems(logs) == []
        rng.shuffle(shuffled)
    load(spoilt, lake, shuffled)
    print(f"\nkilled {n_killed} times, then finished")
    assert n_killed >= 10
    assert held(lake) == held(tmp_path / "in-order")
