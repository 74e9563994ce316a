"""The night's page needs nothing but itself, lets nothing from the logs run, and says first what matters most."""

import dataclasses
from typing import Any

import pytest
from markup import EVIL, EVIL_ATTRIBUTE, Page, assert_fetches_nothing
from night_reports import MEANS, a_bare_night, a_night, check, scores, text_of

from retrieval.glance import verdict as verdict_of
from retrieval.pages import CheckResult, RowCounts
from retrieval.report_parts import NightReport, SampleItem, SampleUser, StageTime
from retrieval.reporting import render, timeline
from retrieval.wording import against_popularity


@pytest.fixture
def night() -> NightReport:
    return a_night()


@pytest.fixture
def bare() -> NightReport:
    return a_bare_night()


def test_page_fetches_nothing(night: NightReport) -> None:
    assert_fetches_nothing(render(night))


def test_every_element_is_closed_in_order(night: NightReport, bare: NightReport) -> None:
    assert Page(render(night)).open == []
    assert Page(render(bare)).open == []


@pytest.mark.parametrize("evil", [EVIL, EVIL_ATTRIBUTE])
def test_nothing_from_the_logs_becomes_markup(night: NightReport, evil: str) -> None:
    planted = dataclasses.replace(
        night,
        stages=[StageTime("ingest", 1.0, evil)],
        rows=[RowCounts(evil, 1, 1, 0, 0, 0, 0)],
        reasons={evil: 3},
        reason_meanings={evil: evil},
        checks=[CheckResult(evil, evil, evil, evil, evil, "block", False, evil, evil, evil)],
        fresh_items=[SampleItem(evil, evil, [evil])],
        users=[SampleUser(evil, [evil], [evil])],
        items=[SampleItem(evil, evil, [evil])],
        scores=[score | {"source": evil} if score["source"] == "item_knn" else score for score in night.scores],
        facts={evil: evil},
    )
    page = Page(render(planted))
    assert not {tag for tag, _ in page.elements} & {"script", "img"}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert page.text.count(evil) >= 15


def test_same_report_gives_the_same_bytes(night: NightReport) -> None:
    assert render(night) == render(dataclasses.replace(night))


def test_first_night_says_that_there_is_nothing_to_compare_with(night: NightReport) -> None:
    first = text_of(dataclasses.replace(night, history=[]))
    assert "This is the first night: there is no earlier one to compare with." in first
    assert "first night, nothing to compare with" in first
    assert "This is the first night" not in text_of(night)


def test_failed_blocking_check_comes_first_with_its_cure(night: NightReport) -> None:
    checks = [
        check("a_passed_rule"),
        check("a_warned_rule", passed=False, severity="warn", cure="Look at the export."),
        check("volume_ratio", passed=False, cure="Check that the export is whole."),
    ]
    html = render(dataclasses.replace(night, checks=checks))
    table = html[html.index('id="checks"') :]
    order = [table.index(rule) for rule in ("volume_ratio", "a_warned_rule", "a_passed_rule")]
    assert order == sorted(order)
    assert "✗ failed, blocks" in table
    assert table.index("Check that the export is whole.") < table.index("a_warned_rule")
    assert "Land it again." not in table, "a rule that passed needs no cure"
    assert "2 of 3 checks failed, 1 of them blocking: volume_ratio of 2017-10-02, a_warned_rule of 2017-10-02." in html


def test_numbers_of_the_scores_appear_for_people(night: NightReport) -> None:
    text = text_of(night)
    for figure in ("17.8 %", "16.9 % to 18.7 %", "6.1 %", "0.68 %", "0.089", "31.2 %", "1,234", "99.3 %", "92,331"):
        assert figure in text, figure
    assert "18,431 choices of 1,312 users" in text
    assert "1,145.1 s" in text, "the stages' sum, with one decimal"


def test_cards_say_the_change_since_the_night_before(night: NightReport) -> None:
    assert "▲ up 1.78 points since 2017-10-01, beyond the interval" in text_of(night)
    steady = dataclasses.replace(night, history=[{"day": "2017-10-01", "scores": scores(1.01)}])
    assert "▼ down 0.18 points since 2017-10-01, within the interval" in text_of(steady)


