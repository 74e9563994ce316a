"""Several nights due at once, as after an outage: what becomes of each, on a real server with a worker that was away."""

import datetime as dt
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from live_prefect import wait_for
from places import Place
from upped import Upped, landed_until_yesterday, upped

from flows.supervision import Supervisor
from storage.releases import ReleaseStore

pytestmark = pytest.mark.slow
EVERY_SECONDS, LATE = 5, 3


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return landed_until_yesterday(tmp_path)


def late_runs(one: Upped) -> list[dict[str, Any]]:
    """Scheduled runs whose time is over and that nobody has begun."""
    now = dt.datetime.now(dt.UTC)
    waiting = one.runs("SCHEDULED")
    return [run for run in waiting if dt.datetime.fromisoformat(run["expected_start_time"]) < now]


def after_an_outage(one: Upped) -> list[str]:
    """Let nights fall due while no worker is there, and the worker come back; the ids of those that were late."""
    one.up()
    Supervisor(one.home).stop("worker")
    one.schedule_every(EVERY_SECONDS)
    late = wait_for(lambda: found if len(found := late_runs(one)) >= LATE else None, 120)
    one.schedule_at_two()
    Supervisor(one.home).start("worker")
    return [run["id"] for run in late]


def ended(one: Upped, ids: list[str]) -> list[dict[str, Any]]:
    """Their states, once all of them have ended."""
    final = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}

    def all_ended() -> list[dict[str, Any]] | None:
        states = [one.state(run) for run in ids]
        return states if {state["type"] for state in states} <= final else None

    return wait_for(all_ended, 300)


def policy(place: Place, rule: str) -> None:
    place.recipe_file.write_text(f"{place.recipe_file.read_text()}\n[schedule]\n{rule}\n")


def test_of_late_nights_the_newest_runs_and_the_others_say_why_they_do_not(place: Place, tmp_path: Path) -> None:
    with upped(place, tmp_path / "home") as one:
        *older, newest = ended(one, after_an_outage(one))
        assert {run["name"] for run in one.runs("COMPLETED")} == {f"nightly-{place.world.days[-2]}"}
    assert {(state["type"], state["name"]) for state in older} == {("COMPLETED", "Skipped")}
    assert all("that one runs (schedule.late_runs is run-latest)" in state["message"] for state in older)
    assert newest["name"] == "Completed", newest["message"]
    assert ReleaseStore(place.lake.releases).current().day == place.last_day - dt.timedelta(days=1)


def test_all_late_nights_run_to_catch_up_and_never_two_at_once(place: Place, tmp_path: Path) -> None:
    policy(place, 'late_runs = "catch-up"')
    with upped(place, tmp_path / "home") as one:
        ids = after_an_outage(one)
        assert {state["name"] for state in ended(one, ids)} == {"Completed"}
        spans = sorted((run["start_time"], run["end_time"]) for run in one.runs("COMPLETED") if run["id"] in ids)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_nights_that_start_too_late_are_left_out_and_those_that_a_person_starts_are_not(
    place: Place, tmp_path: Path
) -> None:
    policy(place, f'late_runs = "skip"\nlate_hours = {1 / 3600}')
    with upped(place, tmp_path / "home") as one:
        states = ended(one, after_an_outage(one))
        assert {state["name"] for state in states} == {"Skipped"}
        assert all("are allowed (schedule.late_hours)" in state["message"] for state in states)
        by_hand = one.start_night()
        assert ended(one, [by_hand])[0]["name"] == "Completed"
