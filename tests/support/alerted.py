"""A real server with our automations, receivers on every channel, and a lake that is watched through it."""

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from live_prefect import ROOT, LivePrefect, live_prefect
from places import Place
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings
from receivers import Received, receivers

from flows.nightly import nightly
from flows.watch import watch
from tasks.watch import Watched

FACTS = ("day", "rule", "observed", "expected", "meaning", "cure", "runbook")


@dataclass(frozen=True)
class Alerted:
    """A server of automations, and who is told by it."""

    server: LivePrefect
    received: Received

    def lamplighter(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command against the server."""
        command = [str(Path(sys.executable).with_name("lamplighter")), *arguments]
        environment = self.server.environment | self.received.environment | variables
        return subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
        )

    def forget(self) -> None:
        """Start to listen anew."""
        for posts in self.received.posts.values():
            posts.clear()
        self.received.mails.clear()

    def opened(self, kind: str, **facts: str) -> dict[str, Any]:
        """Assert that one incident came on every channel with all that a person needs; returns its payload."""
        self.received.await_each(1)
        (hook,) = self.received.hooks
        assert (hook["state"], hook["kind"]) == ("opened", kind), hook
        assert {name: hook[name] for name in facts} == facts
        for message in (*self.received.slacks, *self.received.bodies):
            for name in (*FACTS, *(("link",) if hook["link"] else ())):
                assert str(hook[name]) in message.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"), name
        assert hook["runbook"] == f"docs/runbook.md#alert-{kind}"
        return hook

    def resolved(self, kind: str) -> None:
        """Assert that one message on every channel says that it is over."""
        self.received.await_each(2)
        last = self.received.hooks[-1]
        assert (last["state"], last["kind"]) == ("resolved", kind)
        assert self.received.slacks[-1].startswith("Resolved after")
        assert "resolved" in self.received.mails[-1]["subject"]


@contextmanager
def alerted(home: Path, **variables: str) -> Iterator[Alerted]:
    """A server whose automations are deployed, and this process as its client."""
    with receivers() as received, live_prefect(home, **variables) as server, pytest.MonkeyPatch.context() as patch:
        made = Alerted(server, received)
        done = made.lamplighter("alerts", "deploy", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        api = server.environment["PREFECT_API_URL"]
        patch.setenv("PREFECT_API_URL", api)
        with temporary_settings({PREFECT_API_URL: api}):
            yield made
            # Left running, it would ask this server for ever, and events of later tests would wait behind.
            EventsWorker.drain_all(timeout=30)


def night(place: Place, day: dt.date, **more: Any) -> Any:
    """One night of a place."""
    return nightly(day, str(place.recipe_file), str(place.lake.root), str(place.landing), **more)


def look(place: Place, day: dt.date, hour: float, **limits: Any) -> Watched:
    """One look at a place at an hour of a day; by default there is room enough."""
    at = dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(hours=hour)
    return watch(str(place.lake.root), at=at, **{"min_free_gib": 0, **limits})
