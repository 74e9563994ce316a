"""A span of days at once, run by Prefect against a real server."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from places import Place, land, settings_of
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, TaskRunFilter
from prefect.client.schemas.objects import State

from flows.backfill import BackfillResult, backfill, run_backfill
from flows.nightly import nightly
from flows.span import Span
from retrieval.backlog import Mode, Steps
from retrieval.errors import ContractError, DaysFailed
from storage.logs import open_logs
from storage.releases import ReleaseStore
from tasks.watch import note_outcome, open_and_past, watch
from validation.conditions import Outcome
from validation.incidents import Limits

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.nights]


def run(place: Place, first: int, last: int, **asked: Any) -> BackfillResult:
    """A backfill from one day of the world to another."""
    days = place.world.days
    return run_backfill(Span(start=days[first], end=days[last], **asked), settings_of(place))


def done(result: BackfillResult) -> list[str]:
    return ["failed" if day.failed else day.done for day in result.days]


def loaded(place: Place) -> dict[dt.date, int]:
    with open_logs(place.lake.logs, read_only=True) as logs:
        return dict(logs.days_loaded())


def spoil(place: Place, n: int) -> None:
    """Land another day's events under a day."""
    land(place.landing, "events", place.world.days[n], place.world.events(place.world.days[n + 1]))


def mend(place: Place, n: int) -> None:
    land(place.landing, "events", place.world.days[n], place.world.events(place.world.days[n]))


def test_missing_days_are_loaded_and_those_that_are_there_are_left(place: Place) -> None:
    run(place, 2, 3)
    result = run(place, 0, 5)
    assert done(result) == ["loaded", "loaded", "", "", "loaded", "loaded"]
    assert result.ingested is not None
    read = {entry.day for entry in result.ingested.counts if entry.kind == "events"}
    assert read == {place.world.days[n] for n in (0, 1, 4, 5)}
    assert loaded(place) == {day: place.world.events(day).num_rows for day in place.world.days[:6]}
    again = run(place, 0, 5)
    assert done(again) == [""] * 6 and again.ingested is None
    assert "nothing had to be done" in again.sentence()
    assert done(run(place, 0, 2, mode=Mode.all)) == ["loaded"] * 3
    assert ReleaseStore(place.lake.releases).current_id() is None


def test_days_that_fail_stop_no_other_and_are_done_by_themselves_once_mended(place: Place) -> None:
    spoil(place, 1)
    place.events_file(place.world.days[3]).write_bytes(b"no Parquet at all")
    result = run(place, 0, 4)
    assert done(result) == ["loaded", "failed", "loaded", "failed", "loaded"]
    assert "outside_day_share" in result.days[1].why and "not a whole Parquet file" in result.days[3].why
    assert "3 days done, 2 days failed" in result.sentence() and str(place.world.days[3]) in result.sentence()
    left = run(place, 4, 4)
    assert done(left) == [""] and left.n_left_failed == 0
    assert run(place, 0, 2, dry_run=True).n_left_failed == 1
    mend(place, 1)
    mend(place, 3)
    mended = run(place, 0, 4, mode=Mode.failed)
    assert [day.before for day in mended.days if day.done] == ["refused by a rule", "its files could not be used"]
    assert done(mended) == ["", "loaded", "", "loaded", ""]
    assert len(loaded(place)) == 5
    assert done(run(place, 0, 4, mode=Mode.failed)) == [""] * 5


def test_a_dry_run_lists_what_would_be_done_and_changes_nothing(place: Place) -> None:
    listed = run(place, 0, 2, steps=Steps.evaluate, dry_run=True)
    assert done(listed) == ["load, train, evaluate, keep a release"] * 3
    assert not place.lake.root.exists()
    run(place, 0, 1)
    before = tree(place.lake.root)
    listed = run(place, 0, 3, steps=Steps.train, dry_run=True)
    assert done(listed) == ["train", "train", "load, train", "load, train"]
    assert "4 days would be done, nothing was changed" in listed.sentence()
    assert tree(place.lake.root) == before


