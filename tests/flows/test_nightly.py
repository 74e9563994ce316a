"""The whole night on a planted world, run by Prefect against a real server."""

import datetime as dt
import json
import shutil
from pathlib import Path

import pytest
from places import Place, land
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.sorting import FlowRunSort

from flows.nightly import NightResult, nightly
from flows.show import night_as_json
from retrieval.errors import ContractError, DayRefused
from storage.logs import open_logs
from storage.reader import read_scores, read_snapshot
from storage.releases import ReleaseStore

pytestmark = pytest.mark.usefixtures("prefect_server")


def run(place: Place, day: dt.date, **options: bool) -> NightResult:
    return nightly(day, str(place.recipe_file), str(place.lake.root), str(place.landing), **options)


def events_in_logs(place: Place) -> list[tuple[object, ...]]:
    with open_logs(place.lake.logs, read_only=True) as logs:
        return logs.connection.execute("SELECT * FROM events ORDER BY ALL").fetchall()


def test_a_night_makes_a_whole_release_live_and_readers_can_use_it(place: Place) -> None:
    result = run(place, place.last_day)
    store = ReleaseStore(place.lake.releases)
    assert result.is_live
    assert store.current_id() == result.release.id
    store.verify(result.release.id)
    assert Path(result.report).read_text().lower().startswith("<!doctype html>")
    recommender = read_snapshot(result.folder)
    (user,) = recommender.dataset.people.ids.names([0])
    found = recommender.recommend([user], 10)
    assert (found.items[0] >= 0).all()
    assert len(set(found.items[0])) == 10


def test_every_row_of_the_landed_days_is_accounted_for(place: Place) -> None:
    result = run(place, place.last_day)
    landed = sum(place.world.events(day).num_rows for day in place.world.days)
    events = [entry for entry in result.ingested.counts if entry.kind == "events"]
    assert sum(entry.landed for entry in events) == landed
    assert all(entry.landed == entry.loaded + entry.quarantined + entry.duplicates for entry in result.ingested.counts)
    assert len(events_in_logs(place)) == sum(entry.loaded for entry in events)


def test_a_night_run_twice_gives_the_same_digest_and_no_row_twice(place: Place) -> None:
    first = run(place, place.last_day)
    rows = events_in_logs(place)
    second = run(place, place.last_day)
    assert second.release.digest == first.release.digest
    assert second.release.id == first.release.id
    assert events_in_logs(place) == rows
    assert place.releases() == [first.release.id]


def test_the_same_night_in_another_lake_gives_the_same_digest(place: Place) -> None:
    first = run(place, place.last_day)
    shutil.rmtree(place.lake.root)
    second = run(place, place.last_day)
    assert second.release.digest == first.release.digest


def test_the_next_night_starts_from_the_live_release_and_embeds_what_is_fresh(place: Place) -> None:
    before = run(place, place.world.days[-2])
    after = run(place, place.last_day)
    assert after.release.parent == before.release.id
    assert after.stages["train two_tower"]["warm"]
    assert not before.stages["train two_tower"]["warm"]
    assert after.facts()["n_fresh_items"] == place.world.landed_items(place.last_day).num_rows > 0
    catalogue = read_snapshot(after.folder).dataset.catalogue
    assert len(catalogue) > len(read_snapshot(before.folder).dataset.catalogue)


def test_a_day_that_did_not_land_stops_the_night_and_leaves_the_live_release(place: Place) -> None:
    live = run(place, place.last_day).release.id
    with pytest.raises(ContractError, match=r"no events landed for 2024-03-01.*newest landed day: 2024-01-16"):
        run(place, dt.date(2024, 3, 1))
    assert ReleaseStore(place.lake.releases).current_id() == live


def test_a_refused_day_leaves_logs_and_live_release_as_they_were(place: Place) -> None:
    live = run(place, place.world.days[-2]).release.id
    rows = events_in_logs(place)
    wrong = place.world.events(place.world.days[3])  # another day's events under the last day
    land(place.landing, "events", place.last_day, wrong)
    with pytest.raises(DayRefused, match=r"outside_day_share of 2024-01-16 .* is 1, expected at most 0.01"):
        run(place, place.last_day)
    assert ReleaseStore(place.lake.releases).current_id() == live
    assert events_in_logs(place) == rows


