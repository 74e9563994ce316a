"""A user who has to be forgotten is in nothing that is made afterwards."""

import datetime as dt
import json
from pathlib import Path

import pyarrow as pa
import pytest
from places import Place, land

from flows.cli import run as command
from flows.nightly import NightResult, nightly
from storage.reader import read_snapshot

pytestmark = pytest.mark.usefixtures("prefect_server")
USER = "erase-me-4711"


def named(table: pa.Table, former: str) -> pa.Table:
    """The table with one user under a name that can be looked for."""
    ids = pa.array([USER if user == former else user for user in table["user_id"].to_pylist()])
    return table.set_column(table.schema.get_field_index("user_id"), "user_id", ids)


@pytest.fixture
def place_of_user(place: Place) -> Place:
    former = place.world.events(place.last_day)["user_id"][0].as_py()
    for day in place.world.days:
        land(place.landing, "events", day, named(place.world.events(day), former))
    land(place.landing, "users", place.world.days[0], named(place.world.users, former))
    return place


def night(place: Place) -> NightResult:
    return nightly(place.last_day, str(place.recipe_file), str(place.lake.root), str(place.landing))


def files_with(folder: Path) -> list[str]:
    return [
        str(p.relative_to(folder)) for p in sorted(folder.rglob("*")) if p.is_file() and USER.encode() in p.read_bytes()
    ]


def test_the_release_after_forgetting_a_user_holds_no_trace_of_them(
    place_of_user: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place = place_of_user
    before = night(place)
    assert USER in read_snapshot(before.folder).dataset.people.ids.ids.to_pylist()
    assert files_with(place.lake.root)
    bad = {
        "user_id": USER,
        "item_id": "nowhere",
        "action": "purchase",
        "occurred_at": f"{place.world.days[1]}T10:00:00",
    }
    file = place.events_file(place.world.days[1]).with_name("more.jsonl")
    file.write_text(json.dumps(bad) + "\n")
    where = ["--lake", str(place.lake.root)]
    day = str(place.world.days[1])
    assert command(["backfill", "--start", day, "--end", day, "--mode", "all", *place.options]) == 0
    assert command(["quarantine", "export", *where]) == 0
    assert files_with(place.lake.exports) == ["quarantine.jsonl"]

    capsys.readouterr()
    assert command(["forget", "--user", USER, *where, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["events"] > 1 and told["users"] == 1 and told["quarantined"] == 1 and told["exports"] == 1
    left = [name for name in files_with(place.lake.root) if not name.startswith(f"releases/{before.release.id}/")]
    assert left == []
    assert command(["logs", "check", *where]) == 0

    after = night(place)
    assert after.release.id != before.release.id
    assert files_with(after.folder) == []
    assert USER not in read_snapshot(after.folder).dataset.people.ids.ids.to_pylist()
    assert (
        command(
            [
                "backfill",
                "--start",
                str(place.world.days[0]),
                "--end",
                str(place.last_day),
                "--mode",
                "all",
                *place.options,
            ]
        )
        == 0
    )
    assert command(["logs", "rebuild", *place.options]) == 0
    left = [name for name in files_with(place.lake.root) if not name.startswith(f"releases/{before.release.id}/")]
    assert left == []
    capsys.readouterr()
    assert command(["logs", "audit", *where, "--json"]) == 0
    said = capsys.readouterr().out
    assert "forget" in said and USER not in said
    assert dt.datetime.fromisoformat(json.loads(said)[0]["at"])
