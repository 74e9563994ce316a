"""The command line as people and scripts use it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from places import Place

from flows import cli

pytestmark = pytest.mark.usefixtures("prefect_server")


def run(*arguments: str) -> int:
    return cli.run(list(arguments))


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The JSON document of a command, which has to be all that it prints."""
    capsys.readouterr()
    assert run(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def status(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The status as JSON; a planted world's days are long past, so it is never well."""
    capsys.readouterr()
    assert run("status", *arguments, "--json") == 1
    return json.loads(capsys.readouterr().out)


def live_and_loaded(capsys: pytest.CaptureFixture[str], place: Place) -> dict[str, Any]:
    """The status less what it tells of rows set aside."""
    told = status(capsys, "--lake", str(place.lake.root), "--landing", str(place.landing))
    names = ("live", "live_day", "newest", "releases", "first_day", "last_day", "days", "events", "days_behind")
    return {name: told[name] for name in names}


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence of a command that fails."""
    capsys.readouterr()
    assert run(*arguments) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert said.count("error:") == 1
    return " ".join(said[said.index("error:") :].split())


def test_a_night_and_all_that_answers_from_it(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    lake = ["--lake", str(place.lake.root)]
    night = answer(capsys, "nightly", "--day", str(place.last_day), *place.options)
    assert night["is_live"] and night["rows"]["events"]["loaded"] > 0
    assert {"source", "pairs", "recall_at_100"} <= set(night["scores"][0])

    assert [entry["id"] for entry in answer(capsys, "releases", "list", *lake)] == [night["id"]]
    assert answer(capsys, "releases", "show", *lake)["digest"] == night["digest"]
    assert answer(capsys, "releases", "verify", night["id"], *lake)["is_whole"]
    assert status(capsys, *lake)["live"] == night["id"]

    user = place.world.users["user_id"][0].as_py()
    recommended = answer(capsys, "recommend", "--user", user, "-k", "7", *lake)
    assert [entry["rank"] for entry in recommended["items"]] == list(range(1, 8))
    assert recommended["release"] == night["id"]

    told = answer(capsys, "recommend", "--user", user, "-k", "7", "--why", *lake)["items"]
    assert [entry["item_id"] for entry in told] == [entry["item_id"] for entry in recommended["items"]]
    assert all(sum(by["share"] for by in entry["why"]["found_by"]) > 0.99 for entry in told)
    assert run("recommend", "--user", user, "--why", *lake) == 0
    shown = capsys.readouterr().out
    assert "found by" in shown and "popular #" in shown
    newcomer = answer(capsys, "recommend", "--attribute", "store=moon", "--attribute", "hat=red", *lake)
    assert newcomer["unknown"] == ["store=moon", "hat"] and len(newcomer["items"]) == 20
    assert (
        run("recommend", "--attribute", "store", *lake) == run("recommend", "--user", user, "--attribute", "a=b") == 2
    )
    assert "is no key=value" in capsys.readouterr().err

    item = recommended["items"][0]["item_id"]
    alike = answer(capsys, "similar", "--item", item, "-k", "5", *lake)
    assert len(alike["items"]) == 5
    assert item not in [entry["item_id"] for entry in alike["items"]]


def test_tables_are_shown_where_no_json_is_asked_for(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nightly", "--day", str(place.last_day), *place.options) == 0
    shown = capsys.readouterr().out
    assert "recall@100" in shown and "loaded" in shown and "report.html" in shown
    for command in (["releases", "list"], ["releases", "show"], ["recommend", "--user", "u00000"]):
        assert run(*command, "--lake", str(place.lake.root)) == 0
    assert "u00000" in capsys.readouterr().out


def test_rollback_goes_to_the_release_that_was_live_before(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    lake = ["--lake", str(place.lake.root)]
    before = answer(capsys, "nightly", "--day", str(place.world.days[-2]), *place.options)
    after = answer(capsys, "nightly", "--day", str(place.last_day), *place.options)
    told = answer(capsys, "releases", "rollback", *lake)
    assert told == {"id": before["id"], "from": after["id"], "held": True}
    assert status(capsys, *lake)["live"] == before["id"]
    assert "is the first" in complaint(capsys, "releases", "rollback", *lake)


def test_where_things_are_comes_from_the_environment_as_well(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMPLIGHTER_LAKE", str(place.lake.root))
    monkeypatch.setenv("LAMPLIGHTER_LANDING", str(place.landing))
    monkeypatch.setenv("LAMPLIGHTER_RECIPE", str(place.recipe_file))
    night = answer(capsys, "nightly", "--day", str(place.last_day))
    assert status(capsys)["live"] == night["id"]


def test_a_backfill_loads_a_span_and_says_what_it_loaded(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    days = place.world.days
    found = answer(capsys, "backfill", "--start", str(days[0]), "--end", str(days[4]), *place.options)
    assert [day["done"] for day in found["days"]] == ["loaded"] * 5 and found["nights"] == found["failed"] == []
    assert found["rows"]["events"]["loaded"] == sum(place.world.events(day).num_rows for day in days[:5])


@pytest.mark.nights
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("missing column", "has no column user_id"),
        ("empty day", "no events landed"),
        ("no rows", "n_rows of 2024-01-16 (rows landed) is 0, expected at least 1"),
        ("garbage", "is not a whole Parquet file"),
        ("cut in half", "is not a whole Parquet file"),
    ],
)
def test_a_spoiled_day_is_refused_with_the_file_and_the_cure(
    place: Place, capsys: pytest.CaptureFixture[str], spoil: str, said: str
) -> None:
    import pyarrow.parquet as pq

    live = answer(capsys, "nightly", "--day", str(place.world.days[-2]), *place.options)["id"]
    before = live_and_loaded(capsys, place)
    file, table = place.events_file(place.last_day), place.world.events(place.last_day)
    if spoil == "missing column":
        pq.write_table(table.drop_columns(["user_id"]), file)
    elif spoil == "empty day":
        file.unlink()
    elif spoil == "no rows":
        pq.write_table(table.slice(0, 0), file)
    elif spoil == "garbage":
        file.write_bytes(bytes(range(256)) * 40)
    else:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    complaint_said = complaint(capsys, "nightly", "--day", str(place.last_day), *place.options)
    assert said in complaint_said
    assert "Land" in complaint_said or "land" in complaint_said
    assert live_and_loaded(capsys, place) == before
    assert before["live"] == live


def test_what_a_user_gets_wrong_is_one_sentence(
    place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lake = ["--lake", str(place.lake.root)]
    assert "no release is live" in complaint(capsys, "recommend", "--user", "u", *lake)
    assert "no release is live" in complaint(capsys, "releases", "show", *lake)
    assert "there is no release 'x'" in complaint(capsys, "releases", "verify", "x", *lake)
    assert "there is no recipe named 'nope'" in complaint(
        capsys, "nightly", "--day", "2024-01-05", "--recipe", "nope", *lake
    )
    assert "Choose one of" in complaint(capsys, "import", "nope", "--to", str(tmp_path / "landing"))
    run("nightly", "--day", str(place.last_day), *place.options)
    assert "user 'nobody' is not in this release" in complaint(capsys, "recommend", "--user", "nobody", *lake)
    assert "item 'nothing' is not in this release" in complaint(capsys, "similar", "--item", "nothing", *lake)


def test_wrong_usage_has_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nightly", "--day", "yesterday") == 2
    assert run("nonsense") == 2
    assert run("recommend") == 2


def test_a_second_writer_is_told_who_writes_and_a_reader_need_not_wait(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    days = [str(place.world.days[n]) for n in (0, 2)]
    assert run("backfill", "--start", days[0], "--end", days[1], *place.options) == 0
    code = (
        "import sys, time, flows\nfrom pathlib import Path\nfrom storage.logs import open_logs\n"
        "with open_logs(Path(sys.argv[1])) as logs, logs.transaction():\n"
        "    logs.connection.execute('DELETE FROM events')\n    print('open', flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(place.lake.logs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == "open\n"
            told = complaint(capsys, "logs", "vacuum", "--lake", str(place.lake.root))
            assert f"is being written by process {holder.pid}" in told
            capsys.readouterr()
            assert status(capsys, "--lake", str(place.lake.root))["days"] == 3
        finally:
            holder.kill()


def test_a_lake_that_is_a_file_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake = tmp_path / "lake"
    lake.write_text("no folder")
    for command in (["status"], ["recommend", "--user", "u"]):
        complaint(capsys, *command, "--lake", str(lake))


def test_titles_that_look_like_markup_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    from flows import console

    console.print_table("odd [/] title", ("title",), [("[red]blood[/red] oranges [/]",)])
    shown = capsys.readouterr().out
    assert "odd [/] title" in shown and "[red]blood[/red] oranges [/]" in shown
