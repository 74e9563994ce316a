"""A worse challenger never becomes live; an equal one does; what the gate held waits for a person."""

import datetime as dt
import json

import pyarrow as pa
import pytest
from challengers import Challenge
from places import Place, land

from flows.nightly import NightResult, nightly
from flows.settings import Settings
from retrieval.errors import ModelError, ReleaseError
from storage.bundle import VERDICT
from storage.reader import read_snapshot
from storage.releases import ReleaseStore
from validation.gate import decide

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.nights]
NOW = dt.datetime(2026, 3, 6, 4, tzinfo=dt.UTC)
N_EQUAL = 3


def run(place: Place, day: dt.date, **options: bool) -> NightResult:
    return nightly(day, str(place.recipe_file), str(place.lake.root), str(place.landing), **options)


def challenge(place: Place) -> Challenge:
    result = run(place, place.last_day)
    where = {"lake": place.lake.root, "landing": str(place.landing), "recipe": str(place.recipe_file)}
    return Challenge(Settings.given(**where).night(place.last_day), result.parts)


def write_recipe(place: Place, more: str) -> None:
    place.recipe_file.write_text(place.recipe_file.read_text() + more)


def promote(store: ReleaseStore, id_: str, *, by_hand: bool = False) -> bool:
    return store.promote(id_, at=NOW, who="ada@host", why="a test", by_hand=by_hand).is_live


def test_shuffled_vectors_and_a_stale_tower_are_held_and_equals_are_not(wide_place: Place) -> None:
    challenger = challenge(wide_place)
    for worse in (challenger.shuffled(), challenger.stale_tower()):
        assert worse.ruling.decision == "refuse"
        assert "stale_vectors of two_tower" in " ".join(worse.ruling.reasons)
    assert decide([], challenger.shuffled().gate).decision == "hold", "answers alone give it away"
    with pytest.raises(ModelError, match="300 vectors"):
        challenger.half()
    rulings = [challenger.equal(seed).ruling for seed in range(N_EQUAL)]
    assert [ruling.decision for ruling in rulings] == ["promote"] * N_EQUAL


def test_half_of_the_catalogue_missing_is_refused_and_the_live_release_stays(wide_place: Place) -> None:
    write_recipe(
        wide_place,
        "\n[rules]\ncatalogue = 'whole'\nmin_catalogue_ratio = 0.0\nmax_unknown_item_share = 1.0\nmax_refused_share = 1.0\n",
    )
    land(
        wide_place.landing,
        "items",
        wide_place.world.days[-2],
        wide_place.world.catalogue(wide_place.world.days[-2]).drop(["first_seen"]),
    )
    live = run(wide_place, wide_place.world.days[-2])
    half = wide_place.world.catalogue(wide_place.last_day).drop(["first_seen"])
    land(wide_place.landing, "items", wide_place.last_day, half.slice(0, half.num_rows // 2))
    refused = run(wide_place, wide_place.last_day, approve=True)
    assert refused.release.decision == "refuse"
    assert not refused.is_live
    assert "eligible_ratio" in refused.reason
    store = ReleaseStore(wide_place.lake.releases)
    assert store.current_id() == live.release.id
    with pytest.raises(ReleaseError, match="was refused and can never become live"):
        promote(store, refused.release.id, by_hand=True)
    with pytest.raises(ReleaseError, match="was refused and can never become live"):
        store.rollback(refused.release.id, at=NOW, who="ada@host", why="a test")
    assert "refused" in (refused.folder / "report.html").read_text()


def test_what_the_gate_holds_waits_for_a_person_and_the_next_night_goes_on_from_the_live_one(wide_place: Place) -> None:
    first, second, third = wide_place.world.days[-3:]
    live = run(wide_place, first)
    settings = wide_place.recipe_file.read_text()
    write_recipe(
        wide_place, "\n[blend.weights]\ntwo_tower = 0.0\nitem_knn = 0.0\n[gate.tolerance]\n'recall@100' = 0.0\n"
    )
    write_recipe(wide_place, "[acceptance]\nmax_churn = 1.0\n")
    held = run(wide_place, second)
    assert (held.release.decision, held.is_live) == ("hold", False)
    assert "the gate held it" in held.reason
    store = ReleaseStore(wide_place.lake.releases)
    assert store.current_id() == live.release.id
    wide_place.recipe_file.write_text(settings)
    after = run(wide_place, third)
    assert after.is_live
    assert (after.release.parent, after.release.compared_with) == (live.release.id, live.release.id)


def test_a_night_approved_beforehand_is_live_though_the_gate_holds_it(wide_place: Place) -> None:
    write_recipe(wide_place, "\n[gate.floors]\n'recall@100' = 1.0\n")
    held = run(wide_place, wide_place.last_day)
    assert (held.release.decision, held.is_live) == ("hold", False)
    assert "at least 1.0000" in held.reason
    approved = run(wide_place, wide_place.last_day, approve=True)
    assert approved.release.id == held.release.id
    assert approved.is_live
    assert run(wide_place, wide_place.last_day).is_live, "run again without a word it stays what it is"
    assert "approved beforehand" in ReleaseStore(wide_place.lake.releases).trail()[-1].why


def test_a_release_says_what_it_was_judged_by(wide_place: Place) -> None:
    before = run(wide_place, wide_place.world.days[-2])
    after = run(wide_place, wide_place.last_day)
    assert (before.release.compared_with, after.release.compared_with) == (None, before.release.id)
    found = json.loads((after.folder / VERDICT).read_text())
    assert found["decision"] == "promote"
    assert {"churn", "item_ratio", "bytes_ratio"} <= {check["rule"] for check in found["acceptance"]}
    assert any(difference["metric"] == "recall@100" for difference in found["differences"])
    assert all(check["passed"] for check in found["acceptance"])


def test_a_release_compared_with_another_than_the_live_one_is_not_promoted(wide_place: Place) -> None:
    days = wide_place.world.days
    first = run(wide_place, days[-3])
    second = run(wide_place, days[-2], promote=False)
    store = ReleaseStore(wide_place.lake.releases)
    write_recipe(wide_place, "\n[evaluation]\nmax_users = 50\n")
    other = run(wide_place, days[-2])
    assert other.is_live and other.release.compared_with == first.release.id
    outcome = store.promote(second.release.id, at=NOW, who="ada@host", why="a test")
    assert not outcome.is_live
    assert f"{other.release.id} is live now, it was compared with {first.release.id}" in outcome.reason
    assert promote(store, second.release.id, by_hand=True)


def test_blocked_items_and_topics_are_never_answered_and_a_source_that_does_is_refused(wide_place: Place) -> None:
    blocked = str(wide_place.world.items["item_id"][0])
    write_recipe(wide_place, f"\n[serving]\nblocked_items = ['{blocked}']\nblocked_topics = ['garden']\n")
    result = run(wide_place, wide_place.last_day)
    assert result.is_live
    snapshot = read_snapshot(result.folder)
    catalogue = snapshot.dataset.catalogue
    shown = snapshot.recommend(snapshot.dataset.people.ids.ids.to_pylist(), 100).items
    allowed = catalogue.eligible(snapshot.dataset.day)
    assert not allowed[catalogue.ids.row(blocked)]
    garden = pa.compute.index(catalogue.topic_names.ids, "garden").as_py()
    assert not allowed[catalogue.topics.owners()[catalogue.topics.values == garden]].any()
    assert allowed[shown[shown >= 0]].all()
