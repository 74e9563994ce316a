"""Which days a backfill does, by how far they are."""

import datetime as dt

import pytest

from retrieval.backlog import DayState, Mode, Plan, Steps, nights_after_loading

EVENTS = frozenset({"events"})
DAYS = [dt.date(2026, 1, n) for n in range(1, 9)]
NOTHING, NEW, UNUSABLE, REFUSED, WAITING, LOADED, RELEASED, TURNED_DOWN = range(8)
STATES = (
    DayState(DAYS[NOTHING]),
    DayState(DAYS[NEW], EVENTS),
    DayState(DAYS[UNUSABLE], EVENTS, was_tried=True),
    DayState(DAYS[REFUSED], EVENTS, EVENTS, is_refused=True),
    DayState(DAYS[WAITING], EVENTS, EVENTS, waits=True, release="w"),
    DayState(DAYS[LOADED], EVENTS, EVENTS),
    DayState(DAYS[RELEASED], EVENTS, EVENTS, release="r"),
    DayState(DAYS[TURNED_DOWN], EVENTS, EVENTS, release="t", is_release_refused=True),
)


def days(*places: int) -> tuple[dt.date, ...]:
    return tuple(DAYS[place] for place in places)


@pytest.mark.parametrize(
    ("mode", "loaded"),
    [
        (Mode.missing, days(NEW, UNUSABLE, WAITING)),
        (Mode.failed, days(UNUSABLE, REFUSED)),
        (Mode.all, days(NEW, UNUSABLE, REFUSED, WAITING, LOADED, RELEASED, TURNED_DOWN)),
    ],
)
def test_a_mode_loads_the_days_that_it_says(mode: Mode, loaded: tuple[dt.date, ...]) -> None:
    assert Plan.of(STATES, mode, Steps.logs) == Plan(loaded, ())


def test_a_day_without_a_release_and_every_day_after_a_loaded_one_lacks_a_night() -> None:
    done = STATES[LOADED:]
    assert Plan.of(done, Mode.missing, Steps.evaluate) == Plan((), days(LOADED))
    later = Plan.of(STATES, Mode.missing, Steps.evaluate)
    assert later.nights == days(NEW, UNUSABLE, WAITING, LOADED, RELEASED, TURNED_DOWN)
    assert later.of_day(DAYS[NEW], Steps.train) == "load, train"
    assert later.of_day(DAYS[REFUSED], Steps.evaluate) == ""


def test_failed_takes_refused_releases_and_what_could_be_loaded_after_all() -> None:
    assert Plan.of(STATES, Mode.failed, Steps.train).nights == days(UNUSABLE, REFUSED, TURNED_DOWN)
    assert nights_after_loading(STATES, days(REFUSED, WAITING), Mode.failed) == days(WAITING, TURNED_DOWN)


def test_a_night_is_run_of_days_in_the_logs_alone() -> None:
    assert nights_after_loading(STATES, (), Mode.all) == days(WAITING, LOADED, RELEASED, TURNED_DOWN)
    assert nights_after_loading(STATES, (), Mode.missing) == days(LOADED)


def test_every_state_has_words_of_its_own() -> None:
    assert len({state.sentence() for state in STATES}) == len(STATES)
