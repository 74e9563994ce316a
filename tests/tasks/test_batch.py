"""The night's answers ahead of time: in the release, as readers of the release would get them, the same each time."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from places import Place

from flows.nightly import NightResult, nightly
from storage.bundle import BATCH, ITEMS, USERS
from storage.reader import read_snapshot
from storage.releases import ReleaseStore

pytestmark = pytest.mark.usefixtures("prefect_server")
SECTION = "[batch]\nk = 12\nsimilar_k = 5\nactive_days = 2\nrows_per_file = 25\n"


def run(place: Place, section: str = SECTION) -> NightResult:
    place.recipe_file.write_text(place.recipe_file.read_text() + section)
    return nightly(place.last_day, str(place.recipe_file), str(place.lake.root), str(place.landing))


def rows(result: NightResult, kind: str) -> list[dict[str, Any]]:
    files = sorted((result.folder / BATCH / kind).glob("*.parquet"))
    assert all(pq.read_metadata(file).num_rows <= 25 for file in files)
    return list(pa.concat_tables([pq.read_table(file) for file in files]).to_pylist())


def as_pairs(row: dict[str, Any]) -> list[tuple[str, float]]:
    return list(zip(row["items"], np.round(row["scores"], 3).tolist(), strict=True))


def test_a_release_holds_what_its_readers_would_get(place: Place) -> None:
    result = run(place)
    reader = read_snapshot(result.folder)
    catalogue, people = reader.dataset.catalogue.ids, reader.dataset.people.ids
    users, items = rows(result, USERS), rows(result, ITEMS)
    assert 25 < len(users) < len(people)
    assert [item["item_id"] for item in items] == catalogue.ids.to_pylist()
    for kind, found, key, wanted in (
        (USERS, users, "user_id", reader.recommend([user["user_id"] for user in users], 12)),
        (ITEMS, items, "item_id", reader.similar([item["item_id"] for item in items], 5)),
    ):
        assert [row[key] for row in found] == sorted({row[key] for row in found})
        scores = np.array([row["scores"] for row in found])
        np.testing.assert_allclose(scores, wanted.scores, rtol=1e-3, atol=1e-4, err_msg=kind)
        same = np.array([row["items"] for row in found]) == np.array([catalogue.names(row) for row in wanted.items])
        assert same.mean() > 0.99, "all but neighbours of equal scores"
    file = result.folder / BATCH / USERS / "part-00000.parquet"
    footer = {name.decode(): value.decode() for name, value in pq.read_schema(file).metadata.items()}
    assert footer == {"day": str(place.last_day), "recipe": "quick", "recipe_id": place.recipe.id}
    assert result.stages["batch"]["n_users"] == len(users) and result.stages["batch"]["n_items"] == len(items)
    ReleaseStore(place.lake.releases).verify(result.release.id)
    shutil.rmtree(place.lake.root)
    again = nightly(place.last_day, str(place.recipe_file), str(place.lake.root), str(place.landing))
    assert again.parts.batch.digest == result.parts.batch.digest
    assert again.release.digest == result.release.digest


def test_a_recipe_may_do_without(place: Place) -> None:
    result = run(place, "[batch]\nk = 0\nsimilar_k = 0\n")
    assert not [path for path in (result.folder / BATCH).rglob("*") if path.is_file()]
    assert result.stages["batch"]["n_users"] == 0
    listed = [entry["path"] for entry in json.loads((result.folder / "manifest.json").read_text())["files"]]
    assert not [path for path in listed if Path(path).parts[0] == BATCH]
