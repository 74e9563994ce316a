"""The conditions that make an incident: when each begins, and when it is over."""

import datetime as dt
from dataclasses import replace

import pytest

from validation.conditions import (
    Candidate,
    Outcome,
    data_blocked,
    data_warned,
    disk_low,
    index_old,
    kept_back,
    night_failed,
    night_missing,
    not_settling,
)
from validation.incidents import Incident, Limits
from validation.verdict import Check

DAY = dt.date(2026, 11, 20)
NEXT = DAY + dt.timedelta(days=1)
LIMITS = Limits()


def at(day: dt.date, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute), dt.UTC)


def check(rule: str = "null_share", day: dt.date = DAY, severity: str = "block", *, passed: bool = False) -> Check:
    return Check(
        "events", day, "values", rule, "rows without user", severity, passed, "0.1", "at most 0.01", "Mend it."
    )  # type: ignore[arg-type]


def link(day: dt.date) -> str:
    return f"file:///quality/{day}.html"


def incident(key: str = "a", kind: str = "data-quality", day: dt.date = DAY, severity: str = "block") -> Incident:
    return Incident(kind, key, day, "r", severity, "o", "e", "m", "c")  # type: ignore[arg-type]


def outcome(state: str, day: dt.date = DAY, hour: int = 2, on: dt.date = NEXT) -> Outcome:
    return Outcome(f"{day}{state}{on}{hour}", day, state, at(on, hour), "OSError: full", "http://run")  # type: ignore[arg-type]


def test_a_refused_partition_is_one_incident_however_many_rules_refuse_it() -> None:
    (found,) = data_blocked([check(), check("n_rows"), check("old", passed=True)], link, LIMITS, set())
    assert (found.rule, found.day, found.expected) == ("null_share", DAY, "at most 0.01")
    assert found.observed == "0.1 (also n_rows)"
    assert found.link == link(DAY)
    assert found.runbook == "docs/runbook.md#alert-data-quality"


def test_refused_days_far_behind_open_nothing_and_end_nothing() -> None:
    old = DAY - dt.timedelta(days=LIMITS.window_days + 1)
    checks = [check(day=old), check("fine", passed=True)]
    assert data_blocked(checks, link, LIMITS, set()) == []
    (still,) = data_blocked(checks, link, LIMITS, {f"data-quality.events.{old}"})
    assert still.day == old


def test_a_warning_lasts_until_a_newer_partition_passes_the_rule() -> None:
    first = data_warned([check("drift", severity="warn")], link)
    lasting = data_warned([check("drift", severity="warn"), check("drift", NEXT, "warn")], link)
    over = data_warned([check("drift", severity="warn"), check("drift", NEXT, "warn", passed=True)], link)
    assert [i.id for i in first] == [i.id for i in lasting] == ["data-quality.events.drift"]
    assert over == []


@pytest.mark.parametrize("decision", ["hold", "refuse"])
def test_a_release_kept_back_is_an_incident_until_one_of_its_day_or_later_is_live(decision: str) -> None:
    kept = Candidate("r2", NEXT, decision, (check("nDCG@10", NEXT),), "file:///report.html")
    (found,) = kept_back([kept], DAY, "r1")
    assert (found.kind, found.rule, found.day, found.link) == ("gate", "nDCG@10", NEXT, "file:///report.html")
    assert "r2" in found.cure
    assert kept_back([kept], NEXT, "r2") == kept_back([kept], NEXT, "r3") == []
    assert kept_back([kept, replace(kept, id="r4", decision="promote")], DAY, "r1") == []


def test_a_night_that_failed_stays_so_until_one_of_its_day_or_later_has_finished_since() -> None:
    (found,) = night_failed([outcome("failed")])
    assert "OSError: full" in found.observed and found.link == "http://run"
    assert f"--day {DAY}" in found.cure
    assert night_failed([outcome("completed", hour=1), outcome("failed")])
    assert night_failed([outcome("failed"), outcome("completed", DAY - dt.timedelta(days=1), hour=3)])
    assert night_failed([outcome("crashed"), outcome("completed", hour=3)]) == []
    assert night_failed([outcome("failed"), outcome("completed", NEXT, 2, NEXT + dt.timedelta(days=1))]) == []


def test_a_night_is_missing_from_the_hour_on_and_not_before() -> None:
    before, since = DAY - dt.timedelta(days=1), at(DAY, 0)
    assert night_missing(before, since, at(NEXT, 5, 59), LIMITS) == []
    (found,) = night_missing(before, since, at(NEXT, 6), LIMITS)
    assert (found.day, found.expected) == (DAY, f"a release of {DAY} by 06:00 UTC")
    assert night_missing(DAY, since, at(NEXT, 6), LIMITS) == []


def test_a_new_lake_misses_only_nights_that_were_due_since_it_is_watched() -> None:
    assert night_missing(None, at(NEXT, 7), at(NEXT, 8), LIMITS) == []
    (found,) = night_missing(None, at(NEXT, 5), at(NEXT, 8), LIMITS)
    assert found.observed == "no release at all"


def test_a_live_release_is_too_old_after_so_many_hours_beyond_its_last_day() -> None:
    later = NEXT + dt.timedelta(days=1)
    assert index_old("r1", DAY, at(later, 12), LIMITS, None) == []
    (found,) = index_old("r1", DAY, at(later, 13), LIMITS, "file:///report.html")
    assert (found.observed, found.expected) == ("37 hours", "at most 36 hours")
    assert index_old(None, None, at(later, 13), LIMITS, None) == []


def test_cohorts_that_do_not_settle_are_one_incident_a_space() -> None:
    failing = {"state": "failing", "first_seen": "2026-11-01", "observed": "4 times", "expected": "2", "cure": "Look."}
    spaces = [
        {"space": "als", "cohorts": [failing, failing, failing | {"state": "early"}]},
        {"space": "towers", "cohorts": [failing | {"state": "converging"}]},
    ]
    (found,) = not_settling(spaces, DAY, "file:///report.html#convergence")
    assert (found.key, found.observed, found.severity) == ("als", "4 times (and 1 cohorts more)", "warn")


def test_a_disk_is_low_under_the_limit_and_over_it_with_headroom_only() -> None:
    assert disk_low(5.0, "/lake", DAY, LIMITS, is_open=False) == []
    assert disk_low(4.9, "/lake", DAY, LIMITS, is_open=False)
    assert disk_low(5.4, "/lake", DAY, LIMITS, is_open=True)
    assert disk_low(5.5, "/lake", DAY, LIMITS, is_open=True) == []
