"""`lamplighter status` and `lamplighter doctor` as somebody uses them who wants to go back to bed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from live_prefect import live_prefect, wait_for
from places import Place
from release_places import Server

from flows import cli

LONG_AGO = ["--max-age-hours", "10000000"]
"""A planted world's days are years past."""


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    capsys.readouterr()
    code = cli.run([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


@contextmanager
def on_server(url: str | None) -> Iterator[None]:
    """With PREFECT_API_URL as given, whatever server the tests have."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: url} if url else {}, restore_defaults=None if url else {PREFECT_API_URL}):
        yield


def findings(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    code, told = ask(capsys, "doctor", *arguments)
    return code, {finding["check"]: finding for finding in told["findings"]}


@pytest.fixture
def night(place: Place, prefect_server: None) -> Place:
    """A world whose newest night is live."""
    assert cli.run(["nightly", "--day", str(place.last_day), *place.options, "--json"]) == 0
    return place


def where(place: Place) -> list[str]:
    return ["--lake", str(place.lake.root), "--landing", str(place.landing)]


def test_status_says_in_ten_lines_that_all_is_well_and_then_what_is_not(
    night: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["status", *where(night), *LONG_AGO]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == "✓ All is well" and len(lines) <= 10
    assert ask(capsys, "status", *where(night), *LONG_AGO)[1]["problems"] == []

    code, told = ask(capsys, "status", *where(night))
    assert code == 1 and [problem["kind"] for problem in told["problems"]] == ["old"]
    next_day = night.landing / "events" / "day=2024-01-17"
    next_day.mkdir()
    code, told = ask(capsys, "status", *where(night), *LONG_AGO, "--min-free-gib", "1e9")
    assert code == 1 and [problem["kind"] for problem in told["problems"]] == ["behind", "disk"]
    assert cli.run(["status", *where(night), *LONG_AGO]) == 1
    said = capsys.readouterr().out
    assert "✗ 1 thing to mend" in said and "Run `lamplighter nightly --day 2024-01-17`." in said


def test_status_names_a_day_that_was_refused(
    place: Place, prefect_server: None, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow.parquet as pq

    pq.write_table(place.world.events(place.last_day).slice(0, 0), place.events_file(place.last_day))
    assert cli.run(["nightly", "--day", str(place.last_day), *place.options]) == 1
    told = ask(capsys, "status", *where(place))[1]
    assert "refused" in [problem["kind"] for problem in told["problems"]]
    assert told["refused_days"] == [str(place.last_day)]


def test_doctor_finds_a_sound_environment_sound(night: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with on_server(None):
        code, found = findings(capsys, *night.options, "--thorough")
        assert cli.run(["doctor", *night.options]) == 0
    assert code == 0 and "fit for nights" in capsys.readouterr().out
    sound = ("python", "libraries", "lake writable", "releases writable", "landing", "logs", "live release")
    assert {found[name]["state"] for name in sound} == {"ok"}
    assert not list(night.lake.root.glob(".lamplighter-*")), "it leaves nothing behind"


def test_doctor_names_the_cure_for_all_that_is_wrong(night: Place, capsys: pytest.CaptureFixture[str]) -> None:
    night.lake.logs.write_bytes(b"no database")
    (vectors,) = night.lake.releases.glob("*/sources/two_tower/vectors.npy")
    vectors.write_bytes(vectors.read_bytes()[:-4])
    (night.landing / "events" / "day=2024-02-30").mkdir()
    night.recipe_file.write_text("name = 3")
    with on_server("http://127.0.0.1:9/api"):
        code, found = findings(capsys, *night.options, "--min-free-gib", "1e9")
    assert code == 1
    wrong = {name: finding["cure"] for name, finding in found.items() if finding["state"] == "bad"}
    assert set(wrong) == {"disk", "recipe", "landing", "logs", "live release", "server"}
    assert all(wrong.values())
    assert "logs rebuild" in wrong["logs"]
    assert "vectors.npy" in found["live release"]["found"]


def test_doctor_finds_a_lake_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lake").write_text("no folder")
    code, found = findings(capsys, "--lake", str(tmp_path / "lake"))
    assert code == 1 and "is no folder" in found["lake writable"]["found"]


def test_doctor_asks_an_s3_server_whether_it_keeps_conditions(
    moto: Server, juicefs: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--lake", str(tmp_path / "lake"), "--releases", "s3://lamplighter/doctored"]
    for server, state in ((moto, "ok"), (juicefs, "look")):
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        assert findings(capsys, *options)[1]["conditional writes"]["state"] == state
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    code, found = findings(capsys, *options)
    assert code == 1 and "s3://lamplighter/doctored cannot be" in found["releases"]["found"]


@pytest.mark.slow  # a server of its own: about a minute
def test_doctor_looks_for_the_server_s_nights_and_for_somebody_to_run_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = ["--lake", str(tmp_path / "lake")]
    with live_prefect(tmp_path / "home") as server, on_server(f"{server.url}/api"):
        code, found = findings(capsys, *lake)
        assert code == 1 and found["server"]["state"] == "ok"
        assert {"scheduled nights", "worker"} == {name for name, f in found.items() if f["state"] == "bad"}
        assert "from the Prefect server's" in found["clock"]["found"]
        server.deploy()
        wait_for(lambda: server.runs("nightly"), seconds=120)
        with server.worker():
            wait_for(lambda: findings(capsys, *lake)[0] == 0, seconds=90)