def test_a_night_of_an_earlier_day_never_moves_current_backwards(place: Place) -> None:
    newest = run(place, place.last_day)
    earlier = run(place, place.world.days[-3])
    assert not earlier.is_live
    assert ReleaseStore(place.lake.releases).current_id() == newest.release.id


def test_a_night_without_promotion_is_kept_but_not_live(place: Place) -> None:
    result = run(place, place.last_day, promote=False)
    assert not result.is_live
    assert place.releases() == [result.release.id]
    assert ReleaseStore(place.lake.releases).current_id() is None


def test_no_event_of_the_held_out_day_reaches_training(place: Place) -> None:
    result = run(place, place.last_day)
    times = read_snapshot(result.folder).dataset.histories.times
    assert times.max() >= dt.datetime.combine(place.last_day, dt.time(), dt.UTC).timestamp()
    from tasks.prepare import read_dataset

    learnt = read_dataset(result.parts.prepared, place.last_day)
    assert learnt.histories.times.max() < dt.datetime.combine(place.last_day, dt.time(), dt.UTC).timestamp()


def test_the_run_leaves_its_key_figures_as_artifacts(place: Place) -> None:
    result = run(place, place.last_day)
    with get_client(sync_client=True) as client:
        (newest, *_) = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(name={"any_": [f"nightly-{place.last_day}"]}),
            sort=FlowRunSort.START_TIME_DESC,
        )
        assert newest.state is not None and newest.state.is_completed()
        artifacts = client.read_artifacts()
    shown = json.dumps([artifact.data for artifact in artifacts])
    assert result.release.id in shown
    assert "recall@100" in shown


def changed(place: Place, old: str, new: str) -> None:
    text = place.recipe_file.read_text()
    assert old in text
    place.recipe_file.write_text(text.replace(old, new))


@pytest.mark.slow
def test_a_source_asked_in_another_way_is_measured_anew(place: Place) -> None:
    first = run(place, place.last_day)
    changed(place, 'kind = "item_knn"', 'kind = "item_knn"\nhistory_half_life_days = 0.1')
    second = run(place, place.last_day)
    assert second.parts.sources["item_knn"].model.digest == first.parts.sources["item_knn"].model.digest
    assert second.parts.scored.digest != first.parts.scored.digest
    assert second.release.id in Path(second.report).read_text()


@pytest.mark.slow
def test_a_recipe_that_changes_what_a_model_is_made_of_trains_it_from_the_beginning(place: Place) -> None:
    run(place, place.world.days[-2])
    changed(place, "dim = 8", "dim = 12")
    result = run(place, place.last_day)
    assert result.is_live
    assert not result.stages["train two_tower"]["warm"]


@pytest.mark.slow
def test_a_night_goes_on_after_an_old_release_was_removed(place: Place) -> None:
    first, second = (run(place, day) for day in place.world.days[-3:-1])
    assert second.release.parent == first.release.id
    shutil.rmtree(first.folder)
    assert run(place, place.last_day).is_live


def test_a_night_measures_what_each_source_is_worth_and_publishes_the_mixer(place: Place) -> None:
    result = run(place, place.last_day)
    mix = json.loads((result.folder / "mix.json").read_text())
    assert [source["source"] for source in mix["sources"]] == list(place.recipe.sources)
    assert sum(mix["quota"]["shares"].values()) == pytest.approx(1.0)
    segments = {segment["segment"] for segment in mix["segments"]}
    assert {"everybody", "head items", "repeat pairs", "new pairs"} <= segments
    scores = {s["source"]: s for s in read_scores(result.folder) if s["pairs"] == place.recipe.serving.pairs}
    for name, worth in mix["segments"][0]["sources"].items():
        assert worth["recall"]["mean"] == pytest.approx(scores[name]["recall_at_100"]["mean"])
    page = (result.folder / "mixer.html").read_text()
    assert result.release.id in page
    assert "What each source is worth" in Path(result.report).read_text()
    shown = night_as_json(result)["mix"]["sources"]
    assert all(source["microseconds_per_query"] > 0 for source in shown)
