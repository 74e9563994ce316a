"""The deployments of prefect.yaml on a real server of their own, as the README says to deploy them."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ["--no-prompt", "deploy", "--all", "--prefect-file", "deployments/prefect.yaml"]

pytestmark = pytest.mark.slow


def prefect(environment: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "prefect", *arguments]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def server(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A Prefect server with its scheduler; gives the environment that leads to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    api = f"http://127.0.0.1:{port}/api"
    environment = os.environ | {"PREFECT_HOME": str(tmp_path / "home"), "PREFECT_API_URL": api}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: httpx.get(f"{api}/health", timeout=2).status_code == 200, seconds=120)
            yield environment
        finally:
            process.terminate()


def wait_for(happened: object, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if happened():  # type: ignore[operator]
                return
        except httpx.HTTPError:
            pass
        time.sleep(1)
    pytest.fail(f"it did not happen within {seconds:.0f} seconds")


def test_deploying_twice_leaves_two_deployments_and_nights_scheduled_at_two_utc(server: dict[str, str]) -> None:
    prefect(server, "work-pool", "create", "lamplighter", "--type", "process")
    prefect(server, *DEPLOY)
    prefect(server, *DEPLOY)
    with httpx.Client(base_url=server["PREFECT_API_URL"]) as client:
        names = [entry["name"] for entry in client.post("/deployments/filter", json={}).json()]
        assert sorted(names) == ["backfill", "nightly"]

        def scheduled() -> list[str]:
            asked = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
            return [run["expected_start_time"] for run in client.post("/flow_runs/filter", json=asked).json()]

        wait_for(scheduled, seconds=120)
        assert all("T02:00:00" in start for start in scheduled())
