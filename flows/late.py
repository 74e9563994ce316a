"""Scheduled runs that start late: after an outage they are all due at once, and the oldest would run first."""

import datetime as dt
from typing import TYPE_CHECKING

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext
from prefect.states import Completed

from retrieval.schedule import ScheduleConfig

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State

SKIPPED = "Skipped"
"""The name of the state that such a run ends with."""
STANDS_FOR = ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "COMPLETED"]
"""States of a later run that does, or did, the work of this one; one that failed does not."""


def skipped(schedule: ScheduleConfig) -> "State[None] | None":
    """The state to end with at once, or None when this run has to be done: runs that a person asked for always are."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or not run.auto_scheduled or run.expected_start_time is None:
        return None
    now = dt.datetime.now(dt.UTC)
    later = _later_run(run, now) if schedule.late_runs == "run-latest" else None
    why = schedule.why_skipped(_plain(run.expected_start_time), now, later)
    return Completed(name=SKIPPED, message=why) if why else None


def _later_run(run: "FlowRun", now: dt.datetime) -> dt.datetime | None:
    """When the newest scheduled run of the same deployment was due, if that was after this one and is not to come."""
    assert run.expected_start_time is not None and run.deployment_id is not None
    due = {"after_": run.expected_start_time, "before_": now}
    wanted = FlowRunFilter.model_validate({"expected_start_time": due, "state": {"type": {"any_": STANDS_FOR}}})
    deployment = DeploymentFilter.model_validate({"id": {"any_": [run.deployment_id]}})
    newest_first = FlowRunSort.EXPECTED_START_TIME_DESC
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=wanted, deployment_filter=deployment, sort=newest_first)
    times = (other.expected_start_time for other in found if other.auto_scheduled and other.id != run.id)
    return next((_plain(time) for time in times if time and time > run.expected_start_time), None)


def _plain(time: dt.datetime) -> dt.datetime:
    """Prefect's times are pendulum's, whose differences are no timedeltas."""
    return dt.datetime.fromtimestamp(time.timestamp(), dt.UTC)
