"""The mixer works from a file, without a network, and counts what Python counts."""

import base64
import dataclasses
import datetime as dt
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Request, sync_playwright
from tables import random_hand

from retrieval.dealing import deal
from retrieval.domain import Candidates, Ragged
from retrieval.mixer_page import FRESH, N_USERS, TAIL, Mixer, page_data, render_mixer, sample_users
from retrieval.mixing import measure
from retrieval.quotas import Hand
from retrieval.segments import ItemFacts

CHROMIUM = shutil.which("chromium")
NAMES = ("two_tower", "item_knn", "popular", "explore")
SETTINGS = [
    [0.25, 0.25, 0.25, 0.25],
    [1.0, 0.0, 0.0, 0.0],
    [0.0, 0.0, 1.0, 0.0],
    [0.6, 0.25, 0.1, 0.05],
    [0.13, 0.0, 0.57, 0.31],
    [1 / 3, 1 / 3, 1 / 3, 0.0],
    [0.9, 0.01, 0.01, 0.9],
    [0.0, 0.0, 0.0, 0.0],
]


def mixer(n_users: int = 60) -> Mixer:
    hand = random_hand(n_users, n_sources=len(NAMES), n_items=400, width=100, seed=2)
    found = dict(zip(NAMES, hand.found.values(), strict=True))
    found["explore"] = found["item_knn"].top(40)
    hand = Hand(found, hand.targets, hand.n_items, hand.k)
    rng = np.random.default_rng(0)
    items = ItemFacts(rng.random(400) < 0.1, rng.random(400) < 0.7, rng.integers(0, 50, 400))
    shares = {"two_tower": 0.4, "item_knn": 0.3, "popular": 0.2, "explore": 0.1}
    segments = {"fresh items": items.fresh[hand.targets.values]}
    mix = dataclasses.asdict(measure(hand, shares, segments, rng))
    costs = {"two_tower": 812.5, "item_knn": 241.0, "popular": 3.1}
    return Mixer("2017-10-03-0123456789ab", dt.date(2017, 10, 3), "all pairs", hand, items, mix, costs)


@pytest.fixture(scope="module")
def shown() -> Mixer:
    return mixer()


@pytest.fixture(scope="module")
def file(shown: Mixer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mixer") / "mixer.html"
    path.write_text(render_mixer(shown))
    return path


@dataclasses.dataclass
class Opened:
    """The page in a browser, and all that it asked for or complained of."""

    page: Page
    requests: list[str]
    complaints: list[str]

    def figures(self, shares: list[float]) -> dict[str, Any]:
        found: dict[str, Any] = self.page.evaluate("shares => figures(shares)", shares)
        return found

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)


@pytest.fixture(scope="module")
def opened(file: Path) -> Iterator[Opened]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium on the path: install it to test the mixer in a browser")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        found = Opened(page, [], [])

        def asked(request: Request) -> None:
            found.requests.append(request.url)

        page.on("request", asked)
        page.on("console", lambda message: found.complaints.append(message.text))
        page.on("pageerror", lambda error: found.complaints.append(str(error)))
        page.goto(file.as_uri())
        yield found
        browser.close()


def by_python(mixer: Mixer, shares: list[float]) -> dict[str, Any]:
    """The figures of the page, counted from Python's deal."""
    hand = mixer.sample
    dealt = deal(hand.found, dict(zip(NAMES, shares, strict=True)), hand.k).items
    recall: dict[str, list[float]] = {"recall": [], "fresh": [], "tail": []}
    kept = {"recall": np.ones(400, bool), "fresh": mixer.items.fresh, "tail": mixer.items.tail}
    for user in range(len(hand)):
        for name, counts in kept.items():
            wanted = {item for item in hand.targets.row(user).tolist() if counts[item]}
            if wanted:
                recall[name].append(len(wanted & set(dealt[user].tolist())) / len(wanted))
    places = dealt[dealt >= 0]
    return {name: np.mean(values) for name, values in recall.items()} | {
        "nShown": len(set(places.tolist())),
        "freshShare": mixer.items.fresh[places].sum() / max(len(places), 1),
        "tailShare": mixer.items.tail[places].sum() / max(len(places), 1),
    }


