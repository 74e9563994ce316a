"""Nothing leads out of the lake: no name, no id, no manifest."""

from pathlib import Path

import pytest
from places import Place
from pydantic import ValidationError
from release_places import BUCKET, Server

from retrieval.errors import ArtifactError, ReleaseError
from retrieval.experiment import Experiment
from retrieval.recipe import AnsweringRecipe, Recipe
from storage.manifest import FileEntry, Manifest
from storage.releases import ReleaseStore
from storage.serving import open_release

OUTSIDE = ("..", "../out", "/etc/passwd", "a/../../out", "a/b", ".", "", "a\\..\\out", "a\0b", "~/out", "%2e%2e")


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_name_of_a_source_recipe_or_experiment_is_a_path(place: Place, name: str) -> None:
    plain = place.recipe.model_dump(mode="json")
    for changed in ({"sources": {name: {"kind": "popular"}}}, {"name": name}):
        with pytest.raises(ValidationError):
            Recipe.model_validate(plain | changed)
    with pytest.raises(ValidationError):
        AnsweringRecipe.model_validate(plain | {"sources": {name: {"kind": "popular"}}})
    known = {
        "question": "?",
        "recipe": "quick",
        "source": "popular",
        "seeds": [1],
        "variants": {"a": {}},
        "baseline": "a",
    }
    with pytest.raises(ValidationError):
        Experiment.model_validate(known | {"name": name})


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_id_of_a_release_leads_out_of_its_store(tmp_path: Path, name: str) -> None:
    store = ReleaseStore(tmp_path / "store")
    for folder in (tmp_path / "out", tmp_path):  # whole folders, where the ids would lead to
        folder.mkdir(exist_ok=True)
        Manifest.of_folder(folder, {}).write(folder)
    for ask in (store.get, store.fetch, store.verify, lambda id_: open_release(tmp_path / "store", id_)):
        with pytest.raises(ReleaseError, match="there is no release"):
            ask(name)


@pytest.mark.parametrize("name", [name for name in OUTSIDE if name not in ("a/b", "~/out", "%2e%2e")])
def test_a_manifest_that_names_a_file_outside_is_refused(tmp_path: Path, name: str) -> None:
    planted = Manifest((FileEntry(name, 1, "0" * 64),), {}).as_bytes()
    with pytest.raises(ArtifactError, match="is no name inside a folder"):
        Manifest.parse(planted, tmp_path)


def test_a_copy_of_a_planted_release_writes_nothing_outside(
    moto: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    store = ReleaseStore(f"s3://{BUCKET}/planted", tmp_path / "cache")
    store.place.create("evil/0000000000000000/../../out", b"x")
    store.place.create("evil/manifest.json", Manifest((FileEntry("../../out", 1, "0" * 64),), {}).as_bytes())
    with pytest.raises(ReleaseError):
        store.fetch("evil")
    with pytest.raises(ArtifactError):
        store.place.fetch("evil")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
