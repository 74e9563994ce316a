"""What the orchestrator is told of incidents: an event when one begins and one when it is over, each exactly once."""

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events import Event, Resource
from prefect.utilities.urls import url_for

from storage.incidents import Entry
from storage.layout import Lake
from validation.conditions import Outcome
from validation.incidents import RUNBOOK, Incident, text_of

OPENED, RESOLVED = "lamplighter.incident.opened", "lamplighter.incident.resolved"
WATCHED, TESTED = "lamplighter.watched", "lamplighter.alerts.tested"
RESOURCE = "lamplighter.incident"
SILENT = "watch-silent"
SILENT_MINUTES = 45
"""After so long without a look the server says so by itself; deployments/automations/watch-silent.yaml has it, too."""
_STATES = {"COMPLETED": "completed", "FAILED": "failed", "CRASHED": "crashed"}


def tell(lake: Lake, entries: Sequence[Entry]) -> None:
    """Send each entry's event to the server, which answers when it has it; only then it counts as told.

    What the server cannot be told now is told at the next look. An event's id is that of its incident, so one that is
    sent twice, because this process was killed in between, is one event.
    """
    for entry in entries:
        incident = Incident.from_plain(entry.incident)
        name = RESOLVED if entry.resolved else OPENED
        try:
            send(name, f"{RESOURCE}.{incident.id}", payload_of(entry), _id(lake, entry, name))
        except httpx.HTTPStatusError as error:
            if error.response.status_code < 500:
                continue  # it will never be taken; what comes after it may be
            return
        except httpx.HTTPError:
            return
        entry.told_opened = True
        entry.told_resolved = entry.resolved is not None


def send(name: str, resource: str, payload: dict[str, Any], id_: uuid.UUID | None = None) -> None:
    """One event, which the server has when this returns."""
    labels = {"prefect.resource.id": resource, "prefect.resource.name": resource.removeprefix(f"{RESOURCE}.")}
    event = Event(event=name, resource=Resource(labels), payload=payload, id=id_ or uuid.uuid4())
    with get_client(sync_client=True) as client:
        client.request("POST", "/events", json=[event.model_dump(mode="json")]).raise_for_status()


def payload_of(entry: Entry) -> dict[str, Any]:
    """What automations and messages are made of."""
    incident = Incident.from_plain(entry.incident)
    facts: dict[str, Any] = {"state": "resolved" if entry.resolved else "opened", "opened_at": entry.opened_at}
    facts |= {"resolved_at": entry.resolved_at, "runbook": incident.runbook}
    return incident.as_plain() | facts | {"text": text_of(incident, entry.opened, entry.resolved)}


def say_watched(lake: Lake, at: dt.datetime, *, silent_since: dt.datetime | None) -> None:
    """The heartbeat of the watch, with what is to be said if it is the last one; and that a silence is over."""
    meaning = f"nobody has looked at {lake.root} since {at:%Y-%m-%d %H:%M} UTC: the worker, or the lake, is gone"
    cure = "Look whether the worker runs (`lamplighter up` starts what is missing), then `lamplighter watch`."
    payload = {
        "state": "opened",
        "kind": SILENT,
        "key": "watch",
        "day": at.date().isoformat(),
        "rule": "watched",
        "severity": "block",
        "observed": f"the last look at {at:%Y-%m-%d %H:%M} UTC",
        "expected": f"a look within {SILENT_MINUTES} minutes",
        "meaning": meaning,
        "cure": cure,
        "link": None,
        "runbook": f"{RUNBOOK}{SILENT}",
        "opened_at": at.isoformat(),
        "resolved_at": None,
        "text": f"{SILENT}: {meaning}. {cure} Runbook: {RUNBOOK}{SILENT}.",
    }
    if silent_since is not None:
        text = f"Resolved: {SILENT}. {lake.root} is watched again; nobody had looked since {silent_since:%H:%M} UTC."
        over = {"state": "resolved", "resolved_at": at.isoformat(), "text": text}
        send(RESOLVED, f"{RESOURCE}.{SILENT}.watch", payload | over)
    send(WATCHED, "lamplighter.watch", payload)


def ended_nights(flow: str, lakes: Sequence[str | None], since: dt.datetime) -> list[Outcome]:
    """How the server saw runs of nights end, killed ones among them, of those lakes (by their `lake` parameter)."""
    wanted = {"state": {"type": {"any_": list(_STATES)}}, "start_time": {"after_": since}}
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_filter=FlowFilter.model_validate({"name": {"any_": [flow]}}),
            flow_run_filter=FlowRunFilter.model_validate(wanted),
            sort=FlowRunSort.START_TIME_DESC,
            limit=50,
        )
    return [_outcome(run) for run in runs if run.parameters.get("lake") in lakes and _is_a_night(run)]


def _is_a_night(run: FlowRun) -> bool:
    """A run that was left out has finished without a night."""
    return run.state is not None and (run.state.type != "COMPLETED" or run.state.name == "Completed")


def _outcome(run: FlowRun) -> Outcome:
    assert run.state is not None
    given, scheduled = run.parameters.get("day"), run.expected_start_time or run.state.timestamp
    day = dt.date.fromisoformat(str(given)) if given else scheduled.astimezone(dt.UTC).date() - dt.timedelta(days=1)
    error = "" if run.state.type == "COMPLETED" else (run.state.message or "").strip()[:1000]
    state = _STATES[run.state.type]
    return Outcome(str(run.id), day, state, run.end_time or run.state.timestamp, error, run_link(str(run.id)))  # type: ignore[arg-type]


def run_link(id_: str) -> str | None:
    """The page of a run."""
    return url_for("flow-run", id_)


def _id(lake: Lake, entry: Entry, name: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{lake.root}/{entry.id}/{entry.opened_at}/{name}")
