"""Nights and backfills in every order end in the same logs: late events, corrections, days judged beside others."""

import datetime as dt
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from nights import Nights
from rows import day_of, event

DAYS = [day_of(offset) for offset in range(3)]
Lakes = Callable[..., Nights]


def land_late(nights: Nights, *, corrected: bool = False) -> None:
    """Days whose events land late, some of them twice, by id and by everything they say."""
    for offset, day in enumerate(DAYS):
        rows = [event(f"u{k}", day=day, hour=k / 2) for k in range(30)]
        for back in range(1, offset + 2):
            past = day_of(offset - back)
            rows += [
                event(f"late{offset}{back}", day=past, event_id=f"e{offset - back}"),
                event("u1", day=past, hour=0.5),
            ]
        if corrected:
            rows = [row | {"value": 2.0} for row in rows[5:]]
        nights.write("events", day, rows)


def fresh(lakes: Lakes, days: Sequence[dt.date], prepare: Callable[[Nights], None], **rules: Any) -> Nights:
    """The slow twin: everything landed as it is in the end, loaded in the order of the days."""
    nights = lakes(**rules)
    prepare(nights)
    for day in days:
        nights.night(day)
    return nights


@pytest.mark.slow
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_late_events_end_in_the_same_logs_in_every_order_of_nights(lakes: Lakes, order: tuple[int, ...]) -> None:
    nights, rules = lakes(max_late_share=1.0), {"max_late_share": 1.0}
    land_late(nights)
    for n in order:
        nights.run(DAYS[n], DAYS[n], required=DAYS[n])
    assert nights.state() == fresh(lakes, DAYS, land_late, **rules).state()
    assert nights.rows("SELECT count(*) FROM events WHERE landed > day") == [(4,)]


@pytest.mark.slow
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0, 2)], ids=str)
@pytest.mark.parametrize("policy", ["night", "backfill"])
def test_corrected_partitions_end_in_the_logs_that_only_ever_saw_the_correction(
    lakes: Lakes, policy: str, order: tuple[int, ...]
) -> None:
    nights = lakes(late_events=policy)
    land_late(nights)
    nights.run(DAYS[0], DAYS[-1])
    land_late(nights, corrected=True)
    for n in order:
        nights.night(DAYS[n])
    twin = fresh(lakes, DAYS, lambda other: land_late(other, corrected=True), late_events=policy)
    assert nights.state() == twin.state()


@pytest.mark.slow
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=str)
def test_late_events_that_were_backfilled_end_in_the_logs_of_nights_that_took_them(
    lakes: Lakes, order: tuple[int, ...]
) -> None:
    nights = lakes(late_events="backfill")
    land_late(nights)
    nights.run(DAYS[0], DAYS[-1])
    assert nights.rows("SELECT count(*) FROM events WHERE landed > day") == [(0,)]
    for n in order:
        nights.run(DAYS[n], DAYS[n], reload=True)
    nights.run(day_of(-3), DAYS[0], reload=True)
    assert nights.rows("SELECT count(*) FROM events WHERE landed > day") == [(4,)]
    assert nights.state() == fresh(lakes, DAYS, land_late).state()


def test_only_the_days_of_the_backfill_take_up_what_waits_for_them(lakes: Lakes) -> None:
    nights = lakes(late_events="backfill")
    rows = [event("a", day=day_of(-1)), event("b", day=day_of(-2)), *[event(f"u{k}") for k in range(50)]]
    nights.write("events", day_of(0), rows)
    ingested = nights.night(day_of(0))
    ingested.require(day_of(0))
    assert ingested.reasons == {"late_event": 2}
    nights.run(day_of(-1), day_of(-1), reload=True)
    assert nights.rows("SELECT day, user_id FROM events WHERE landed > day") == [(day_of(-1), "a")]
    assert nights.rows("SELECT reasons FROM quarantine") == [(["late_event"],)]


def test_what_was_taken_up_survives_that_its_partition_is_loaded_again(lakes: Lakes) -> None:
    nights = lakes(late_events="backfill")
    rows = [event("a", day=day_of(-1)), *[event(f"u{k}") for k in range(50)]]
    nights.write("events", day_of(0), rows)
    nights.night(day_of(0))
    nights.run(day_of(-1), day_of(-1), reload=True)
    before = nights.state()
    nights.run(day_of(0), day_of(0), reload=True)
    assert nights.state() == before
    nights.write("events", day_of(0), [*rows, event("b", day=day_of(-1))])
    nights.night(day_of(0))
    assert nights.rows("SELECT user_id FROM events WHERE landed > day ORDER BY ALL") == [("a",), ("b",)]


# Days judged beside those before them, which may land later.

SIZES = {
    "too many at the end": [20, 20, 20, 200],
    "too few in the middle": [20, 20, 2, 20, 20],
    "many, but most of them repeats": [20, 20, 20, 160],
    "no rows at all": [20, 0, 20, 50],
}


def land_sizes(nights: Nights, sizes: Sequence[int]) -> None:
    for offset, size in enumerate(sizes):
        rows = [event(f"u{k}", day=day_of(offset)) for k in range(size)]
        nights.write("events", day_of(offset), rows if size != 160 else rows[:60] + rows[:60] + rows[:40])


@pytest.mark.slow
@pytest.mark.parametrize("sizes", SIZES.values(), ids=list(SIZES))
def test_a_day_is_judged_again_when_days_before_it_land_later(lakes: Lakes, sizes: list[int]) -> None:
    rules: dict[str, Any] = {"min_trailing_days": 2, "trailing_days": 4, "max_duplicate_share": 1.0, "late_days": 0}
    days = [day_of(offset) for offset in range(len(sizes))]
    twin = fresh(lakes, days, lambda nights: land_sizes(nights, sizes), **rules).state()
    assert sum(is_refused for _, _, is_refused, *_ in twin["partitions"]) == 1
    for order in (days[::-1], [days[-1], *days[:-1]], days[1::2] + days[::2]):
        nights = lakes(**rules)
        land_sizes(nights, sizes)
        for day in order:
            nights.run(day, day)
        assert nights.state() == twin


@pytest.mark.slow
def test_a_pass_over_everything_and_nights_one_by_one_end_in_the_same_logs(lakes: Lakes) -> None:
    rules: dict[str, Any] = {"min_trailing_days": 2, "min_drift_rows": 10}
    nights = lakes(**rules)
    land_late(nights)
    nights.run(day_of(-9), DAYS[-1])
    assert nights.state() == fresh(lakes, DAYS, land_late, **rules).state()
