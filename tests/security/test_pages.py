"""Nothing from the logs runs in a browser, on any page."""

import dataclasses
import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from markup import EVIL, EVIL_ATTRIBUTE
from places import landed
from playwright.sync_api import Browser, sync_playwright

from retrieval.comparison_page import render_comparison
from retrieval.experiment import FIGURES, Comparison, Experiment, Row
from retrieval.metrics import Estimate
from retrieval.synthetic import World, planted_world

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium on the path: install it to see that pages run nothing")
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def assert_inert(browser: Browser, path: Path, *, shows: str = EVIL) -> None:
    """The page runs nothing, asks for nothing else, and shows what it was given as text."""
    page = browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_timeout(300)
    assert complaints == [] and asked == [path.as_uri()], path.name
    assert page.locator("img").count() == 0
    assert shows in page.evaluate("document.body.textContent"), path.name
    page.close()


def evil_world() -> World:
    """A world whose users, items, titles, topics, actions' contexts and attributes are markup."""
    world = planted_world(n_users=40, n_items=60, n_days=12)

    def spoiled(column: pa.ChunkedArray) -> pa.Array:
        return pa.array([f"{EVIL}{value}{EVIL_ATTRIBUTE}" for value in column.to_pylist()])

    def with_columns(table: pa.Table, *names: str) -> pa.Table:
        for name in names:
            table = table.set_column(table.column_names.index(name), name, spoiled(table[name]))
        return table

    topics = [[f"{EVIL}{topic}" for topic in found] for found in world.items["topics"].to_pylist()]
    items = with_columns(world.items, "item_id", "title")
    items = items.set_column(items.column_names.index("topics"), "topics", pa.array(topics, items["topics"].type))
    log = with_columns(world.log, "user_id", "item_id")
    return dataclasses.replace(world, items=items, users=with_columns(world.users, "user_id"), log=log)


@pytest.mark.slow  # two nights of a planted world
def test_a_night_of_markup_gives_pages_that_run_nothing(tmp_path: Path, prefect_server: None, browser: Browser) -> None:
    from flows.nightly import nightly

    place = landed(tmp_path, evil_world())
    day = place.last_day
    file = place.events_file(day)
    table = place.world.events(day)
    users = [None if row % 9 == 0 else user for row, user in enumerate(table["user_id"].to_pylist())]
    spoiled = table.set_column(table.column_names.index("user_id"), "user_id", pa.array(users, pa.string()))
    import pyarrow.parquet as pq

    pq.write_table(spoiled, file.with_name(f"{EVIL.replace('/', '')}.parquet"))
    file.unlink()
    place.recipe_file.write_text(
        place.recipe_file.read_text() + "\n[rules]\nmax_null_share = 0.5\nmax_refused_share = 0.5\n"
    )
    where = (str(place.recipe_file), str(place.lake.root), str(place.landing))
    nightly(place.world.days[-2], *where)
    done = nightly(day, *where)
    for name in ("report.html", "mixer.html"):
        assert_inert(browser, done.folder / name, shows=EVIL if name == "report.html" else "Shares")
    assert_inert(browser, place.lake.quality(day), shows="missing_user")


def test_the_page_of_a_comparison_runs_nothing(tmp_path: Path, browser: Browser) -> None:
    evil, value = EVIL + EVIL_ATTRIBUTE, Estimate(0.2, 0.1, 0.3)
    asked = Experiment(name="a", question=evil, recipe=evil, source=evil, baseline=evil, variants={"a": {}})
    figures = dict.fromkeys(FIGURES, value)
    rows = tuple(Row(f"{evil}{n}", figures, dict.fromkeys(FIGURES, 0.1), figures) for n in range(2))
    found = Comparison(evil, 1, 1, 1, rows, {evil: 1.0}, {}, {}, {})
    path = tmp_path / "comparison.html"
    path.write_text(render_comparison(asked, found, dt.date(2026, 3, 5)))
    assert_inert(browser, path)
