"""`lamplighter up` and `down`: what is started is there, is started again when it is killed, and ends."""

import json
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from live_prefect import free_port, wait_for
from places import Place
from upped import Upped, upped

from flows.server_settings import ServerSettings
from flows.settings import Settings
from retrieval.errors import ServerError
from storage.layout import LONGEST_SOCKET, Home
from storage.releases import ReleaseStore


@pytest.fixture
def home(place: Place, tmp_path: Path) -> Iterator[Upped]:
    with upped(place, tmp_path / "home") as one:
        yield one


def test_up_starts_server_and_worker_deploys_and_down_leaves_nothing(home: Upped) -> None:
    found = home.up()
    assert not found["already"]
    assert found["deployments"] == ["backfill", "nightly", "watch"]
    assert found["channels"] == []
    assert "T02:00:00" in found["next_night"].replace(" ", "T")
    assert found["api"] == home.api
    assert {home.process(name).pid for name in ("server", "worker")} == set(found["processes"].values())
    refused = home.command("up", "--port", str(home.port + 1))
    assert refused.returncode == 1
    assert f"runs already with port {home.port}, and was asked for port {home.port + 1}" in refused.stderr
    assert home.down() == {"home": str(home.home.root), "ended": ["worker", "server"], "runs": []}
    assert home.living() == []
    assert home.down()["ended"] == []


def test_a_port_that_somebody_else_has_is_named_before_anything_starts(place: Place, tmp_path: Path) -> None:
    home = Upped(place, Home(tmp_path / "home"), free_port(), {})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", home.port))
        taken.listen()
        done = home.command("up", "--port", str(home.port), *home.place.options)
    assert done.returncode == 1
    assert f"port {home.port} of 127.0.0.1 cannot be used (Address already in use)" in done.stderr
    assert "--port" in done.stderr
    assert not home.home.root.exists() and home.living() == []


def test_a_server_of_ones_own_is_deployed_to_and_not_doubled(place: Place, tmp_path: Path) -> None:
    variables = {"PREFECT_API_URL": "http://prefect.example:4200/api"}
    done = Upped(place, Home(tmp_path / "home"), 4200, variables).command("up", *place.options)
    assert done.returncode == 1
    assert "PREFECT_API_URL names http://prefect.example:4200/api" in done.stderr
    assert "lamplighter deploy" in done.stderr


def test_a_wrong_setting_is_named_and_its_value_is_not(place: Place, tmp_path: Path) -> None:
    variables = {"LAMPLIGHTER_DATABASE_URL": "mysql://ada:s3cr3t@host/db"}
    done = Upped(place, Home(tmp_path / "home"), 4200, variables).command("up", *place.options)
    assert done.returncode == 1
    assert "LAMPLIGHTER_DATABASE_URL names no PostgreSQL server" in done.stderr
    assert "s3cr3t" not in done.stderr + done.stdout


def test_a_port_that_is_no_number_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMPLIGHTER_PORT", "many")
    with pytest.raises(ServerError, match="LAMPLIGHTER_PORT: Input should be a valid integer"):
        ServerSettings.given()


def test_a_home_far_down_has_its_socket_elsewhere(tmp_path: Path) -> None:
    far = Home(tmp_path / ("x" * 60) / ("y" * 60))
    assert len(bytes(far.socket)) <= LONGEST_SOCKET
    assert far.socket != Home(far.root / "z").socket
    assert Home(Path("/srv/lake/prefect")).socket == Path("/srv/lake/prefect/supervisor.sock")


