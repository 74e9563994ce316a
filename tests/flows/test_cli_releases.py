"""`lamplighter releases` as people and scripts use it, in a folder and on S3."""

import json
from pathlib import Path
from typing import Any

import pytest
from bundles import add, nights
from places import Place
from release_places import Server

from flows import cli
from storage.layout import Lake
from storage.releases import ReleaseStore
from storage.releases.s3 import S3Place


@pytest.fixture
def options(release_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What names the store to a command; the lease of a server without conditions settles at once."""

    def init(self: S3Place, *arguments: Any) -> None:
        former(self, *arguments)
        self.settle_seconds = 0.05

    former = S3Place.__init__
    monkeypatch.setattr(S3Place, "__init__", init)
    return ["--releases", release_uri, "--lake", str(tmp_path / "lake")]


@pytest.fixture
def store(options: list[str], release_uri: str, tmp_path: Path) -> ReleaseStore:
    return ReleaseStore(release_uri, Lake(tmp_path / "lake").release_copies)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert cli.run([*arguments, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert cli.run(list(arguments)) == 1
    return " ".join(capsys.readouterr().err.split())


def test_a_release_is_gone_back_to_held_pinned_and_promoted_again(
    store: ReleaseStore, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(*arguments: str) -> Any:
        return answer(capsys, "releases", *arguments, *options)

    ids = nights(store, 4)
    assert [entry["id"] for entry in ask("list")] == ids
    assert ask("verify")["id"] == ask("verify", "--sizes-only")["id"] == ids[3]
    assert ask("rollback", "--why", "bad day") == {"id": ids[2], "from": ids[3], "held": True}
    assert cli.run(["status", *options, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["held"]
    newer = add(store, 4, parent=ids[2])
    assert ask("promote", newer)["from"] == ids[2]
    assert "of a later day" in complaint(capsys, "releases", "promote", ids[0], *options)
    assert ask("pin", ids[0], "--why", "the good one") == {"id": ids[0], "is_pinned": True}
    assert [entry["is_pinned"] for entry in ask("list")] == [True, False, False, False, False]
    would = ask("sweep", "--keep", "1", "--grace-hours", "0", "--dry-run")
    assert would["removed"] == [ids[1], ids[3]]
    assert would["kept"][ids[0]] == "pinned"
    assert ask("sweep", "--keep", "1", "--grace-hours", "0")["removed"] == would["removed"]
    assert ask("unpin", ids[0]) == {"id": ids[0], "is_pinned": False}
    assert "is not pinned" in complaint(capsys, "releases", "unpin", ids[0], *options)
    moves = [entry for entry in ask("audit") if entry["change"] != "remove"]
    assert [(entry["from"], entry["to"]) for entry in moves[-2:]] == [(ids[3], ids[2]), (ids[2], newer)]
    assert all(entry["done"] for entry in moves)
    assert (moves[-2]["why"], moves[-2]["held"]) == ("bad day", True)
    assert "@" in moves[-2]["who"]


def test_people_are_shown_tables(store: ReleaseStore, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    ids = nights(store, 3)
    for command in (["list"], ["verify"], ["rollback"], ["promote", ids[2]], ["pin", ids[0]], ["unpin", ids[0]]):
        assert cli.run(["releases", *command, *options]) == 0
    for command in (["sweep"], ["audit"]):
        assert cli.run(["releases", *command, *options]) == 0
    shown = capsys.readouterr().out
    assert "It is held" in shown and "younger than the grace period" in shown
    assert "no release 'x'" in complaint(capsys, "releases", "pin", "x", *options)


@pytest.mark.nights
@pytest.mark.usefixtures("prefect_server")
def test_nights_run_with_their_releases_on_s3(
    place: Place, moto: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LAMPLIGHTER_RELEASES", f"s3://lamplighter/{place.lake.root.parent.name}")
    lake = ["--lake", str(place.lake.root)]
    one, other = (answer(capsys, "nightly", "--day", str(day), *place.options) for day in place.world.days[-2:])
    assert one["is_live"] and other["is_live"]
    assert place.releases() == []
    assert Path(other["report"]).is_file()
    assert [entry["id"] for entry in answer(capsys, "releases", "list", *lake)] == [one["id"], other["id"]]
    assert answer(capsys, "releases", "show", *lake)["parent"] == one["id"]
    found = answer(capsys, "releases", "diff", one["id"], other["id"], *lake)
    assert found["facts"]["recipe"]["is_same"] and not found["facts"]["day"]["is_same"]
    assert found["counts"]["users"]["change"] >= 0 and found["sizes"] and found["scores"]
    assert cli.run(["releases", "diff", one["id"], other["id"], *lake]) == 0
    user = place.world.users["user_id"][0].as_py()
    assert answer(capsys, "recommend", "--user", user, *lake)["release"] == other["id"]
    item = answer(capsys, "recommend", "--user", user, *lake)["items"][0]["item_id"]
    assert answer(capsys, "similar", "--item", item, *lake)["items"]
    assert answer(capsys, "forget", "--user", user, *lake)["releases"] == 2
    assert answer(capsys, "releases", "rollback", *lake)["id"] == one["id"]
    again = answer(capsys, "nightly", "--day", str(place.last_day), *place.options)
    assert not again["is_live"] and "is held" in again["reason"]
