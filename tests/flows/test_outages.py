"""Server and worker killed over and over with -9 while nights are due: the schedule goes on without help.

As a test each is killed three times. As a script, ten times or as often as is said, and it prints what came of it:

    .venv/bin/python tests/flows/test_outages.py 10
"""

import datetime as dt
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

from live_prefect import wait_for
from upped import Upped, landed_until_yesterday, upped

from flows.supervision import Supervisor, runs
from storage.releases import ReleaseStore

EVERY_SECONDS = 60
CALM_SECONDS = (5.0, 50.0)
"""How long nobody kills anything, at the least and at the most."""
LONGEST_HANG = 120.0


@dataclass(frozen=True)
class Outages:
    """What became of the nights."""

    kills: dict[str, int]
    states: dict[str, int]
    """How many scheduled runs ended, or stand, in each state."""
    longest_gap: float
    """Seconds between two starts of runs."""
    back_after: float
    """Seconds from the last kill to the end of the first night that began after it."""
    seconds: float


def kill(one: Upped, program: str) -> bool:
    """Kill a program as the system does when memory ends; false where it is away already."""
    with suppress(psutil.NoSuchProcess, KeyError, ValueError):
        found = one.process(program)
        if found.pid > 0:
            found.send_signal(signal.SIGKILL)
            return True
    return False


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def since(one: Upped, when: dt.datetime, *types: str) -> list[dict[str, Any]]:
    """Scheduled runs that began after a moment."""
    return [run for run in one.runs(*types) if run["start_time"] and moment(run["start_time"]) > when]


def hanging(one: Upped) -> list[dict[str, Any]]:
    """Runs that have stood in one unfinished state for more than two minutes."""
    now = dt.datetime.now(dt.UTC)
    unfinished = one.runs("PENDING", "RUNNING")
    return [run for run in unfinished if (now - moment(run["state"]["timestamp"])).total_seconds() > LONGEST_HANG]


def outages(one: Upped, times: int, seed: int = 1) -> Outages:
    """Kill each program so many times, at random moments and in random order."""
    start, draw = time.monotonic(), random.Random(seed)
    one.up()
    one.schedule_every(EVERY_SECONDS)
    wait_for(lambda: one.runs("COMPLETED"), 180)
    kills: Counter[str] = Counter()
    order = ["server", "worker"] * times
    draw.shuffle(order)
    for program in order:
        time.sleep(draw.uniform(*CALM_SECONDS))
        wait_for(lambda name=program: kill(one, name), 60)  # type: ignore[misc]
        kills[program] += 1
    last = dt.datetime.now(dt.UTC)
    wait_for(lambda: [run for run in since(one, last, "COMPLETED") if run["state"]["name"] == "Completed"], 300)
    back_after = (dt.datetime.now(dt.UTC) - last).total_seconds()
    wait_for(lambda: not hanging(one), LONGEST_HANG)
    began = sorted(moment(run["start_time"]) for run in one.runs() if run["start_time"])
    states = Counter(run["state"]["name"] for run in one.runs() if run["state"]["type"] != "SCHEDULED")
    gap = max(((b - a).total_seconds() for a, b in pairwise(began)), default=0.0)
    return Outages(dict(kills), dict(states), gap, back_after, time.monotonic() - start)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_schedule_goes_on_when_server_and_worker_are_killed(tmp_path: Path) -> None:
    place = landed_until_yesterday(tmp_path)
    with upped(place, tmp_path / "home") as one:
        found = outages(one, 3)
    assert found.kills == {"server": 3, "worker": 3}
    assert found.states["Completed"] >= 2
    assert found.back_after < 2 * LONGEST_HANG
    assert ReleaseStore(place.lake.releases).verify(ReleaseStore(place.lake.releases).current().id)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Pending", "Submitting"])
def test_a_run_whose_worker_was_killed_while_it_began_is_marked_crashed(tmp_path: Path, name: str) -> None:
    with upped(landed_until_yesterday(tmp_path), tmp_path / "home") as one:
        one.up()
        Supervisor(one.home).stop("worker")
        run = one.start_night()
        told = one.ask(f"/flow_runs/{run}/set_state", state={"type": "PENDING", "name": name})
        assert told["status"] == "ACCEPT"
        wait_for(lambda: one.state(run)["type"] == "CRASHED", 200)
        assert one.state(run)["message"].startswith("not begun after two minutes")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_place_of_a_night_killed_together_with_the_server_frees_itself(tmp_path: Path) -> None:
    with upped(landed_until_yesterday(tmp_path), tmp_path / "home") as one:
        one.up()
        killed = one.start_night()
        wait_for(lambda: one.state(killed)["type"] == "RUNNING", 120)
        for process in [*runs(one.home)[killed], one.process("server"), one.process("worker")]:
            process.kill()
        after = one.start_night()
        wait_for(
            lambda: one.state(after)["name"] == "Completed", 480
        )  # a lease of 300 s, where no rule sees the killed


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        world = landed_until_yesterday(Path(folder))
        with upped(world, Path(folder) / "home") as soaked:
            print(asdict(outages(soaked, int(sys.argv[1]) if len(sys.argv) > 1 else 10)))
