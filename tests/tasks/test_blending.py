"""Nights of a calibrated blend with policies: measured as served, carried on from night to night, in everybody's lists."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from places import Place

from flows.nightly import NightResult, nightly
from retrieval.calibration import Calibration
from retrieval.errors import RecipeError
from storage.bundle import BATCH, BLENDED_WITH, CALIBRATION, POLICIES, RECIPE, SCORES, USERS
from storage.serving import open_release

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.nights]
SECTIONS = """
[blend]
kind = "calibrated"
[policy]
require = ["brand=acme"]
boosts = [{ feature = "garden", factor = 1.3 }]
caps = [{ field = "topic2", most = 3 }]
[policy.diversity]
relevance = 0.9
[batch]
k = 8
similar_k = 2
"""
POLICY_NAMES = ["all policies", "boost garden", "cap topic2", "diversity"]


def two_nights(place: Place, sections: str) -> list[NightResult]:
    place.recipe_file.write_text(place.recipe_file.read_text() + sections)
    where = (str(place.recipe_file), str(place.lake.root), str(place.landing))
    return [nightly(day, *where) for day in place.world.days[-2:]]


def read(result: NightResult, name: str) -> Any:
    return json.loads((result.folder / name).read_text())


def batch_rows(folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / BATCH / USERS).glob("*.parquet"))
    return list(pa.concat_tables([pq.read_table(file) for file in files]).to_pylist())


def test_two_nights_of_a_calibrated_blend_with_policies(wide_place: Place) -> None:
    former, latter = two_nights(wide_place, SECTIONS)

    assert read(former, BLENDED_WITH) == {}, "the first night has no parent to go by"
    assert set(read(former, CALIBRATION)) == {"popular", "item_knn", "two_tower"}
    assert read(latter, BLENDED_WITH) == read(former, CALIBRATION) != read(latter, CALIBRATION)
    recommender = open_release(wide_place.lake.releases)
    merge = recommender.opened.snapshot.merge
    assert merge.calibration.as_plain() == Calibration.from_plain(read(former, CALIBRATION)).as_plain()

    costs = read(latter, POLICIES)
    assert [cost["policy"] for cost in costs] == POLICY_NAMES
    (blend,) = [s for s in read(latter, SCORES) if s["source"] == "blend" and s["pairs"] == "all"]
    for cost in costs:
        assert cost["recall_at_100"]["with_policy"]["mean"] == pytest.approx(blend["recall_at_100"]["mean"])
        change = cost["recall_at_10"]
        difference = change["with_policy"]["mean"] - change["without_policy"]["mean"]
        assert change["difference"]["mean"] == pytest.approx(difference)

    items = {item["item_id"]: item for item in wide_place.world.items.to_pylist()}
    rows = batch_rows(latter.folder)
    asked = recommender.recommend([row["user_id"] for row in rows], 8, why=True)
    same = 0
    for row, ids, reasons in zip(rows, asked.ids, asked.reasons, strict=True):
        assert len(row["items"]) == len(row["sources"]) == 8
        assert {dict(items[id_]["attributes"])["brand"] for id_ in row["items"]} == {"acme"}
        assert max(Counter(items[id_]["topics"][1] for id_ in row["items"]).values()) <= 3
        if row["items"] == ids:
            same += 1
            assert row["sources"] == [[by.source for by in reason.found_by] for reason in reasons]
        for reason in reasons:
            assert sum(by.share for by in reason.found_by) == pytest.approx(1)
            assert {by.policy for by in reason.moved_by} <= set(POLICY_NAMES[1:])
    assert same > 0.95 * len(rows), "all but neighbours of equal scores"


def test_a_source_that_is_of_another_family_now_is_not_calibrated_by_the_former(place: Place) -> None:
    former, _ = two_nights(place, '\n[blend]\nkind = "calibrated"\n')
    text = place.recipe_file.read_text()
    place.recipe_file.write_text(text.replace('"item_knn"\nneighbours = 20', '"popular"'))
    latter = nightly(place.last_day, str(place.recipe_file), str(place.lake.root), str(place.landing))
    assert read(latter, RECIPE)["sources"]["item_knn"]["kind"] == "popular"
    assert set(read(latter, BLENDED_WITH)) == {"popular", "two_tower"} < set(read(former, CALIBRATION))


def test_a_policy_of_what_no_item_has_ends_the_night_with_what_there_is(place: Place) -> None:
    place.recipe_file.write_text(place.recipe_file.read_text() + '[policy]\nrequire = ["brand=acmee"]\n')
    with pytest.raises(RecipeError, match=r"policy\.require: .*near it: 'brand=acme'"):
        nightly(place.last_day, str(place.recipe_file), str(place.lake.root), str(place.landing))