def tree(root: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def state_of(place: Place, **asked: Any) -> State[Any]:
    where = settings_of(place)
    found: Any = backfill(Span(**asked), where.recipe, str(where.lake), where.landing, return_state=True)
    return found


def test_a_refused_backfill_fails_with_one_sentence_before_any_task(place: Place) -> None:
    state = state_of(place, start=place.world.days[1], end=place.world.days[0])
    assert state.is_failed()
    assert state.message == "the backfill ends on 2024-01-01, before it starts on 2024-01-02. Swap the two days."
    run_id = state.state_details.flow_run_id
    with get_client(sync_client=True) as client:
        asked = FlowRunFilter.model_validate({"id": {"any_": [run_id]}})
        assert client.read_task_runs(flow_run_filter=asked, task_run_filter=TaskRunFilter()) == []
    assert not place.lake.root.exists()
    with pytest.raises(ContractError, match=r"no events landed from 2020-01-01 .*landed days: 2024-01-01"):
        run_backfill(Span(start=dt.date(2020, 1, 1), end=dt.date(2020, 1, 3)), settings_of(place))


def test_nights_of_a_span_leave_releases_a_bar_a_table_and_links(place: Place) -> None:
    days = place.world.days
    spoil(place, -3)
    state = state_of(place, start=days[-4], end=days[-2], steps=Steps.evaluate)
    failure = state.result(raise_on_failure=False)
    assert isinstance(failure, DaysFailed) and state.message == str(failure)
    result: Any = failure.result
    assert state.is_failed() and done(result) == ["released", "failed", "released"]
    assert [night.release.day for night in result.nights] == [days[-4], days[-2]]
    assert ReleaseStore(place.lake.releases).current_id() is None
    assert place.releases() == sorted(night.release.id for night in result.nights)
    shown = artifacts_of(state)
    assert shown["backfill-progress"] == [100.0]
    assert [row["done"] for row in rows(shown["backfill-days"])] == ["released", "FAILED", "released"]
    assert all(str(night.folder) in text for night, text in zip(result.nights, shown["backfill-report"], strict=True))
    again = run(place, -4, -2, steps=Steps.evaluate)
    assert done(again) == ["", "", ""] and again.n_left_failed == 1


def artifacts_of(state: State[Any]) -> dict[str, list[Any]]:
    """The content of the artifacts of a run by key, in order."""
    mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id]))
    found: dict[str, list[Any]] = {}
    with get_client(sync_client=True) as client:
        for artifact in sorted(client.read_artifacts(artifact_filter=mine), key=lambda entry: entry.created):
            found.setdefault(artifact.key, []).append(artifact.data)
    return found


def rows(tables: list[str]) -> list[dict[str, Any]]:
    import json

    (table,) = tables
    found: list[dict[str, Any]] = json.loads(table)
    return found


@pytest.mark.slow
def test_promoting_days_before_the_live_one_leaves_current_where_it_is(place: Place) -> None:
    where = settings_of(place)
    live = nightly(place.last_day, where.recipe, str(where.lake), where.landing)
    result = run(place, -3, -2, steps=Steps.evaluate, promote=True)
    assert done(result) == ["released"] * 2
    assert all("is of a later day" in day.why for day in result.days)
    assert ReleaseStore(place.lake.releases).current_id() == live.release.id


@pytest.mark.slow
def test_training_alone_keeps_no_release_and_what_is_trained_is_found_by_evaluate(place: Place) -> None:
    assert done(run(place, -1, -1, steps=Steps.train)) == ["trained"]
    assert place.releases() == []
    models = sorted(place.lake.all_artifacts.glob("train-*/*/*"))
    assert models
    assert done(run(place, -1, -1, steps=Steps.evaluate, promote=True)) == ["released"]
    assert sorted(place.lake.all_artifacts.glob("train-*/*/*")) == models
    assert ReleaseStore(place.lake.releases).current().day == place.last_day


@pytest.mark.slow
def test_a_night_that_failed_is_over_once_a_backfill_has_done_it(place: Place) -> None:
    day = place.world.days[-2]
    note_outcome(place.lake, Outcome("one", day, "failed", dt.datetime.now(dt.UTC), "OSError: no room"))
    run(place, 0, -3)
    watch(place.lake, ReleaseStore(place.lake.releases), Limits(), dt.datetime.now(dt.UTC), kinds=["night-failed"])
    assert [entry.id for entry in open_and_past(place.lake).open] == [f"night-failed.{day}"]
    run(place, -2, -2, steps=Steps.evaluate)
    book = open_and_past(place.lake)
    assert [entry.id for entry in book.past] == [f"night-failed.{day}"]
    assert not [entry for entry in book.open if entry.id.startswith("night-failed")]


def test_corrected_logs_make_later_releases_missing_again(place: Place) -> None:
    run(place, -2, -1, steps=Steps.evaluate)
    thinner = place.world.events(place.world.days[-2]).slice(3)
    land(place.landing, "events", place.world.days[-2], thinner)
    assert done(run(place, -2, -2, mode=Mode.all)) == ["loaded"]
    listed = run(place, -2, -1, steps=Steps.evaluate, dry_run=True)
    assert [day.before for day in listed.days] == ["loaded, no release"] * 2
