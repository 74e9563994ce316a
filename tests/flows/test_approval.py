"""What the gate holds can wait for a person's word: the run pauses on a real server until the form is answered."""

import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from places import Place
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun

from flows import approval
from flows.cli import run as command
from flows.nightly import NightResult, nightly
from storage.releases import ReleaseStore

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.nights]
SECONDS = 120


@pytest.fixture
def held(place: Place) -> Place:
    place.recipe_file.write_text(place.recipe_file.read_text() + "\n[gate.floors]\n'nDCG@10' = 1.0\n")
    return place


def run(place: Place) -> NightResult:
    return nightly(place.last_day, str(place.recipe_file), str(place.lake.root), str(place.landing), ask=True)


def paused_run(day: dt.date, since: dt.datetime) -> FlowRun:
    """The night's run, once it waits for a person."""
    end = time.monotonic() + SECONDS
    wanted = FlowRunFilter.model_validate({"state": {"type": {"any_": ["PAUSED"]}}, "start_time": {"after_": since}})
    with get_client(sync_client=True) as client:
        while time.monotonic() < end:
            for found in client.read_flow_runs(flow_run_filter=wanted):
                if found.parameters["day"] == day.isoformat():
                    return found
            time.sleep(0.2)
    pytest.fail("no run paused")


@pytest.mark.parametrize("approve", [True, False])
def test_a_paused_night_goes_live_when_a_person_says_so_and_stays_held_when_not(
    held: Place, approve: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval, "POLL_SECONDS", 1)
    since = dt.datetime.now(dt.UTC)
    with ThreadPoolExecutor(1) as thread:
        night = thread.submit(run, held)
        waiting = paused_run(held.last_day, since)
        store = ReleaseStore(held.lake.releases)
        assert store.current_id() is None
        assert len(store.ids()) == 1, "what is to be decided on can be looked at"
        with get_client(sync_client=True) as client:
            client.resume_flow_run(waiting.id, {"approve": approve, "who": "ada", "why": "looked at it"})
        result = night.result(SECONDS)
    assert result.is_live is approve
    assert store.current_id() == (result.release.id if approve else None)
    if approve:
        (entry,) = store.trail()
        assert (entry.who, entry.why) == ("ada", "approved by ada in the run: looked at it")


def test_a_night_nobody_answers_stays_held(held: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approval, "HOURS", 2 / 3600)
    monkeypatch.setattr(approval, "POLL_SECONDS", 1)
    result = run(held)
    assert not result.is_live
    assert "the gate held it" in result.reason


def test_asking_without_a_server_for_people_is_refused_before_anything_starts(
    held: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    where = ["--recipe", str(held.recipe_file), "--lake", str(held.lake.root), "--landing", str(held.landing)]
    assert command(["nightly", "--day", held.last_day.isoformat(), "--ask", *where]) == 1
    assert "PREFECT_API_URL is not set" in capsys.readouterr().err
    assert not held.lake.logs.exists()