@pytest.mark.parametrize("shares", SETTINGS)
def test_the_page_counts_what_python_counts(opened: Opened, shown: Mixer, shares: list[float]) -> None:
    found, wanted = opened.figures(shares), by_python(shown, shares)
    for name in ("recall", "fresh", "tail"):
        assert found[name]["mean"] == pytest.approx(wanted[name], abs=1e-6)
    for name in ("nShown", "freshShare", "tailShare"):
        assert found[name] == pytest.approx(wanted[name], abs=1e-6)
    assert found["cost"] == pytest.approx(
        sum(shown.microseconds_per_query.get(name, 0) for name, share in zip(NAMES, shares, strict=True) if share)
    )


def test_what_is_lost_without_a_source_is_what_python_loses(opened: Opened, shown: Mixer) -> None:
    shares = [0.4, 0.3, 0.2, 0.1]
    found = opened.figures(shares)["sources"]
    for place, source in enumerate(found):
        less = [0.0 if other == place else share for other, share in enumerate(shares)]
        lost = by_python(shown, shares)["recall"] - by_python(shown, less)["recall"]
        assert source["marginal"]["mean"] == pytest.approx(lost, abs=1e-6)
        assert source["marginal"]["low"] <= lost <= source["marginal"]["high"]


def test_the_interval_is_as_wide_as_the_bootstrap_s(opened: Opened, shown: Mixer) -> None:
    shares = [0.4, 0.3, 0.2, 0.1]
    found, night = opened.figures(shares)["recall"], shown.mix["segments"][0]["dealt"]
    assert found["mean"] == pytest.approx(night["mean"], abs=1e-6)
    assert found["high"] - found["low"] == pytest.approx(night["high"] - night["low"], rel=0.15)


def test_moving_a_slider_changes_figures_and_words(opened: Opened) -> None:
    page = opened.page
    page.get_by_role("button", name="starting shares").click()
    before = {part: opened.text(part) for part in ("#figures", "#diagnosis", "#part-0", "#sources")}
    slider = page.get_by_label("two_tower")
    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Home")
    page.wait_for_function("document.getElementById('part-0').textContent === '0.0 %'")
    after = {part: opened.text(part) for part in before}
    assert all(before[part] != after[part] for part in before)
    assert "two_tower is not asked." in after["#diagnosis"]
    assert "The shares sum to 60.0 %" in after["#diagnosis"]


def test_the_diagnosis_names_the_source_that_says_what_another_says(opened: Opened) -> None:
    opened.page.get_by_role("button", name="starting shares").click()
    said = opened.text("#diagnosis")
    assert "explore finds nothing that the others do not." in said
    assert "A query costs 1,057 µs, most of it two_tower (813 µs)." in said


def test_a_source_that_runs_dry_is_said_to(opened: Opened) -> None:
    opened.page.get_by_role("button", name="only explore").click()
    assert opened.page.get_by_role("button", name="only explore").get_attribute("aria-pressed") == "true"
    assert "Recall@100 is" in opened.text("#diagnosis")
    opened.page.get_by_label("two_tower").fill("1")
    opened.page.wait_for_function("document.getElementById('part-0').textContent === '0.99 %'")
    said = re.search(r"explore runs dry: it fills (\d+\.\d) % of the places, not 99.0 %", opened.text("#diagnosis"))
    assert said is not None
    assert 30 < float(said[1]) < 42, "its lists end after 40 of 100 places"


def test_without_any_share_nobody_is_shown_anything(opened: Opened) -> None:
    opened.page.evaluate("set([0, 0, 0, 0])")
    assert opened.text("#diagnosis") == "No source has a share: nobody is shown anything."


