"""A Prefect server with its scheduler and pages, and a worker beside it, on a free port and in a home of their own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

T = TypeVar("T")
ROOT = Path(__file__).parent.parent.parent
DEPLOY = ["--no-prompt", "deploy", "--all", "--prefect-file", "deployments/prefect.yaml"]
POOL = "lamplighter"


@dataclass(frozen=True)
class LivePrefect:
    """A server that runs, and the environment that leads to it."""

    port: int
    environment: dict[str, str]

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self.port}"

    def prefect(self, *arguments: str) -> str:
        """Run Prefect's own command line against the server; what it prints."""
        command = [sys.executable, "-m", "prefect", *arguments]
        done = subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deploy(self) -> None:
        """Deploy everything in prefect.yaml."""
        self.prefect("work-pool", "create", POOL, "--type", "process", "--overwrite")
        self.prefect(*DEPLOY)

    def ask(self, path: str, **body: Any) -> Any:
        """What the server's API answers to a POST."""
        answer = httpx.post(f"{self.url}/api{path}", json=body, timeout=30)
        assert answer.is_success, answer.text
        return answer.json()

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        """The runs of a deployment, newest first."""
        return self.ask(
            "/flow_runs/filter", deployments={"name": {"any_": [deployment]}}, sort="EXPECTED_START_TIME_DESC"
        )

    @contextmanager
    def worker(self, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        """A worker of the pool, which asks for work every second."""
        environment = self.environment | {"PREFECT_WORKER_QUERY_SECONDS": "1"} | variables
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL]
        with subprocess.Popen(command, env=environment, cwd=ROOT) as process:
            try:
                yield process
            finally:
                stop(process)


@contextmanager
def live_prefect(home: Path, **variables: str) -> Iterator[LivePrefect]:
    """A server that answers; it ends with the block."""
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    environment = os.environ | {"PREFECT_HOME": str(home), "PREFECT_API_URL": api} | variables
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: httpx.get(f"{api}/health", timeout=2).is_success, seconds=180)
            yield LivePrefect(port, environment)
        finally:
            stop(process)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and make it."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()


def wait_for(happened: Callable[[], T], seconds: float) -> T:
    """What `happened` gives, once that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := happened():
                return found
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    pytest.fail(f"it did not happen within {seconds:.0f} seconds")
