"""Backfills as people run them: from the Prefect UI in a browser, on a server and a worker of their own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from backfill_form import CHROMIUM, Person, person_at
from live_prefect import LivePrefect, live_prefect, wait_for
from places import Place, landed, settings_of

from retrieval.backlog import Steps
from retrieval.synthetic import planted_world
from storage.logs import open_logs
from storage.logs.upkeep import problems
from storage.releases import ReleaseStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@dataclass
class Backfills:
    """The deployment, and the place its worker works on."""

    server: LivePrefect
    place: Place
    id: str

    def start(self, first: int, last: int, **asked: Any) -> str:
        """Ask for a run through the API; its id."""
        days = self.place.world.days
        span = {"start": str(days[first]), "end": str(days[last]), **asked}
        return str(self.post(f"/deployments/{self.id}/create_flow_run", parameters={"span": span})["id"])

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """What the API answers, once it does: SQLite is busy at times."""

        def asked() -> dict[str, Any]:
            answer = httpx.post(f"{self.server.url}/api{path}", json=body, timeout=30).raise_for_status()
            found: dict[str, Any] = answer.json()
            return found

        return wait_for(asked, seconds=60)

    def state(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.server.url}/api/flow_runs/{run}", timeout=30).json()["state"]
        return found

    def finished(self, run: str) -> dict[str, Any]:
        """The run's last state."""

        def ended() -> dict[str, Any] | None:
            state = self.state(run)
            return state if state["type"] in FINAL else None

        return wait_for(ended, seconds=300) or {}

    def shown(self, run: str, key: str) -> list[dict[str, Any]]:
        """The artifacts of a run of one key."""
        found: list[dict[str, Any]] = self.server.ask(
            "/artifacts/filter", artifacts={"flow_run_id": {"any_": [run]}, "key": {"any_": [key]}}
        )
        return found


@pytest.fixture(scope="module")
def backfills(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backfills]:
    folder = tmp_path_factory.mktemp("served")
    place = landed(folder, planted_world(n_users=60, n_items=80, n_days=16))
    where = settings_of(place)
    variables = {
        "LAMPLIGHTER_LAKE": str(where.lake),
        "LAMPLIGHTER_LANDING": str(where.landing),
        "LAMPLIGHTER_RECIPE": where.recipe,
    }
    with live_prefect(folder / "home") as server:
        server.deploy()
        (id_,) = [entry["id"] for entry in server.ask("/deployments/filter") if entry["name"] == "backfill"]
        with server.worker(**variables):
            yield Backfills(server, place, id_)


@pytest.fixture
def person(backfills: Backfills, tmp_path: Path) -> Iterator[Person]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium on the path: install it to test the form in a browser")
    server = backfills.server
    with person_at(server.url, backfills.id, lambda: server.runs("backfill"), tmp_path) as somebody:
        yield somebody


def test_a_person_fills_the_form_watches_the_run_and_opens_what_it_left(person: Person, backfills: Backfills) -> None:
    page, place = person.page, backfills.place
    first, last = place.world.days[-4], place.world.days[-3]
    person.open_form()
    for field_ in ("First day", "Last day", "Which days", "How far", "Let releases become live", "Only list"):
        assert page.get_by_text(field_).first.is_visible()
    person.pick("First day", first)
    person.pick("Last day", last)
    person.choose("Which days", "all")
    person.choose("How far", "evaluate")
    person.keep("form")
    run = person.submit()
    page.get_by_text("Running", exact=True).first.wait_for()
    wait_for(lambda: backfills.shown(run, "backfill-progress"), seconds=120)
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("backfill-progress").first.wait_for()
    person.keep("running")
    page.get_by_text("Completed", exact=True).first.wait_for(timeout=240_000)
    page.get_by_role("tab", name="Details").click()
    page.get_by_text(f"{first} to {last}: 2 days done.").wait_for()
    person.keep("finished")
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("backfill-days").first.wait_for()
    person.keep("artifacts")
    person.open_artifact("backfill-days")
    page.get_by_text("landed, not loaded").first.wait_for()
    assert all(page.get_by_text(id_).first.is_visible() for id_ in place.releases())
    person.keep("table")
    page.goto(f"{backfills.server.url}/v2/runs/flow-run/{run}")
    page.get_by_role("tab", name="Artifacts").click()
    person.open_artifact("backfill-progress")
    page.get_by_text("2 of 2 nights done. Ended.").first.wait_for()
    person.keep("progress")
    assert [release.split("-")[2] for release in place.releases()] == [f"{day:%d}" for day in (first, last)]
    assert ReleaseStore(place.lake.releases).current_id() is None


def test_a_person_who_swaps_the_days_reads_one_sentence(person: Person, backfills: Backfills) -> None:
    first, last = backfills.place.world.days[:2]
    person.open_form()
    person.pick("First day", last)
    person.pick("Last day", first)
    person.submit()
    person.page.get_by_text("Failed", exact=True).first.wait_for(timeout=120_000)
    person.page.get_by_role("tab", name="Details").click()
    sentence = f"the backfill ends on {first}, before it starts on {last}. Swap the two days."
    person.page.get_by_text(sentence, exact=True).wait_for()
    person.keep("refused")
    assert not person.page.get_by_text("Traceback").is_visible()


def test_a_cancelled_backfill_leaves_everything_whole_and_goes_on_with_missing(backfills: Backfills) -> None:
    place, store = backfills.place, ReleaseStore(backfills.place.lake.releases)
    days = list(place.world.days[-8:-5])

    def made() -> list[str]:
        return [id_ for id_ in store.ids() if store.get(id_).day in days]

    run = backfills.start(-8, -6, steps=Steps.evaluate)
    wait_for(made, seconds=240)
    backfills.post(f"/flow_runs/{run}/set_state", state={"type": "CANCELLING", "name": "Cancelling"})
    assert backfills.finished(run)["type"] == "CANCELLED"
    n_released = len(made())
    assert 0 < n_released < len(days)
    for id_ in made():
        store.verify(id_)
    with open_logs(place.lake.logs) as logs:  # nobody holds the writer's lock any more
        assert problems(logs) == []
    again = backfills.start(-8, -6, steps=Steps.evaluate)
    assert backfills.finished(again)["type"] == "COMPLETED"
    assert [store.get(id_).day for id_ in made()] == days
    (table,) = backfills.shown(again, "backfill-days")
    left = len(days) - n_released
    assert table["description"].endswith(f"{left} day{'s' if left > 1 else ''} done.")
    assert not list(place.lake.root.rglob(".staging-*"))
