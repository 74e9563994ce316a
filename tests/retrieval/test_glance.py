"""The lights on top of the night's page: signs, words and what puts them out."""

import dataclasses
from typing import Any

import pytest
from night_reports import a_night, check, release_check

from retrieval.glance import lights
from retrieval.report_parts import NightReport
from retrieval.reporting import render


@pytest.fixture
def night() -> NightReport:
    return a_night()


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
