"""The night's page needs nothing but itself, lets nothing from the logs run, and says first what matters most."""

import dataclasses
import datetime as dt
from typing import Any

import numpy as np
import pytest
from markup import EVIL, EVIL_ATTRIBUTE, Page, assert_fetches_nothing
from tables import planted_hand

from retrieval.changes import CatalogueChange, Since, changed_keys, moved
from retrieval.glance import lights
from retrieval.glance import verdict as verdict_of
from retrieval.mixing import measure
from retrieval.pages import CheckResult, RowCounts
from retrieval.quotas import Hand
from retrieval.report_parts import Judgement, Lineage, NightReport, SampleItem, SampleUser, StageTime
from retrieval.reporting import render, timeline
from retrieval.row_examples import RowExample, shown_of
from retrieval.wording import against_popularity

MEANS = {"blend": (0.1784, 0.0612), "popular": (0.0931, 0.0204), "item_knn": (0.1517, 0.0442)}


def estimate(mean: float) -> dict[str, float]:
    return {"mean": mean, "low": mean * 0.95, "high": mean * 1.05}


def scores(scale: float = 1.0) -> list[dict[str, Any]]:
    return [
        {
            "source": source,
            "pairs": pairs,
            "n_users": 1312,
            "n_targets": 18431,
            "recall_at_10": estimate(means[i] * scale / 3),
            "recall_at_100": estimate(means[i] * scale),
            "ndcg_at_10": estimate(means[i] * scale / 2),
            "mrr_at_10": estimate(means[i] * scale / 2),
            "hit_rate_at_10": estimate(means[i] * scale),
            "novelty_at_10": estimate(9.25),
            "popularity_at_10": estimate(0.875),
            "coverage_at_100": 0.312,
            "fresh_recall_at_100": None,
            "over_floor": {"mean": 3.0, "low": 2.8, "high": 3.22} if source == "blend" else None,
        }
        for i, pairs in enumerate(("all", "new"))
        for source, means in MEANS.items()
    ]


def mix_of(hand: Hand) -> dict[str, Any]:
    shares = {name: 1 / len(hand.found) for name in hand.found}
    return dataclasses.asdict(measure(hand, shares, {}, np.random.default_rng(0)))


def check(rule: str, *, passed: bool = True, severity: str = "block", cure: str = "Land it again.") -> CheckResult:
    return CheckResult(
        "events", "volume", rule, f"meaning of {rule}", "2017-10-02", severity, passed, "0.13", "at least 0.2", cure
    )


def release_check(rule: str, **changes: Any) -> CheckResult:
    return dataclasses.replace(check(rule), **({"kind": "release", "about": "continuity"} | changes))


def difference(**changes: Any) -> dict[str, Any]:
    found = {"metric": "recall@100", "of": "blend", "segment": "everybody", "n_users": 912, "live": 0.2201}
    return found | {"candidate": 0.2134, "change": {"mean": -0.0067, "low": -0.009, "high": -0.0041}} | changes


@pytest.fixture
def night() -> NightReport:
    return NightReport(
        release_id="r-this",
        day=dt.date(2017, 10, 2),
        recipe_name="complete-journey",
        recipe_id="a1b2c3d4e5f6",
        code_digest="9f8e7d",
        parent="r-before",
        lineage=Lineage("c0ffee", dt.date(2016, 10, 2), {"python": "3.11.7", "torch": "2.13.0"}),
        since=Since(
            "r-before",
            "2017-10-01",
            [("sources.two_tower.dim", "32", "64")],
            True,
            moved({"n_items": 92300}, {"n_items": 92331}, scores(0.9), scores()),
            CatalogueChange(33, 2, ["DRAGON FRUIT"], ["OLD BREAD"]),
        ),
        examples=[RowExample("missing_user", "events", "2017-10-02", "part-0.parquet", 17, [("item_id", "82")])],
        free_bytes=40 << 30,
        stages=[StageTime("ingest", 3.3, "4,021 events"), StageTime("train", 1141.8), StageTime("publish", 0.0)],
        rows=[RowCounts("events", 4063, 4021, 28, 12, 2, 5), RowCounts("items", 47, 47, 0, 0, 0, 0)],
        n_days_loaded=1,
        reasons={"missing_user": 7, "unknown_item": 21},
        reason_meanings={"missing_user": "the row has no user_id", "unknown_item": "the item was in no catalogue"},
        checks=[check("n_rows"), check("null_share")],
        judgement=Judgement("promote", "r-before", [release_check("churn")], [difference()]),
        scores=scores(),
        history=[{"day": "2017-09-30", "scores": scores(0.8)}, {"day": "2017-10-01", "scores": scores(0.9)}],
        indexes=[{"source": "item_knn", "recall_at_10": 0.9934, "ef_search": 96, "n_vectors": 92331, "n_probes": 1000}],
        microseconds_per_query={"blend": 1234.4, "popular": 3.0},
        mix=mix_of(planted_hand()),
        similar={"n_triggers": 0, "scores": [], "heads": []},
        facts={"n_items": 92331, "n_fresh_items": 1, "n_encoded": 47},
        fresh_items=[SampleItem("BANANAS", "1040", ["STRAWBERRIES"])],
        users=[SampleUser("17", ["YOGURT"], ["EGGS", "MILK"])],
        items=[SampleItem("EGGS", "82", ["MILK"])],
    )


