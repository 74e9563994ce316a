"""Nights of a source with heads: an index each, measured, served, written ahead, compared in variants."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from places import Place
from told import events_of
from typer.testing import CliRunner

from flows.cli import app
from flows.nightly import NightResult, nightly
from retrieval.errors import RecipeError, UnknownId
from retrieval.experiment import Experiment
from storage.bundle import BATCH, INDEX, ITEMS, SIMILAR, SOURCES, VECTORS
from storage.serving import open_release
from tasks.alert import WARNED

pytestmark = pytest.mark.usefixtures("prefect_server")
SECTIONS = """
[sources.recent]
kind = "recent_items"
last = 2
[sources.recent.through]
kind = "mtmh"
dim = 8
batch_size = 512
uniform_negatives = 16
[similar]
max_triggers = 60
[batch]
k = 5
similar_k = 4
[acceptance]
max_head_overlap = 0.0
"""
EXPERIMENT = """
name = "heads"
question = "Do two heads find more than one?"
recipe = "{recipe}"
source = "recent"
seeds = [1, 2]
baseline = "one engagement"
ways = ["engagement", "merged α=50"]
[variants.one]
"sources.recent.through.heads" = ["engagement"]
[variants.two]
"""


@pytest.fixture
def place(place: Place) -> Place:
    place.recipe_file.write_text(place.recipe_file.read_text() + SECTIONS)
    return place


def run_night(place: Place) -> NightResult:
    return nightly(place.world.days[-1], str(place.recipe_file), str(place.lake.root), str(place.landing))


def test_a_night_with_heads_is_measured_served_and_written_ahead(place: Place) -> None:
    night = run_night(place)
    for head in ("engagement", "relevance"):
        assert (night.folder / SOURCES / "recent" / head / INDEX).is_file()
        assert len(np.load(night.folder / SOURCES / "recent" / head / VECTORS)) == len(place.world.items)
    measured = json.loads((night.folder / SIMILAR).read_text())
    ways = [(score["head"], score["alpha"]) for score in measured["scores"] if score["source"] == "recent"]
    assert ways == [("engagement", None), ("relevance", None), *(("merged", a) for a in (0.0, 30.0, 50.0, 70.0, 100.0))]
    assert measured["heads"][0]["gradient_cosine"] is not None
    page = Path(night.report).read_text()
    assert "What is said to be like an item" in page and "The heads of <strong>recent</strong> share" in page
    assert any(check.rule == "head_cka of recent" for check in night.judged.acceptance)
    told = {event["payload"]["rule"]: event["payload"] for event in events_of(str(place.lake.root), WARNED, 1)}
    assert told["head_overlap of recent"]["expected"] == "at most 0"
    with open_release(place.lake.releases, night.release.id) as reader:
        asked = reader.opened.snapshot.dataset.catalogue.ids.names([3, 4])
        merged, alone = reader.similar(asked, 4), reader.similar(asked, 4, head="engagement")
        assert reader.similar(asked, 4, alpha=100).ids == alone.ids
        assert reader.similar(asked, 4, alpha=50).ids == merged.ids
        with pytest.raises(UnknownId, match="Name one of: engagement, relevance, merged"):
            reader.similar(asked, 4, head="popularity")
        with pytest.raises(ValueError, match="0 to 100"):
            reader.similar(asked, 4, alpha=101)
        written = pa.concat_tables([pq.read_table(file) for file in (night.folder / BATCH / ITEMS).glob("*.parquet")])
    ahead = {row["item_id"]: row["items"] for row in written.to_pylist()}
    assert [ahead[item] for item in asked] == merged.ids

    where = ["--lake", str(place.lake.root), "--releases", str(place.lake.releases), "--json", "-k", "4"]
    said = [
        CliRunner().invoke(app, ["similar", "--item", asked[0], *how, *where])
        for how in (["--alpha", "100"], ["--head", "engagement"])
    ]
    assert [found.exit_code for found in said] == [0, 0], said[0].output + said[1].output
    assert json.loads(said[0].stdout)["alpha"] == 100
    for found in said:
        assert [item["item_id"] for item in json.loads(found.stdout)["items"]] == alone.ids[0]


@pytest.mark.slow
def test_variants_are_compared_on_the_same_items_and_what_is_done_is_not_done_again(
    place: Place, tmp_path: Path
) -> None:
    file = tmp_path / "heads.toml"
    file.write_text(EXPERIMENT.format(recipe=place.recipe_file))
    asked = ["compare", str(file), "--day", place.world.days[-1].isoformat(), "--json"]
    asked += ["--lake", str(place.lake.root), "--landing", str(place.landing)]
    first, again = (CliRunner().invoke(app, asked) for _ in range(2))
    assert first.exit_code == 0, first.output
    assert first.stdout == again.stdout
    found = json.loads(first.stdout)
    assert [row["name"] for row in found["rows"]] == ["one engagement", "two engagement", "two merged α=50"]
    assert found["n_seeds"] == 2 and found["n_nights"] == 1 and found["n_triggers"] > 30
    assert found["rows"][0]["change"]["recall_at_100"]["mean"] == 0
    page = Path(found["page"])
    assert "Do two heads find more than one?" in page.read_text()
    assert (page.parent / "table.md").read_text().count("\n|") == 4
    by_age = json.loads((page.parent / "comparison.json").read_text())["fresh_by_age"]
    assert len(by_age["two merged α=50"]) == 8


def test_experiments_that_cannot_be_run_say_what_is_wrong(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "heads.toml"
    for wrong, right, said in (
        ('source = "recent"', 'source = "towers"', "has .*recent"),
        ("[variants.two]", '[variants.two]\n"sources.recent.through.dim" = 1', "variant 'two'.*makes no recipe"),
        ("seeds = [1, 2]", 'seeds = ["one"]', "is no experiment"),
    ):
        file.write_text(EXPERIMENT.format(recipe=place.recipe_file).replace(wrong, right))
        with pytest.raises(RecipeError, match=said):
            experiment = Experiment.read(file)
            for variant in experiment.variants:
                experiment.recipe_of(place.recipe, variant, 1)
