"""Whether the Prefect server that nights are scheduled on answers, is of this version, and has nights to come."""

import datetime as dt
from typing import TYPE_CHECKING

from validation import environment
from validation.environment import Finding

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

POOL, DEPLOYMENT = "lamplighter", "nightly"
DEPLOY = "Run `lamplighter up`, or deploy to a server of your own: docs/operations.md."
ALIVE_MINUTES = 2.0
"""A worker tells of itself every half minute; one that has not for so long is gone."""


def server(now: dt.datetime, newest: dt.datetime | None) -> list[Finding]:
    """The server of `PREFECT_API_URL`: reachable, of this version, with nights scheduled and somebody to run them."""
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        said = "PREFECT_API_URL is not set: commands start a server of their own, nothing is scheduled"
        return [environment.clock(now, newest, None), Finding("server", "skipped", said)]
    import httpx
    from prefect.client.orchestration import get_client

    client = get_client(sync_client=True, httpx_settings={"timeout": httpx.Timeout(10.0)})
    try:
        with client:
            header = client.hello().headers.get("date")
            found = [environment.clock(now, newest, header), _version(client), _scheduled(client, now)]
            return [*found, _workers(client, now)]
    except Exception as error:  # whatever keeps it from answering is the finding
        cure = "Start it (`lamplighter up`), or set PREFECT_API_URL to where it is."
        said = f"the server of PREFECT_API_URL does not answer ({type(error).__name__})"
        return [environment.clock(now, newest, None), Finding("server", "bad", said, cure)]


def _version(client: "SyncPrefectClient") -> Finding:
    ours, theirs = client.client_version(), client.api_version()
    if ours != theirs:
        cure = f"Let the server run Prefect {ours} too."
        return Finding("server", "bad", f"is of Prefect {theirs}, and this is {ours}", cure)
    return Finding("server", "ok", f"answers, of Prefect {theirs}")


def coming_nights(client: "SyncPrefectClient") -> list[dt.datetime]:
    """When scheduled nights are due that have not begun, late ones among them."""
    from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
    from prefect.client.schemas.sorting import FlowRunSort

    waiting = FlowRunFilter.model_validate({"state": {"type": {"any_": ["SCHEDULED"]}}})
    nightly = DeploymentFilter.model_validate({"name": {"any_": [DEPLOYMENT]}})
    runs = client.read_flow_runs(
        flow_run_filter=waiting, deployment_filter=nightly, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=200
    )
    return [run.expected_start_time for run in runs if run.expected_start_time is not None]


def _scheduled(client: "SyncPrefectClient", now: dt.datetime) -> Finding:
    times = coming_nights(client)
    coming = [time for time in times if time >= now]
    if not coming:
        cure = f"{DEPLOY} Look whether its schedule is paused."
        return Finding("scheduled nights", "bad", "none is to come", cure)
    late = f"; {len(times) - len(coming)} are late" if len(coming) < len(times) else ""
    return Finding("scheduled nights", "ok", f"{len(coming)} to come, next at {coming[0]:%Y-%m-%d %H:%M} UTC{late}")


def _workers(client: "SyncPrefectClient", now: dt.datetime) -> Finding:
    pools = {pool.name: pool for pool in client.read_work_pools()}
    if POOL not in pools:
        return Finding("worker", "bad", f"there is no work pool {POOL}", DEPLOY)
    if pools[POOL].is_paused:
        cure = f"`lamplighter up`, or prefect work-pool resume {POOL}."
        return Finding("worker", "bad", f"the work pool {POOL} is paused: no run begins", cure)
    beats = [w.last_heartbeat_time for w in client.read_workers_for_work_pool(POOL) if w.last_heartbeat_time]
    if not any(now - beat < dt.timedelta(minutes=ALIVE_MINUTES) for beat in beats):
        last = f"the last was heard at {max(beats):%Y-%m-%d %H:%M} UTC" if beats else "none was ever heard"
        return Finding("worker", "bad", f"nobody takes the runs of the pool {POOL}: {last}", DEPLOY)
    return Finding("worker", "ok", f"{len(beats)} known, heard within {ALIVE_MINUTES:g} minutes")
