"""The server on a real PostgreSQL instead of SQLite."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_prefect import free_port, wait_for
from places import Place
from upped import upped

PASSWORD = "s3cr3t-of-the-database"
FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOUND, reason="PostgreSQL is not installed: apt-get install postgresql"),
]


def as_owner(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root: what makes a command somebody else's."""
    if os.getuid():
        return []
    owner = pwd.getpwnam("postgres")
    for above in [folder, *folder.parents]:
        if above.stat().st_uid == 0 and above.is_relative_to("/tmp") and above != Path("/tmp"):
            above.chmod(above.stat().st_mode | 0o055)
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    return ["runuser", "-u", "postgres", "--"]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    """The address of an empty database, password and all; its server ends with the test."""
    data, port = tmp_path / "postgres", free_port()
    data.mkdir()
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "password").chmod(0o644)
    called, bin_ = as_owner(data), FOUND[-1].parent
    initialise = [bin_ / "initdb", "-D", data, "-U", "ada", "-A", "scram-sha-256", "--pwfile", tmp_path / "password"]
    subprocess.run([*called, *map(str, initialise)], check=True, capture_output=True, cwd="/")
    serve = [bin_ / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", data]
    with subprocess.Popen([*called, *map(str, serve)], cwd="/", stderr=subprocess.DEVNULL) as server:
        ready = [str(bin_ / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
        wait_for(lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0, 60)
        yield f"postgresql://ada:{PASSWORD}@127.0.0.1:{port}/postgres"
        server.terminate()
        server.wait(60)
    shutil.rmtree(data)


def test_a_night_runs_with_postgresql_and_its_password_is_nowhere(place: Place, tmp_path: Path, database: str) -> None:
    with upped(place, tmp_path / "home", LAMPLIGHTER_DATABASE_URL=database) as one:
        assert one.up()["database"] == "PostgreSQL"
        run = one.start_night(day=place.last_day.isoformat())
        wait_for(lambda: one.state(run)["type"] == "COMPLETED", 150)
        worker = one.process("worker").environ()
        assert not any(PASSWORD in value for value in worker.values()), "runs need no database"
    assert not (one.home.root / "prefect.db").exists()
    for folder in (one.home.root, place.lake.root):
        told = [path for path in folder.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
        assert told == []
