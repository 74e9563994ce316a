"""`lamplighter up` as a person gives it: a server and a worker of their own, ended with the test."""

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from live_prefect import free_port, wait_for
from places import Place, landed

from flows.supervision import Supervisor, processes
from retrieval.synthetic import planted_world
from storage.layout import Home

CUT = {"PREFECT_API_URL", "PREFECT_HOME", "PREFECT_PROFILE", "LAMPLIGHTER_HOME", "LAMPLIGHTER_DATABASE_URL"}


def landed_until_yesterday(root: Path, n_days: int = 6) -> Place:
    """A small world whose newest whole day is yesterday, as a schedule's runs want it; today has landed, too."""
    today = dt.datetime.now(dt.UTC).date()
    world = planted_world(n_users=40, n_items=60, n_days=n_days, first_day=today - dt.timedelta(days=n_days - 1))
    return landed(root, world)


@dataclass(frozen=True)
class Upped:
    """One home, and the command that starts and ends what is there."""

    place: Place
    home: Home
    port: int
    variables: dict[str, str]

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def command(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of this home to its end."""
        return self.lamplighter(name, "--home", str(self.home.root), *arguments)

    def lamplighter(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run any command of ours to its end."""
        environment = {k: v for k, v in os.environ.items() if k not in CUT} | self.variables
        called = [sys.executable, "-c", "from flows.cli import main; main()", *arguments]
        return subprocess.run(called, env=environment, capture_output=True, text=True, timeout=300, check=False)

    def up(self, *arguments: str) -> dict[str, Any]:
        """Start it; what the command answers."""
        done = self.command("up", "--port", str(self.port), *self.place.options, "--json", *arguments)
        assert done.returncode == 0, done.stderr + self.log("server") + self.log("worker")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def down(self, *arguments: str) -> dict[str, Any]:
        """End it; what the command answers."""
        done = self.command("down", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def log(self, program: str) -> str:
        path = self.home.log(program)
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def ask(self, path: str, method: str = "POST", **body: Any) -> Any:
        """What the server's API answers, once it does: SQLite is busy at times, and the server may be coming back."""

        def asked() -> tuple[Any]:
            answer = httpx.request(method, f"{self.api}{path}", json=body or None, timeout=30)
            assert answer.is_success or answer.status_code >= 500, answer.text
            answer.raise_for_status()
            return (answer.json() if answer.content else None,)

        return wait_for(asked, seconds=90)[0]

    def deployment(self, name: str = "nightly") -> str:
        return str(self.ask(f"/deployments/name/{name}/{name}", "GET")["id"])

    def start_night(self, **parameters: Any) -> str:
        """Start a night as a person does in the pages; the run's id."""
        created = self.ask(f"/deployments/{self.deployment()}/create_flow_run", parameters=parameters)
        return str(created["id"])

    def state(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(f"/flow_runs/{run}", "GET")["state"]
        return found

    def schedule_every(self, seconds: float) -> None:
        """Let nights be due every few seconds, and at no other time."""
        self._schedule(interval=seconds, anchor_date=dt.datetime.now(dt.UTC).replace(microsecond=0).isoformat())

    def schedule_at_two(self) -> None:
        """Let nights be due when they are deployed to be; those that are late already stay."""
        self._schedule(cron="0 2 * * *", timezone="UTC")

    def _schedule(self, **schedule: Any) -> None:
        entry = {"schedule": schedule, "active": True}
        self.ask(f"/deployments/{self.deployment()}", "PATCH", schedules=[entry])

    def runs(self, *types: str) -> list[dict[str, Any]]:
        """The nights that a schedule made, by the time at which they were due."""
        wanted: dict[str, Any] = {"state": {"type": {"any_": list(types)}}} if types else {}
        found: list[dict[str, Any]] = self.ask(
            "/flow_runs/filter",
            deployments={"name": {"any_": ["nightly"]}},
            flow_runs=wanted,
            sort="EXPECTED_START_TIME_ASC",
        )
        return [run for run in found if run["auto_scheduled"]]

    def process(self, program: str) -> psutil.Process:
        """The supervised process of a name."""
        return psutil.Process((Supervisor(self.home).programs() or {})[program].pid)

    def living(self) -> list[psutil.Process]:
        """Everything that it started and that is still there."""
        return processes(self.home)


@contextmanager
def upped(place: Place, home: Path, **variables: str) -> Iterator[Upped]:
    """A home of its own and a free port; nothing is started yet, and all that was is ended."""
    one = Upped(place, Home(home), free_port(), variables)
    try:
        yield one
    finally:
        one.command("down", "--force")
        for process in one.living():
            process.kill()
