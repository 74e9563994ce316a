"""What counts as something to mend, one condition at a time, and that each names its cure."""

import dataclasses
import datetime as dt
from typing import Any

import pytest

from validation.health import GIB, Newest, Standing, problems

DAY = dt.date(2026, 11, 20)
MORNING = dt.datetime(2026, 11, 21, 8, tzinfo=dt.UTC)
WELL = Standing(
    live="2026-11-20-a",
    live_day=DAY,
    is_held=False,
    newest=Newest("2026-11-20-a", DAY, "promote"),
    landed=(),
    loaded=(),
    refused=(),
    waiting=(),
    failed=(),
    unsettled=(),
    unreachable=None,
    free_bytes=50 * GIB,
)


def day(later: int) -> dt.date:
    return DAY + dt.timedelta(days=later)


def found(now: dt.datetime = MORNING, **changes: Any) -> list[tuple[str, str]]:
    wrong = problems(dataclasses.replace(WELL, **changes), now, max_age_hours=36, min_free_gib=5)
    return [(problem.kind, problem.sentence()) for problem in wrong]


def test_a_live_release_of_yesterday_with_nothing_waiting_is_well() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("changes", "kind", "cure"),
    [
        ({"live": None, "live_day": None, "landed": (day(1),)}, "nothing-live", "nightly --day 2026-11-21"),
        ({"is_held": True}, "held", "releases promote ID"),
        ({"failed": ("the night of 2026-11-20 did not finish.",)}, "failed", "lamplighter incidents"),
        ({"refused": (day(-3), day(-2))}, "refused", "quarantine show --day 2026-11-18"),
        ({"waiting": (day(-9), day(-2))}, "reopened", "backfill --start 2026-11-11 --end 2026-11-18"),
        ({"newest": Newest("2026-11-21-b", day(1), "hold", ("too low.",))}, "kept-back", "promote 2026-11-21-b"),
        ({"newest": Newest("2026-11-21-b", day(1), "refuse", ("torn.",))}, "kept-back", "nightly --day 2026-11-21"),
        ({"unsettled": ("two_tower of 2026-11-01",)}, "unsettled", "lamplighter convergence"),
        ({"unreachable": "s3://x: no rights"}, "landing", "lamplighter doctor"),
        ({"free_bytes": 4 * GIB}, "disk", "releases sweep"),
    ],
)
def test_each_trouble_is_one_sentence_with_its_cure(changes: dict[str, Any], kind: str, cure: str) -> None:
    ((found_kind, sentence),) = found(**changes)
    assert found_kind == kind and cure in sentence
    assert "\n" not in sentence


def test_a_day_that_landed_is_missed_once_its_night_should_have_been() -> None:
    at_two = dt.datetime(2026, 11, 22, 2, tzinfo=dt.UTC)
    assert found(now=at_two, landed=(day(1),)) == []
    ((kind, sentence),) = found(now=at_two + dt.timedelta(hours=5), loaded=(day(1),))
    assert kind == "behind" and "nightly --day 2026-11-21" in sentence


def test_a_live_release_grows_old_also_where_nothing_lands() -> None:
    assert found(now=dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)) == []
    ((kind, sentence),) = found(now=dt.datetime(2026, 11, 22, 13, tzinfo=dt.UTC))
    assert kind == "old" and "37 hours" in sentence and "Land the days" in sentence


def test_many_days_are_counted_and_the_newest_named() -> None:
    ((_, sentence),) = found(refused=tuple(day(-n) for n in range(9, 0, -1)))
    assert "9 days are refused: 6 more, 2026-11-17, 2026-11-18, 2026-11-19." in sentence
