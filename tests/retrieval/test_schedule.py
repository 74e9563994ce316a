"""Which of several late nights runs."""

import datetime as dt

import pytest

from retrieval.schedule import LateRuns, ScheduleConfig

DUE = dt.datetime(2026, 11, 23, 2, tzinfo=dt.UTC)
NEXT = DUE + dt.timedelta(days=1)


def told(policy: LateRuns, hours: float, later: dt.datetime | None) -> str | None:
    return ScheduleConfig(late_runs=policy, late_hours=6).why_skipped(DUE, DUE + dt.timedelta(hours=hours), later)


def test_a_night_is_left_to_the_later_one_that_is_due() -> None:
    said = told("run-latest", 25, NEXT)
    assert said is not None
    assert "due at 2026-11-23 02:00 UTC" in said and "2026-11-24 02:00 UTC" in said


@pytest.mark.parametrize("hours", [0, 25, 1000])
def test_the_newest_night_runs_however_late(hours: float) -> None:
    assert told("run-latest", hours, None) is None


@pytest.mark.parametrize("hours", [0, 1000])
def test_all_nights_run_to_catch_up(hours: float) -> None:
    assert told("catch-up", hours, NEXT) is None


def test_a_night_may_be_six_hours_late_and_no_more() -> None:
    assert told("skip", 6, NEXT) is None
    said = told("skip", 6.1, None)
    assert said is not None and "6.1 hours late; at most 6 are allowed" in said