@pytest.mark.parametrize(("name", "width", "scheme"), [("wide", 1280, "light"), ("narrow", 390, "dark")])
def test_the_page_fits_its_window(opened: Opened, tmp_path: Path, name: str, width: int, scheme: str) -> None:
    page = opened.page
    page.get_by_role("button", name="starting shares").click()
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    picture = tmp_path / f"mixer-{name}.png"
    page.screenshot(path=picture, full_page=True)
    print(f"screenshot: {picture}")
    assert picture.stat().st_size > 10_000
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out sideways"


def test_the_page_asks_for_nothing_and_complains_of_nothing(opened: Opened, file: Path) -> None:
    assert opened.requests == [file.as_uri()]
    assert opened.complaints == []


def test_the_page_of_a_day_without_choices_says_so(tmp_path: Path, opened: Opened, shown: Mixer) -> None:
    nobody = dataclasses.replace(shown, sample=shown.sample.take(np.zeros(0, np.int64)))
    path = tmp_path / "nobody.html"
    path.write_text(render_mixer(nobody))
    page = opened.page.context.browser.new_page()  # type: ignore[union-attr]
    page.goto(path.as_uri())
    assert "Nobody chose anything on this day" in page.inner_text("#diagnosis")
    page.close()


def test_the_sample_is_seeded_and_bounded() -> None:
    hand = random_hand(400)
    one, again = (sample_users(hand, np.random.default_rng(7)) for _ in range(2))
    assert len(one) == N_USERS
    assert page_data_of(one) == page_data_of(again)
    many = Hand({f"s{k}": hand.found["s0"] for k in range(500)}, hand.targets, hand.n_items, hand.k)
    assert len(sample_users(many, np.random.default_rng(7))) == 45, "450,000 places of 500 sources of 20"


def page_data_of(hand: Hand) -> list[int]:
    return hand.targets.values.tolist()


def test_the_largest_page_stays_small() -> None:
    n, k, names = N_USERS, 100, [f"source_{place}" for place in range(15)]
    rng = np.random.default_rng(0)
    rows = [np.argsort(rng.random((n, 3000)), axis=1)[:, :k].astype(np.int32) for _ in names]
    found = {
        name: Candidates(items, np.zeros(items.shape, np.float32)) for name, items in zip(names, rows, strict=True)
    }
    targets = Ragged.from_owners(np.repeat(np.arange(n), 5), rng.integers(0, 3000, 5 * n), n)
    flags = rng.random(3000) < 0.5
    quota = {"shares": dict.fromkeys(names, 1 / 15), "gain": {"mean": 0.0, "low": 0.0, "high": 0.0}}
    sources = [{"source": name, "share": 1 / 15, "n_named": 100.0, "overlap_with_any": 0.5} for name in names]
    nothing = {"mean": 0.0, "low": 0.0, "high": 0.0}
    everybody = {"sources": {name: {"recall": nothing, "only": nothing, "marginal": nothing} for name in names}}
    mix = {"k": k, "n_users": n, "sources": sources, "segments": [everybody], "quota": quota, "served": quota["gain"]}
    large = Mixer(
        "id",
        dt.date(2017, 1, 1),
        "all pairs",
        Hand(found, targets, 3000, k),
        ItemFacts(flags, flags, np.zeros(3000, np.int64)),
        mix,
        {},
    )
    assert len(render_mixer(large).encode()) < 3_000_000


def test_items_are_numbered_anew_with_their_flags(shown: Mixer) -> None:
    data = page_data(shown)
    flags = np.frombuffer(base64.b64decode(data["flags"]), "u1")
    items = np.frombuffer(base64.b64decode(data["sources"][0]["items"]), "<i4").reshape(len(shown.sample), -1)
    rows = shown.sample.found["two_tower"].items
    assert ((items < 0) == (rows < 0)).all()
    known = rows >= 0
    assert ((flags[items[known]] & FRESH > 0) == shown.items.fresh[rows[known]]).all()
    assert ((flags[items[known]] & TAIL > 0) == shown.items.tail[rows[known]]).all()
