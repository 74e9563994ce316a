"""A person before the Prefect UI who fills the form of a backfill and keeps pictures of what they see."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from live_prefect import wait_for
from playwright.sync_api import Page, TimeoutError, sync_playwright

CHROMIUM = shutil.which("chromium")
OFFLINE = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]


@dataclass
class Person:
    """Somebody with the pages of a server open."""

    page: Page
    url: str
    deployment: str
    runs: Callable[[], list[dict[str, Any]]]
    """Every run of the deployment by now."""
    folder: Path
    pictures: list[Path] = field(default_factory=list)

    def open_form(self) -> None:
        page = self.page
        page.goto(f"{self.url}/v2/deployments/deployment/{self.deployment}")
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
        """A value of a select; a list that closes just then swallows the click that should open the next one."""
        option = self.page.get_by_role("option", name=value, exact=True)
        for _ in range(5):
            self.page.get_by_role("button", name=f"Select {label}").click()
            with suppress(TimeoutError):
                option.click(timeout=5_000)
                return
            self.page.keyboard.press("Escape")
        raise AssertionError(f"the list of {label} has not opened")

    def switch(self, label: str) -> None:
        """Turn a switch on."""
        self.page.get_by_role("switch", name=label).or_(self.page.get_by_label(label)).first.click()

    def submit(self) -> str:
        """Start the run and open its page; its id."""
        before = {run["id"] for run in self.runs()}
        self.page.get_by_role("button", name="Submit").click()
        (run,) = wait_for(lambda: {run["id"] for run in self.runs()} - before, seconds=60)
        self.page.goto(f"{self.url}/v2/runs/flow-run/{run}")
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


@contextmanager
def person_at(url: str, deployment: str, runs: Callable[[], list[dict[str, Any]]], folder: Path) -> Iterator[Person]:
    """A headless Chromium without a network, ended with the block."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, locale="en-GB", timezone_id="UTC")
        page.set_default_timeout(120_000)
        yield Person(page, url, deployment, runs, folder)
        browser.close()