def test_charts_name_every_source_in_text(night: NightReport) -> None:
    html = render(night)
    charts = html.split("<svg")[1:]
    assert len(charts) == 4, "two kinds of pairs, by source and over nights"
    assert all(source in chart.split("</svg>")[0] for chart in charts for source in MEANS)


def test_verdict_compares_the_blend_with_popularity_on_new_pairs(night: NightReport) -> None:
    found = verdict_of(night)
    assert found.tone == "good"
    assert found.sentences[1] == "All 2 checks passed."
    assert "3.00 times that of popularity (95 % interval 2.80 to 3.22): better than popularity" in found.sentences[2]


def with_ratio(night: NightReport, ratio: dict[str, float] | None) -> list[dict[str, Any]]:
    return [score | {"over_floor": ratio} for score in night.scores]


def test_blend_no_better_than_popularity_is_worth_a_look(night: NightReport) -> None:
    same = with_ratio(night, {"mean": 1.02, "low": 0.9, "high": 1.15})
    sentence, is_better = against_popularity(same)
    assert not is_better
    assert sentence.endswith("no clear difference.")
    assert verdict_of(dataclasses.replace(night, scores=same)).tone == "look"


def test_blend_below_popularity_is_called_worse(night: NightReport) -> None:
    sentence, is_better = against_popularity(with_ratio(night, {"mean": 0.5, "low": 0.4, "high": 0.6}))
    assert not is_better
    assert sentence.endswith("worse than popularity.")


def test_popularity_that_finds_nothing_gives_no_ratio(night: NightReport) -> None:
    none = with_ratio(night, None)
    sentence, is_better = against_popularity(none)
    assert not is_better
    assert "was not compared with popularity" in sentence
    assert "<svg" in render(dataclasses.replace(night, scores=none))


def test_rows_that_do_not_add_up_need_somebody(night: NightReport) -> None:
    short = dataclasses.replace(night, rows=[RowCounts("events", 4063, 4021, 25, 12, 2, 5)])
    assert verdict_of(short).tone == "bad"
    assert "✗ off by 3" in text_of(short)


def test_empty_lists_are_sentences(bare: NightReport) -> None:
    page = Page(render(bare))
    assert "table" not in {tag for tag, _ in page.elements}
    for sentence in (
        "No stage was timed.",
        "Nothing was measured",
        "No source has a vector index.",
        "Nothing new landed.",
        "No row was set aside for a fault of its own.",
        "No checks were run",
        "No item is fresh this night.",
        "No users were sampled.",
        "No items were sampled.",
        "none, the first release",
    ):
        assert sentence in page.text, sentence


def test_stages_follow_one_another_and_stay_visible(night: NightReport) -> None:
    first, second, last = timeline(night.stages)
    assert first.left == 0.0
    assert second.left == pytest.approx(100 * 3.3 / 1145.1)
    assert last.width > 0
    assert last.left + last.width <= 100


def test_each_source_is_said_to_be_worth_what_it_is(night: NightReport) -> None:
    html = render(night)
    text = text_of(night)
    assert "right is worth its places; it alone finds 50.0 % of what users chose." in text
    assert (
        "noise costs recall: its places are worth more in other hands (it finds nothing that the others do not)."
        in text
    )
    assert "left 50 %, right 50 %; nothing for echo and noise" in text
    assert "a sure gain" in text
    assert 'href="mixer.html"' in html


def test_a_day_without_choices_has_no_worth(bare: NightReport) -> None:
    assert "Nobody chose anything on this day, so nothing can be said of the shares." in text_of(bare)


def test_figures_over_nights_are_drawn_once_there_are_two(night: NightReport) -> None:
    before = [entry | {"night": {"seconds": 900.0 + n, "n_items": 90000}} for n, entry in enumerate(night.history)]
    html = render(dataclasses.replace(night, history=before))
    assert "Seconds of the night" in html and "Items in the catalogue" in html
    assert html.count("<svg") == render(night).count("<svg") + 2
    assert "Figures over nights" not in render(night), "nights of before kept no figures"
