"""The stage that follows fresh items, in a real lake, with real nights."""

import html
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from places import QUICK_RECIPE, Place, landed
from told import events_of

from flows.cli import run as command
from flows.nightly import NightResult, nightly
from retrieval.synthetic import planted_world
from storage.convergence import History
from tasks.alert import RUNBOOK, UNSETTLED
from tasks.converge import read_convergence

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.slow]
RECIPE = """
[sources.als]
kind = "als"
dim = 6
[convergence]
settled_days = 5
min_items = 4
min_nights = 3
factor = 1.01
blocks = true
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Fresh items land on two days and are chosen afterwards; the one source with vectors is quickly made."""
    world = planted_world(n_users=60, n_items=100, n_fresh=8, n_days=12, landings=(7, 8))
    made = landed(tmp_path_factory.mktemp("place"), world)
    made.recipe_file.write_text(QUICK_RECIPE.split("[sources.two_tower]")[0] + RECIPE)
    return made


@pytest.fixture(scope="module")
def nights(place: Place, prefect_server: None) -> list[NightResult]:
    """Four nights in a row, from the first cohort's first on."""
    return [run(place, index) for index in (7, 8, 9, 10)]


def run(place: Place, index: int) -> NightResult:
    return nightly(place.world.days[index], str(place.recipe_file), str(place.lake.root), str(place.landing))


def found_by(result: NightResult) -> dict[str, Any]:
    return read_convergence(result.parts.converged)


def test_every_cohort_is_followed_from_its_first_night_on(place: Place, nights: list[NightResult]) -> None:
    (space,) = found_by(nights[-1])["spaces"]
    assert (space["space"], space["n_nights"], len(space["residuals"])) == ("als", 4, 3)
    cohorts = [(cohort["first_seen"], cohort["n_items"], cohort["n_nights"]) for cohort in space["cohorts"]]
    assert cohorts == [(place.world.days[7].isoformat(), 8, 3), (place.world.days[8].isoformat(), 8, 2)]
    recall = {(entry["source"], entry["age"]): entry["n_targets"] for entry in found_by(nights[-1])["recall"]}
    assert {age for _, age in recall} <= set(range(8))
    assert recall["als", 3] == recall["blend", 3] > 0


def test_what_is_found_is_in_the_release_and_on_its_page(nights: list[NightResult]) -> None:
    result = nights[-1]
    assert json.loads((result.folder / "convergence.json").read_text()) == found_by(result)
    page = html.unescape(Path(result.report).read_text())
    assert "Do their vectors settle?" in page
    failing, _ = found_by(result)["spaces"][0]["cohorts"]
    assert failing["sentence"] in page and "– too early" in page


def test_a_cohort_that_fails_holds_the_release_where_the_recipe_says_so_and_is_told(nights: list[NightResult]) -> None:
    assert [night.is_live for night in nights] == [True, True, True, False]
    result = nights[-1]
    failing, early = found_by(result)["spaces"][0]["cohorts"]
    assert (failing["state"], early["state"]) == ("failing", "early")
    assert result.release.decision == "hold"
    assert any(failing["observed"] in reason for reason in result.release.reasons)
    (event,) = events_of(str(result.folder), UNSETTLED, 1)
    expected = {name: failing[name] for name in ("observed", "expected", "cure")}
    expected |= {"day": result.release.day.isoformat(), "space": "als", "cohort": failing["first_seen"]}
    payload = event["payload"]
    assert {name: payload[name] for name in expected} == expected
    assert payload["link"].endswith("report.html#convergence")
    assert payload["runbook"] == RUNBOOK
    document, anchor = RUNBOOK.split("#")
    headings = [
        line[3:].lower().replace(" ", "-") for line in Path(document).read_text().splitlines() if line[:3] == "## "
    ]
    assert anchor in headings


def test_the_command_shows_the_newest_curves(
    place: Place, nights: list[NightResult], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["convergence", "--lake", str(place.lake.root), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    cohorts = found_by(nights[-1])["spaces"][0]["cohorts"]
    assert [row["sentence"] for row in shown["verdicts"]] == [cohort["sentence"] for cohort in cohorts]
    medians = [delta["median"] for cohort in cohorts for delta in cohort["delta"]]
    assert [row["median"] for row in shown["curves"]] == medians
    assert command(["convergence", "--lake", str(place.lake.root)]) == 0
    assert cohorts[0]["sentence"] in " ".join(capsys.readouterr().out.split())


def test_a_history_that_was_lost_is_made_again_from_the_releases(place: Place, nights: list[NightResult]) -> None:
    shutil.rmtree(place.lake.convergence.parent)
    shutil.rmtree(place.lake.artifacts("converge", place.world.days[10]))
    again = run(place, 10)
    assert again.release.id == nights[-1].release.id
    assert again.parts.converged.digest == nights[-1].parts.converged.digest
    assert len(History(place.lake.convergence).newest()["curves"]) == 4 + 3
