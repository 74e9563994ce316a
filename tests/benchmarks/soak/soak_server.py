"""The server, the worker and the people of a soak: what is run, killed, filled in and told."""

import datetime as dt
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from backfill_form import person_at
from live_prefect import wait_for
from places import Place
from receivers import Received
from upped import Upped

from storage.releases import ReleaseStore

FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
NIGHT_SECONDS = 900
QUIET_SECONDS = 4.0
"""How long nothing must come in before everything has."""


@dataclass
class Soak:
    """One home that runs from the first night to the last."""

    up: Upped
    received: Received
    pictures: Path
    n_backfills: int = field(default=0)
    told_of: set[str] = field(default_factory=set)
    """What people know to be open."""

    @property
    def place(self) -> Place:
        return self.up.place

    def settle(self) -> None:
        """Deployed schedules would judge the planted days by today's clock: the soak makes each run itself."""
        for name in ("nightly", "watch"):
            self.up.ask(f"/deployments/{self.up.deployment(name)}", "PATCH", schedules=[])

    def run(self, name: str, due: dt.datetime, *, kill: tuple[str, ...] = (), **parameters: Any) -> dict[str, Any]:
        """A run that is scheduled for a time, to its end."""
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due.isoformat()}}
        asked = {"state": state, "parameters": parameters}
        id_ = self.up.ask(f"/deployments/{self.up.deployment(name)}/create_flow_run", **asked)["id"]
        for victim in kill:
            wait_for(lambda: self._state(id_) == "RUNNING", NIGHT_SECONDS)
            time.sleep(2)
            self._kill(victim, id_)
        wait_for(lambda: self._state(id_) in FINAL, NIGHT_SECONDS)
        found: dict[str, Any] = self.up.ask(f"/flow_runs/{id_}", "GET")
        return found

    def _state(self, id_: str) -> str | None:
        try:
            return str(self.up.state(id_)["type"])
        except httpx.HTTPError:  # the server is on its way back
            return None

    def _kill(self, victim: str, id_: str) -> None:
        if victim != "run":
            self.up.process(victim).kill()
            return
        runs = [p for p in self.up.living() if id_ in json.dumps(_environment(p)) and "prefect" in " ".join(_line(p))]
        assert runs, "the night's process was not found"
        for process in runs:
            if process.is_running():
                process.kill()

    def backfill(self, first: dt.date, last: dt.date, which: str) -> None:
        """Fill in the form in a browser, and watch the run to its end."""
        self.n_backfills += 1
        deployment = self.up.deployment("backfill")

        def runs() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = self.up.ask("/flow_runs/filter", deployments={"id": {"any_": [deployment]}})
            return found

        with person_at(self.up.api.removesuffix("/api"), deployment, runs, self.pictures) as person:
            person.open_form()
            person.pick("First day", first)
            person.pick("Last day", last)
            person.choose("Which days", which)
            person.choose("How far", "evaluate")
            person.switch("Let releases become live")
            person.keep(f"backfill-{self.n_backfills}-form")
            id_ = person.submit()
            person.page.get_by_text("Completed", exact=True).first.wait_for(timeout=1000 * NIGHT_SECONDS)
            person.keep(f"backfill-{self.n_backfills}-finished")
        assert self._state(id_) == "COMPLETED"

    def command(self, *arguments: str) -> None:
        """One of our commands, as a person gives it."""
        done = self.up.lamplighter(*arguments, *self.place.options[:2])
        assert done.returncode == 0, done.stderr

    def promote(self, day: dt.date) -> None:
        """Make the release of a day live by hand."""
        (release,) = [
            id_ for id_ in self.place.releases() if ReleaseStore(self.place.lake.releases).get(id_).day == day
        ]
        self.command("releases", "promote", release)

    def live(self) -> str:
        store = ReleaseStore(self.place.lake.releases)
        id_ = store.current_id()
        return str(store.get(id_).day) if id_ else "none"

    def told(self) -> list[dict[str, Any]]:
        """What came in on the webhook since it was asked last; the other channels got as many messages."""
        n, since = -1, time.monotonic()
        while time.monotonic() - since < QUIET_SECONDS or len(set(self.received.counts())) > 1:
            if (now := sum(self.received.counts())) != n:
                n, since = now, time.monotonic()
            assert time.monotonic() - since < 60, f"the channels differ: {self.received.counts()}"
            time.sleep(0.2)
        found = list(self.received.hooks)
        for posts in self.received.posts.values():
            posts.clear()
        self.received.mails.clear()
        for hook in found:
            id_, opens = f"{hook['kind']}.{hook['key']}", hook["state"] == "opened"
            assert opens == (id_ not in self.told_of), f"{id_} was {hook['state']} twice"
            self.told_of ^= {id_}
        return found


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


def _line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