def test_what_runs_find_in_their_environment_is_whole_and_the_password_is_the_server_s_alone(tmp_path: Path) -> None:
    server = ServerSettings(host="0.0.0.0", database_url="postgres://ada:s3cr3t@host/db")
    settings = Settings(lake=Path("lake"), landing="landed", releases="s3://bucket/releases")
    found = server.environment(Home(tmp_path), settings)
    assert found["LAMPLIGHTER_LAKE"] == str(Path("lake").absolute())
    assert found["LAMPLIGHTER_LANDING"] == str(Path("landed").absolute())
    assert found["LAMPLIGHTER_RELEASES"] == "s3://bucket/releases"
    assert found["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"
    assert found["PREFECT_SERVER_UI_API_URL"] == "/api", "pages ask where they came from"
    assert found["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == "postgresql+asyncpg://ada:s3cr3t@host/db"
    assert found["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"].endswith("filesystem")
    assert "s3cr3t" not in repr(server) + str(server.asked(settings))


@pytest.mark.slow
def test_up_twice_says_so_and_deploys_anew(home: Upped) -> None:
    first = home.up()
    home.ask("/work_pools/lamplighter", "PATCH", is_paused=True)  # as a `down` leaves it that is killed in between
    said = home.command("up")
    assert said.returncode == 0, said.stderr
    assert "It runs already; deployed anew." in said.stdout
    assert f"export PREFECT_API_URL={home.api}" in said.stdout
    assert {home.process(name).pid for name in first["processes"]} == set(first["processes"].values())
    assert not home.ask("/work_pools/lamplighter", "GET")["is_paused"]
    told = replace(home, variables={"PREFECT_API_URL": home.api}).lamplighter("deploy", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["deployments"] == first["deployments"]


def test_deploying_without_a_server_says_how_to_have_one(place: Place, tmp_path: Path) -> None:
    said = Upped(place, Home(tmp_path), 4200, {}).lamplighter("deploy")
    assert said.returncode == 1
    assert "PREFECT_API_URL is not set" in said.stderr


@pytest.mark.slow
def test_a_night_started_in_the_pages_goes_live_and_down_waits_for_it(home: Upped) -> None:
    home.up()
    run = home.start_night(day=home.place.last_day.isoformat())
    wait_for(lambda: home.state(run)["type"] == "RUNNING", 120)
    refused = home.command("down")
    assert refused.returncode == 1
    assert "under way and would be cut off" in refused.stderr
    assert home.state(run)["type"] in {"RUNNING", "COMPLETED"}
    home.down("--wait")
    assert home.living() == []
    assert ReleaseStore(home.place.lake.releases).current().day == home.place.last_day


@pytest.mark.slow
def test_a_night_that_is_cut_off_is_marked_crashed_and_done_when_run_again(home: Upped) -> None:
    home.up()
    run = home.start_night(day=home.place.last_day.isoformat())
    wait_for(lambda: home.state(run)["type"] == "RUNNING", 120)
    assert len(home.down("--force")["runs"]) == 1
    assert home.living() == []
    home.up()
    assert home.state(run)["type"] == "CRASHED"
    again = home.start_night(day=home.place.last_day.isoformat())
    wait_for(lambda: home.state(again)["type"] == "COMPLETED", 150)


@pytest.mark.slow
def test_after_kill_9_server_and_worker_come_back_the_night_goes_on_and_the_next_one_runs(home: Upped) -> None:
    home.up()
    under_way = home.start_night(day=home.place.world.days[-2].isoformat())
    wait_for(lambda: home.state(under_way)["type"] == "RUNNING", 120)
    for name in ("worker", "server"):
        killed = home.process(name)
        killed.send_signal(signal.SIGKILL)
        killed.wait(10)
    wait_for(lambda: home.ask("/health", "GET"), 120)
    later = home.start_night(day=home.place.last_day.isoformat())
    for run in (under_way, later):
        wait_for(lambda run=run: home.state(run)["type"] == "COMPLETED", 200)  # type: ignore[misc]


@pytest.mark.slow
def test_what_a_killed_supervisor_left_is_ended_by_the_next_up(home: Upped) -> None:
    first = home.up()
    (supervisor,) = [p for p in home.living() if "supervisor.supervisord" in p.info["cmdline"]]
    supervisor.kill()
    second = home.up()
    assert not second["already"]
    assert not set(first["processes"].values()) & set(second["processes"].values())
    assert len(home.living()) == 3
