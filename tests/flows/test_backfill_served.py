"""Backfills as people run them: from the Prefect UI in a browser, on a server and a worker of their own."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from live_prefect import LivePrefect, live_prefect, wait_for
from places import Place, landed, settings_of
from playwright.sync_api import Page, sync_playwright

from retrieval.backlog import Steps
from retrieval.synthetic import planted_world
from storage.logs import open_logs
from storage.logs.upkeep import problems
from storage.releases import ReleaseStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CHROMIUM = shutil.which("chromium")
OFFLINE = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
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


@dataclass
class Person:
    """Somebody before the Prefect UI, who keeps pictures of what they see."""

    page: Page
    backfills: Backfills
    folder: Path
    pictures: list[Path] = field(default_factory=list)

    def open_form(self) -> None:
        page = self.page
        page.goto(f"{self.backfills.server.url}/v2/deployments/deployment/{self.backfills.id}")
        page.get_by_role("button", name="Run").or_(page.get_by_role("link", name="Run", exact=True)).first.click()
        page.get_by_role("menuitem", name="Custom run").or_(page.get_by_text("Custom run")).first.click()
        page.get_by_role("button", name="First day").wait_for()

    def pick(self, label: str, day: object) -> None:
        """A date in a date picker."""
        self.page.get_by_role("button", name=label).click()
        self.page.get_by_placeholder("yyyy-MM-dd").fill(str(day))
        self.page.get_by_placeholder("yyyy-MM-dd").press("Enter")
        self.page.keyboard.press("Escape")

    def choose(self, label: str, value: str) -> None:
        """A value of a select."""
        self.page.get_by_role("button", name=f"Select {label}").click()
        self.page.get_by_role("option", name=value, exact=True).click()

    def submit(self) -> str:
        """Start the run and open its page; its id."""
        before = {run["id"] for run in self.backfills.server.runs("backfill")}
        self.page.get_by_role("button", name="Submit").click()
        new = wait_for(lambda: {r["id"] for r in self.backfills.server.runs("backfill")} - before, seconds=60)
        (run,) = new
        self.page.goto(f"{self.backfills.server.url}/v2/runs/flow-run/{run}")
        return str(run)

    def open_artifact(self, key: str) -> None:
        """The newest version of an artifact, from the run's list."""
        self.page.get_by_text(key).first.click()
        self.page.wait_for_url(f"**/artifacts/key/{key}")
        self.keep(f"versions-of-{key}")
        self.page.locator("a[href*='/artifacts/artifact/']").first.click()

    def keep(self, name: str) -> None:
        """A picture of the page as it is."""
        path = self.folder / f"{name}.png"
        self.page.screenshot(path=path, full_page=True)
        print(f"screenshot: {path}")
        assert path.stat().st_size > 10_000
        self.pictures.append(path)


@pytest.fixture
def person(backfills: Backfills, tmp_path: Path) -> Iterator[Person]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium on the path: install it to test the form in a browser")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, locale="en-GB", timezone_id="UTC")
        page.set_default_timeout(60_000)
        yield Person(page, backfills, tmp_path)
        browser.close()


def test_a_person_fills_the_form_watches_the_run_and_opens_what_it_left(person: Person) -> None:
    page, place = person.page, person.backfills.place
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
    wait_for(lambda: person.backfills.shown(run, "backfill-progress"), seconds=120)
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
    page.goto(f"{person.backfills.server.url}/v2/runs/flow-run/{run}")
    page.get_by_role("tab", name="Artifacts").click()
    person.open_artifact("backfill-progress")
    page.get_by_text("2 of 2 nights done. Ended.").first.wait_for()
    person.keep("progress")
    assert [release.split("-")[2] for release in place.releases()] == [f"{day:%d}" for day in (first, last)]
    assert ReleaseStore(place.lake.releases).current_id() is None


def test_a_person_who_swaps_the_days_reads_one_sentence(person: Person) -> None:
    first, last = person.backfills.place.world.days[:2]
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
