"""The metrics that the rules judge: known answers, and the drift beside a slow twin in numpy."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from rows import DAY, EARLIER, day_of, event, item

from retrieval.rules import Action, Rules
from storage.logs import Staged, open_logs
from storage.logs.judging import Metrics


def test_the_shares_of_a_day_are_those_of_its_rows(stocked: Any) -> None:
    rows = [event(f"u{k}", hour=k) for k in range(8)]
    rows += [rows[0], event(""), event("", ""), event(item="ghost"), event(day=day_of(-30)), event(day=day_of(1))]
    rows += [
        event() | {"action": "fly"},
        event("u1", day=EARLIER),
        event(value=-1.0),
        event(value="x"),
        event(position=0),
    ]
    rows += [event(context="{")]
    stocked.land("events", DAY, rows, "a.csv")
    stocked.load(EARLIER)
    found = stocked.metrics(DAY, rules=Rules())[DAY]
    shares = {name: round((found[name] or 0.0) * 20, 6) for name in found if name.endswith("_share")}
    assert found["n_rows"] == 20
    assert shares == {
        "null_share": 2,
        "unknown_action_share": 1,
        "outside_day_share": 2,
        "bad_value_share": 3,
        "malformed_context_share": 1,
        "unknown_item_share": 1,
        "duplicate_share": 1,
        "refused_share": 10,
        "late_share": 1,
        "new_user_share": 0,
        "new_item_share": 0,
    }
    assert found["quiet_hours"] == pytest.approx(12)


def test_late_events_that_wait_are_late_and_not_refused(stocked: Any) -> None:
    stocked.land("events", DAY, [event("u1"), event("u2", day=EARLIER), event("", day=EARLIER), event("")])
    stocked.load(EARLIER)
    found = stocked.metrics(DAY, rules=Rules(late_events="backfill"))[DAY]
    assert (found["refused_share"], found["late_share"]) == (0.5, 0.5)


def test_the_hours_of_silence_count_from_the_last_event_of_the_day_itself(stocked: Any) -> None:
    stocked.land(
        "events", DAY, [event(hour=6), event("u2", hour=18.5), event("u3", day=EARLIER, hour=23), event("", hour=30)]
    )
    stocked.load(EARLIER)
    assert stocked.metrics(DAY, rules=Rules())[DAY]["quiet_hours"] == pytest.approx(5.5)


def test_a_day_of_no_rows_has_metrics_too(stocked: Any) -> None:
    stocked.load(EARLIER)
    stocked.land("events", DAY, [])
    found = stocked.metrics(DAY)[DAY]
    assert found.pop("n_rows") == 0
    assert set(found.values()) == {None}


def land_sizes(place: Any, sizes: Iterable[int], first: int = 0) -> list[dt.date]:
    days = []
    for n, size in enumerate(sizes):
        days.append(day_of(first + n))
        place.land("events", days[-1], [event(f"u{k}", day=days[-1]) for k in range(size)])
    return days


def test_volume_is_the_ratio_to_the_median_of_the_trailing_days(stocked: Any) -> None:
    days = land_sizes(stocked, [100, 2, 4, 6, 3])
    stocked.load(EARLIER, *days[:4])
    enough, few = (Rules(trailing_days=3, min_trailing_days=n) for n in (3, 4))
    assert stocked.metrics(days[4], rules=enough)[days[4]]["volume_ratio"] == pytest.approx(0.75)
    assert stocked.metrics(days[4], rules=few)[days[4]]["volume_ratio"] is None


@pytest.mark.parametrize(("same", "usual"), [(3, 10), (4, 2)])
def test_volume_is_beside_the_same_weekday_once_there_are_enough_of_it(stocked: Any, same: int, usual: int) -> None:
    sizes = [10 if n % 7 == 0 else 2 for n in range(21)]
    days = land_sizes(stocked, [*sizes, 5], first=-21)
    stocked.land("items", days[0], [item("i1")])
    stocked.load(*days[:-1])
    found = stocked.metrics(DAY, rules=Rules(min_same_weekdays=same))[DAY]
    assert found["volume_ratio"] == pytest.approx(5 / usual)


def test_an_empty_day_counts_among_the_trailing_days_in_the_logs_and_beside_it(places: Callable[[], Any]) -> None:
    ratios = []
    for n_loaded in (3, 0):
        place = places()
        place.land("items", EARLIER, [item("i1")])
        days = land_sizes(place, [4, 0, 8, 2])
        place.load(EARLIER, *days[:n_loaded])
        found = place.metrics(*days[n_loaded:], rules=Rules(min_trailing_days=3))
        ratios.append(found[days[3]]["volume_ratio"])
    assert ratios == [0.5, 0.5]


def test_a_loaded_day_is_measured_again_when_a_day_before_it_lands(stocked: Any) -> None:
    days = land_sizes(stocked, [10, 20, 40, 20])
    stocked.load(EARLIER, days[0], days[2], days[3])
    rules = Rules(trailing_days=2, min_trailing_days=2)
    found = stocked.metrics(days[1], rules=rules)
    assert {day: found[day]["volume_ratio"] for day in found} == {days[1]: None, days[2]: 40 / 15, days[3]: 20 / 30}


def test_rows_that_repeat_or_are_kept_give_a_partition_the_metrics_it_landed_with(stocked: Any) -> None:
    rows = [event(f"u{k}", hour=k) for k in range(5)]
    rows += [*rows[:3], event(""), event(item="ghost", value="nan"), event("u1", day=EARLIER), event("u1", day=EARLIER)]
    stocked.land("events", DAY, rows, "a.csv")
    stocked.load(EARLIER, rules=Rules())
    landed = stocked.metrics(DAY, rules=Rules())[DAY]
    for accept in (True, False):
        stocked.load(DAY, rules=Rules(), kinds=("events",), accept=accept)
        assert kept_metrics(stocked, Rules())[DAY] == landed
    assert landed["duplicate_share"] == pytest.approx(4 / 12)


def kept_metrics(place: Any, rules: Rules) -> dict[dt.date, Metrics]:
    with open_logs(place.logs) as logs, logs.transaction():
        staged = Staged.kept(logs.connection, [entry.partition for entry in logs.recorded("events")])
        staged.judge_catalogue()
        staged.judge_events({"buy": Action(sign="+")}, rules, [])
        return staged.day_metrics(rules)


# Mixes beside those of the trailing days.


def psi(now: Counter[str], before: Counter[str]) -> float:
    """Population stability index, half an event more in every bucket."""
    buckets = sorted(now | before)
    p, q = (np.array([side[b] + 0.5 for b in buckets]) for side in (now, before))
    p, q = p / p.sum(), q / q.sum()
    return float(((p - q) * np.log(p / q)).sum())


def js(now: Counter[str], before: Counter[str]) -> float:
    """Jensen-Shannon divergence in bits."""
    buckets = sorted(now | before)
    p, q = (np.array([side[b] for b in buckets], float) / side.total() for side in (now, before))
    middle = (p + q) / 2

    def bits(side: np.ndarray[Any, Any]) -> float:
        there = side > 0
        return float((side[there] * np.log2(side[there] / middle[there])).sum())

    return (bits(p) + bits(q)) / 2


def bucket(value: float | None) -> str:
    if value is None:
        return "none"
    return "0" if value == 0 else f"2^{int(np.floor(np.log2(value)))}"


@pytest.mark.parametrize("seed", range(3))
def test_drift_is_what_the_definitions_say(place: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    topics = {f"i{k}": [["a"], ["b", "a"], [], None][k % 4] for k in range(8)}
    place.land("items", day_of(-9), [item(id_, topics=topic) for id_, topic in topics.items()])
    mixes: dict[str, list[Counter[str]]] = {name: [Counter(), Counter()] for name in ("action", "topic", "value")}
    for offset in range(-3, 1):
        rows = []
        for k in range(40):
            id_, action = f"i{rng.integers(8) if offset else rng.integers(3)}", str(rng.choice(["buy", "rate"]))
            value = [None, 0.0, 0.3, float(rng.integers(1, 99))][rng.integers(4)]
            rows.append(event(f"u{k}", id_, day_of(offset)) | {"action": action, "value": value})
            if offset >= -2:
                buckets = (action, (topics[id_] or ["none"])[0], bucket(value))
                for side, name in zip(mixes.values(), buckets, strict=True):
                    side[offset < 0][name] += 1
        place.land("events", day_of(offset), rows)
    place.load(*map(day_of, (-9, -3, -2, -1)))
    rules = Rules(trailing_days=2, min_trailing_days=2, min_drift_rows=40)
    found = place.metrics(DAY, rules=rules)[DAY]
    for name, (now, before) in mixes.items():
        assert found[f"{name}_psi"] == pytest.approx(psi(now, before))
        assert found[f"{name}_js"] == pytest.approx(js(now, before))
    few = place.metrics(DAY, rules=Rules(trailing_days=2, min_trailing_days=2, min_drift_rows=41))[DAY]
    assert few["action_psi"] is few["value_js"] is None


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("stub", [False, True])
def test_a_topic_that_an_item_gets_later_is_not_seen_on_a_past_day(place: Any, stub: bool, together: bool) -> None:
    rules = Rules(late_days=0, unknown_items="stub")
    if not stub:
        place.land("items", EARLIER, [item("i1")])
    place.land("items", day_of(1), [item("i1", topics=["late"])])
    place.land("events", DAY, [event()])
    place.load_parts(
        [("items", EARLIER), *[("items", day_of(1)) for _ in range(together)], ("events", DAY)], rules=rules
    )
    assert place.rows("SELECT bucket FROM profiles WHERE dimension = 'topic'") == [("none",)]


def test_a_day_is_as_new_as_its_users_and_items_were_that_day(stocked: Any) -> None:
    stocked.land("items", DAY, [item("i9"), item("i1")])
    stocked.land("events", EARLIER, [event("u1", day=EARLIER)])
    stocked.land("events", DAY, [event("u1"), event("u2", "i9"), event("u3", "i9"), event("u3")])
    stocked.load(EARLIER)
    stocked.load(DAY, kinds=("items",))
    rules = Rules(min_trailing_days=1)
    found = stocked.metrics(DAY, rules=rules)[DAY]
    assert (found["new_user_share"], found["new_item_share"]) == (pytest.approx(2 / 3), 0.5)
    assert stocked.metrics(DAY, rules=Rules(min_trailing_days=2))[DAY]["new_user_share"] is None


# The catalogue beside itself.


def ratios(place: Any, *days: dt.date, **rules: Any) -> dict[dt.date, float | None]:
    with open_logs(place.logs) as logs, place.staged(logs, [("items", day) for day in days]) as staged:
        found: dict[dt.date, float | None] = staged.catalogue_ratios(Rules(**rules))
        return found


@pytest.mark.parametrize("n_loaded", [0, 1, 2, 3])
def test_a_whole_catalogue_is_beside_the_one_before_it(place: Any, n_loaded: int) -> None:
    days = [day_of(offset) for offset in range(3)]
    for day, n in zip(days, (10, 8, 2), strict=True):
        place.land("items", day, [item(f"i{k}") for k in range(n)] + [item("", title="no id")])
    place.load(*days[:n_loaded])
    found = ratios(place, *days[n_loaded:], catalogue="whole")
    assert found == {day: ratio for day, ratio in zip(days, (None, 0.8, 0.25), strict=True) if day in days[n_loaded:]}


def test_changes_shrink_the_catalogue_only_by_what_they_end(place: Any) -> None:
    place.land("items", EARLIER, [item(f"i{k}") for k in range(10)])
    place.land("items", DAY, [item("i10"), item("i0", available_until=EARLIER), item("i1", available_until=EARLIER)])
    place.load(EARLIER)
    assert ratios(place, DAY) == {DAY: 0.9}


def test_a_corrected_catalogue_is_beside_the_one_it_replaces(place: Any) -> None:
    place.land("items", DAY, [item(f"i{k}") for k in range(10)])
    place.load(DAY)
    place.land("items", DAY, [item(f"i{k}") for k in range(5)])
    assert ratios(place, DAY) == {DAY: 0.5}