@pytest.fixture
def bare(night: NightReport) -> NightReport:
    nothing: dict[str, Any] = {
        field.name: type(getattr(night, field.name))()
        for field in dataclasses.fields(night)
        if isinstance(getattr(night, field.name), (list, dict))
    }
    nothing["mix"] = mix_of(planted_hand(0))
    return dataclasses.replace(night, parent=None, since=None, judgement=Judgement("promote", None, [], []), **nothing)


def text_of(report: NightReport) -> str:
    return Page(render(report)).text


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


def test_every_light_says_by_sign_and_word_what_its_colour_says(night: NightReport) -> None:
    assert {light.part: (light.sign, light.word) for light in lights(night)} == {
        "Data": ("✓", "in order"),
        "Quality": ("✓", "passed the gate"),
        "Fresh items": ("–", "too early to tell"),
        "Heads": ("–", "no source has any"),
        "Index": ("✓", "sound"),
        "Time and room": ("✓", "enough"),
    }
    html = render(night)
    assert html.index('class="lights"') < html.index('class="cards"')
    anchors = {light.anchor for light in lights(night)}
    assert all(f'id="{anchor}"' in html for anchor in anchors), "each leads to where to read on"


def lit(report: NightReport, part: str) -> tuple[str, str]:
    (light,) = [light for light in lights(report) if light.part == part]
    return light.tone, light.word


def test_lights_go_out_for_what_they_stand_for(night: NightReport) -> None:
    def changed(**changes: Any) -> NightReport:
        return dataclasses.replace(night, **changes)

    held = dataclasses.replace(night.judgement, decision="hold")
    alike = dataclasses.replace(night.judgement, checks=[release_check("head_cka", passed=False, severity="warn")])
    heads = {"heads": [{"source": "m", "overlap_at_100": 0.95, "cka": 0.99}]}
    cohorts = {"spaces": [{"cohorts": [{"state": "failing"}, {"state": "converging"}]}]}
    slow = [{"day": "2017-09-30", "scores": [], "night": {"seconds": 300.0}}] * 5
    assert lit(changed(checks=[check("n_rows", passed=False)]), "Data") == ("bad", "1 rule failed")
    assert lit(changed(judgement=held), "Quality") == ("bad", "held by the gate")
    assert lit(changed(judgement=alike, similar=heads), "Heads") == ("look", "say the same")
    assert lit(changed(similar=heads), "Heads") == ("good", "stay apart")
    assert lit(changed(convergence=cohorts), "Fresh items") == ("bad", "1 cohort does not settle")
    assert lit(changed(history=slow), "Time and room") == ("look", "3.8 times as long as usual")
    assert lit(changed(free_bytes=1 << 30), "Time and room") == ("look", "the disk runs full")


def test_what_changed_since_the_night_before_is_said(night: NightReport, bare: NightReport) -> None:
    text = text_of(night)
    assert "What changed since 2017-10-01" in text
    assert "sources.two_tower.dim 32 64" in text and "The recipe is another one. The code is the same." in text
    assert "items in the catalogue 92,300 92,331 +31" in text
    assert "blend recall@100, all pairs 0.1606 0.1784 +0.0178" in text
    assert "33 items came into the catalogue DRAGON FRUIT" in text and "2 items went out of it OLD BREAD" in text
    assert "There is no earlier release to compare with." in text_of(bare)


def test_changed_keys_are_those_that_differ_at_any_depth() -> None:
    before = {"seed": 1, "sources": {"a": {"kind": "popular"}, "b": {"dim": 32}}, "same": [1, 2]}
    now = {"seed": 1, "sources": {"b": {"dim": 64, "epochs": 2}}, "same": [1, 2]}
    assert changed_keys(before, now) == [
        ("sources.a.kind", "popular", "not set"),
        ("sources.b.dim", "32", "64"),
        ("sources.b.epochs", "not set", "2"),
    ]


def test_lineage_names_all_that_the_release_follows_from(night: NightReport) -> None:
    text = text_of(night)
    for part in ("c0ffee", "9f8e7d", "a1b2c3d4e5f6", "r-before", "2016-10-02 up to 2017-10-02", "torch 2.13.0"):
        assert part in text, part


def test_figures_over_nights_are_drawn_once_there_are_two(night: NightReport) -> None:
    before = [entry | {"night": {"seconds": 900.0 + n, "n_items": 90000}} for n, entry in enumerate(night.history)]
    html = render(dataclasses.replace(night, history=before))
    assert "Seconds of the night" in html and "Items in the catalogue" in html
    assert html.count("<svg") == render(night).count("<svg") + 2
    assert "Figures over nights" not in render(night), "nights of before kept no figures"


def test_examples_show_what_is_wrong_and_nobody_s_name() -> None:
    row = {"user_id": "ada@example.org", "item_id": "82", "context": {"phone": "555"}, "event_id": "", "value": None}
    shown = dict(shown_of("events", row))
    assert shown == {
        "user_id": "given, not shown",
        "item_id": "82",
        "context": "given, not shown",
        "event_id": "empty",
        "value": "missing",
    }
    assert shown_of("users", {"user_id": "ada", "attributes": {}}) == [
        ("user_id", "given, not shown"),
        ("attributes", "empty"),
    ]
    assert shown_of("events", "no json") == [("row", "no row that could be read")]
    assert len(dict(shown_of("items", {"title": "x" * 500}))["title"]) == 81


def test_examples_are_on_the_page_by_their_reason(night: NightReport) -> None:
    text = text_of(night)
    assert "Examples of rows set aside" in text
    assert "missing_user events of 2017-10-02, part-0.parquet , line 17 item_id 82" in text
