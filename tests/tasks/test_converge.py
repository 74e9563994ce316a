"""The stage that follows fresh items, in a real lake, with real nights."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from places import Place, landed

from flows.nightly import NightResult, nightly
from retrieval.synthetic import planted_world
from storage.convergence import History
from tasks.converge import read_convergence

pytestmark = pytest.mark.usefixtures("prefect_server")
RECIPE = """
[convergence]
settled_days = 4
min_items = 4
min_nights = 3
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Fresh items land on two days and are chosen afterwards; nights may be run from the first of these on."""
    world = planted_world(n_users=60, n_items=100, n_fresh=8, n_days=12, landings=(7, 8))
    made = landed(tmp_path, world)
    text = made.recipe_file.read_text().replace("[sources.popular]\nkind", "[sources.popular]\nkind")
    made.recipe_file.write_text(text + RECIPE)
    return made


def run(place: Place, index: int) -> NightResult:
    return nightly(place.world.days[index], str(place.recipe_file), str(place.lake.root), str(place.landing))


def test_nights_are_followed_back_whether_the_history_has_them_or_the_releases_do(place: Place) -> None:
    for index in (7, 8, 9):
        result = run(place, index)
    found = read_convergence(result.parts.converged)
    (space,) = found["spaces"]
    assert (space["space"], space["n_nights"]) == ("two_tower", 3)
    days = [place.world.days[index].isoformat() for index in (7, 8)]
    assert [(c["first_seen"], c["n_items"], c["n_nights"]) for c in space["cohorts"]] == [
        (days[0], 8, 2),
        (days[1], 8, 1),
    ]
    assert {cohort["state"] for cohort in space["cohorts"]} == {"early"}
    assert (result.folder / "convergence.json").read_bytes() == (
        result.parts.converged.path / "convergence.json"
    ).read_bytes()
    assert {row["age"] for row in found["recall"]} <= set(range(8))

    again = run(place, 9)
    assert again.release.digest == result.release.digest
    shutil.rmtree(place.lake.convergence.parent)
    shutil.rmtree(place.lake.artifacts("converge", place.world.days[9]))
    remade = run(place, 9)
    assert remade.release.digest == result.release.digest
    assert len(History(place.lake.convergence).newest()["curves"]) == 3 + 2
