"""Catalogues that shrink, are corrected or come late: the same logs whichever way they are loaded."""

from collections.abc import Callable

import pytest
from nights import Nights
from rows import day_of, event, item

from tasks.ingest import Ingested

Lakes = Callable[..., Nights]
DAYS = [day_of(n) for n in range(4)]


def land(nights: Nights, sizes: list[int], ending: float = 0.0) -> None:
    for day, size in zip(DAYS, sizes, strict=False):
        ended = [item(f"i{k}", available_until=day_of(-40)) for k in range(int(ending * size))]
        nights.write("items", day, [*ended, *[item(f"i{k}") for k in range(len(ended), size)]])
        nights.write("events", day, [event(f"u{k}", f"i{k % size}", day, hour=k % 24) for k in range(60)])


@pytest.mark.parametrize("catalogue", ["whole", "changes"])
@pytest.mark.parametrize("sizes", [[100, 10, 10, 100], [100, 95, 0, 90], [10, 100, 20, 18]])
def test_catalogues_judged_in_one_pass_or_night_by_night_end_in_the_same_logs(
    lakes: Lakes, catalogue: str, sizes: list[int]
) -> None:
    states, refused = [], []
    for together in (True, False):
        nights = lakes(catalogue=catalogue, unknown_items="quarantine")
        for day, size in zip(DAYS, sizes, strict=True):
            nights.write("items", day, [item(f"i{k}") for k in range(size)])
            nights.write("events", day, [event(f"u{k}", "i1", day) for k in range(60)])
        if together:
            nights.run(DAYS[0], DAYS[-1])
        for day in DAYS:
            nights.night(day)
        states.append(nights.state())
        refused.append([row[1] for row in states[-1]["partitions"] if row[0] == "items" and row[2]])
    assert states[0] == states[1]
    if catalogue == "whole":
        assert refused[0]


def test_an_empty_whole_catalogue_is_refused(lakes: Lakes) -> None:
    nights = lakes(catalogue="whole")
    land(nights, [50])
    nights.night(DAYS[0])
    nights.write("items", DAYS[1], [])
    nights.write("events", DAYS[1], [event(day=DAYS[1])])
    done = nights.night(DAYS[1])
    assert "catalogue_ratio" in done.refused[DAYS[1]]


def test_a_corrected_catalogue_judges_its_night_s_events_again(lakes: Lakes) -> None:
    nights = lakes(max_refused_share=1.0)
    nights.write("items", DAYS[0], [item(f"i{k}") for k in range(50)])
    nights.write("events", DAYS[0], [event(f"u{k}", f"i{k}", DAYS[0]) for k in range(50)])
    nights.night(DAYS[0])
    nights.write("items", DAYS[0], [item(f"i{k}") for k in range(45)])
    nights.night(DAYS[0])
    assert nights.held()[DAYS[0]] == 45
    nights.write("items", DAYS[0], [item(f"i{k}") for k in range(50)])
    nights.night(DAYS[0])
    assert nights.held()[DAYS[0]] == 50


def test_a_refused_correction_is_remembered_and_told_until_a_good_one_lands(lakes: Lakes) -> None:
    nights = lakes()
    nights.land(DAYS[0])
    nights.night(DAYS[0])
    nights.land(DAYS[0], faulty=20)
    done: Ingested = nights.night(DAYS[0])
    assert "loaded before stay in the logs" in done.refused[DAYS[0]]
    assert (done.reasons["missing_user"], nights.held()[DAYS[0]]) == (20, 20)
    with nights.read() as logs:
        assert logs.recorded("events", DAYS[0])[0].refused_correction
    nights.land(DAYS[0], n=30)
    assert nights.night(DAYS[0]).refused == {}
    with nights.read() as logs:
        assert logs.recorded("events", DAYS[0])[0].refused_correction is None
