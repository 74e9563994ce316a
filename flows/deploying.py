"""What is declared, put on a server: the pool of workers, the flows with their schedules, the automations."""

import datetime as dt
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.automations import deploy_automations
from retrieval.errors import ServerError
from retrieval.progress import advance
from tasks.server import POOL, coming_nights

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

ROOT = Path(__file__).parent.parent
DECLARED = Path("deployments") / "prefect.yaml"
WORK = "deploy"
SECONDS = 300


@dataclass(frozen=True, slots=True)
class OnServer:
    """What a server has after it was deployed to."""

    deployments: tuple[str, ...]
    channels: tuple[str, ...]
    """Who is told of incidents; nobody where it is empty."""


def deploy(api: str) -> OnServer:
    """Put everything that is declared on the server of this address, again if it is there."""
    advance(WORK, 0, 3)
    _make_pool(api)
    advance(WORK, 1, 3)
    _deploy_flows(api)
    advance(WORK, 2, 3)
    alerts = deploy_automations(api)
    advance(WORK, 3, 3)
    with client_of(api) as client:
        names = sorted(found.name for found in client.read_deployments() if found.work_pool_name == POOL)
    return OnServer(tuple(names), tuple(alerts.channels))


def client_of(api: str) -> "SyncPrefectClient":
    """A client of the server of this address, whatever the environment names."""
    from prefect.client.orchestration import SyncPrefectClient

    return SyncPrefectClient(api, auth_string=os.environ.get("PREFECT_API_AUTH_STRING"))


def next_night(api: str) -> dt.datetime | None:
    """When the next night is scheduled, None when the server's scheduler has made no run of it."""
    with client_of(api) as client:
        return next(iter(coming_nights(client)), None)


def _make_pool(api: str) -> None:
    """Make the pool of process workers, unless it is there."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    template: dict[str, Any] = ProcessWorker.get_default_base_job_template()
    with client_of(api) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))
        except ObjectAlreadyExists:
            pool = client.read_work_pool(POOL)
            if pool.type != "process":
                raise ServerError(
                    f"the work pool {POOL} of {api} is of type {pool.type!r}, expected 'process'. Remove it: "
                    f"prefect work-pool delete {POOL}."
                ) from None


def _deploy_flows(api: str) -> None:
    """Let Prefect's own command read prefect.yaml.

    Raises:
        ServerError: with the last line that it said.
    """
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(DECLARED)]
    environment = os.environ | {"PREFECT_API_URL": api}
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines() or ["no word of why"]
        raise ServerError(f"{DECLARED} could not be deployed to {api}: {said[-1]}. Mend it, then `lamplighter deploy`.")
