"""A run whose process is killed is marked as crashed by the server within two minutes, and people are told."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from alerted import Alerted, alerted, look
from live_prefect import ROOT, wait_for
from places import QUICK_RECIPE, Place

import flows

pytestmark = pytest.mark.slow
WITHIN = 120


def heartbeat_of(people: Alerted) -> str | None:
    """The run that has sent one."""
    asked = {"event": {"name": ["prefect.flow-run.heartbeat"]}}
    found = people.server.ask("/events/filter", filter=asked)["events"]
    return found[0]["resource"]["prefect.resource.id"].rpartition(".")[2] if found else None


def test_a_night_that_is_killed_crashes_within_two_minutes_and_is_told(place: Place, tmp_path: Path) -> None:
    assert flows.__doc__ and os.environ["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30"
    place.recipe_file.write_text(QUICK_RECIPE.replace("dim = 8", "dim = 128\nepochs = 400"))
    with alerted(tmp_path / "server") as people:
        program = str(Path(sys.executable).with_name("lamplighter"))
        command = [program, "nightly", "--day", place.last_day.isoformat(), *place.options]
        with subprocess.Popen(command, env=people.server.environment, cwd=ROOT) as process:
            run = wait_for(lambda: heartbeat_of(people), seconds=120)
            assert process.poll() is None, "the night ended before it could be killed"
            process.send_signal(signal.SIGKILL)
            killed = time.monotonic()

        def state() -> str:
            found = people.server.ask("/flow_runs/filter", flow_runs={"id": {"any_": [run]}})
            return found[0]["state_type"]

        assert state() == "RUNNING", "nobody has noticed yet"
        wait_for(lambda: state() == "CRASHED", seconds=WITHIN)
        print(f"crashed {time.monotonic() - killed:.0f} s after it was killed")
        after = place.last_day
        look(place, after, 23)
        people.received.await_each(1)
        hook = people.opened("night-failed", day=place.last_day.isoformat(), rule="night")
        assert "crashed at" in hook["observed"] and "no heartbeat" in hook["observed"]
        assert hook["link"].endswith(f"/flow-run/{run}")
        look(place, after, 23.1)
        people.received.await_each(1)
