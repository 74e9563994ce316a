"""No secret of the environment is written down anywhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import Place
from release_places import BUCKET, Server

from storage.releases import ReleaseStore

ROOT = Path(__file__).parents[2]

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "hunter2-of-the-bucket",
    "AWS_SESSION_TOKEN": "hunter2-of-the-session",
    "LAMPLIGHTER_ALERT_EMAIL": "smtp://lamp:hunter2-of-the-mail@mail.invalid:587",
    "LAMPLIGHTER_ALERT_SLACK": "https://hooks.invalid/hunter2-of-the-channel",
    "LAMPLIGHTER_DATABASE_URL": "postgresql+asyncpg://lamp:hunter2-of-the-database@db.invalid/lamp",
    "SMTP_PASSWORD": "hunter2-of-the-mail",
}
NEEDLE = b"hunter2-of-the"


def holders(root: Path) -> list[str]:
    return [str(path) for path in root.rglob("*") if path.is_file() and NEEDLE in path.read_bytes()]


@pytest.mark.slow  # nights in processes of their own, on S3: about two minutes
def test_no_secret_of_the_environment_is_in_logs_reports_manifests_events_or_prefect_s_database(
    place: Place, moto: Server, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    variables = moto.environment | SECRETS
    variables |= {"PREFECT_HOME": str(home), "PREFECT_LOGGING_TO_API_ENABLED": "true", "PREFECT_LOGGING_LEVEL": "DEBUG"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | variables
    releases = f"s3://{BUCKET}/secrets"

    def run(*arguments: str, code: int = 0, **more: str) -> None:
        command = [sys.executable, "-c", "from flows.cli import main; main()", *arguments, "--releases", releases]
        done = subprocess.run(command, cwd=ROOT, env=environment | more, capture_output=True, check=False)
        assert done.returncode == code, done.stderr.decode()
        assert NEEDLE not in done.stdout + done.stderr, arguments

    lake = ["--lake", str(place.lake.root)]
    run("nightly", "--day", str(place.last_day), *place.options, "--json")
    run("releases", "show", *lake, "--json")
    run("doctor", *place.options)
    unreachable = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    run("nightly", "--day", str(place.last_day), *place.options, code=1, **unreachable)
    run("status", *lake, code=1, **unreachable)
    assert (home / "prefect.db").stat().st_size > 100_000, "the night was told to Prefect"
    assert holders(tmp_path) == []
    for name, value in moto.environment.items():
        os.environ.setdefault(name, value)
    store = ReleaseStore(releases, tmp_path / "copies")
    store.fetch(store.ids()[0])
    assert holders(tmp_path / "copies") == []
    (tmp_path / "needle").write_bytes(NEEDLE)
    assert holders(tmp_path) == [str(tmp_path / "needle")], "it would have been found"
