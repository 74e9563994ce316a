"""As of a day: nothing later is seen."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
from rows import DAY, EARLIER, at, day_of, event, item

from retrieval.rules import Rules


def test_the_catalogue_of_a_past_day_never_sees_a_later_version(place: Any) -> None:
    old = {"topics": ["a"], "attributes": {"k": "old"}, "available_until": dt.date(2026, 4, 1), "description": "old"}
    new = {"topics": ["b"], "attributes": {"k": "new"}, "available_until": None, "description": "new"}
    place.land("items", EARLIER, [item("i1", title="old", **old)])
    place.land("items", DAY, [item("i1", title="new", **new), item("i2")])
    place.load(EARLIER, DAY)
    with place.opened() as logs:
        assert logs.catalogue(EARLIER - dt.timedelta(1), Rules()).num_rows == 0
        (then,) = logs.catalogue(EARLIER, Rules()).to_pylist()
        now, second = logs.catalogue(DAY, Rules()).to_pylist()
    assert (then["title"], then["topics"], then["attributes"], then["description"]) == (
        "old",
        ["a"],
        [("k", "old")],
        "old",
    )
    assert then["available_until"] == dt.date(2026, 4, 1)
    assert (now["title"], now["topics"], now["attributes"], now["description"]) == ("new", ["b"], [("k", "new")], "new")
    assert now["available_until"] is None
    assert (then["first_seen"], now["first_seen"], second["first_seen"]) == (EARLIER, EARLIER, DAY)


def test_a_version_without_attributes_has_none_rather_than_the_former_ones(place: Any) -> None:
    place.land("items", EARLIER, [item("i1", attributes={"k": "v"}, topics=["a"], description="d")])
    place.land("items", DAY, [item("i1")])
    place.load(EARLIER, DAY)
    with place.opened() as logs:
        (now,) = logs.catalogue(DAY, Rules()).to_pylist()
    assert (now["attributes"], now["topics"], now["description"]) == ([], [], "")


def test_people_are_those_met_up_to_the_day_with_the_attributes_they_had_then(stocked: Any) -> None:
    stocked.land("users", EARLIER, [{"user_id": "u1", "attributes": {"age": "30"}}])
    stocked.land("users", DAY, [{"user_id": "u1", "attributes": {"age": "31"}}, {"user_id": "u2"}])
    stocked.land("events", DAY, [event("u3")])
    stocked.load(EARLIER, DAY)
    with stocked.opened() as logs:
        then = {row["user_id"]: row["attributes"] for row in logs.people(EARLIER, []).to_pylist()}
        now = {row["user_id"]: row["attributes"] for row in logs.people(DAY, []).to_pylist()}
    assert then == {"u1": [("age", "30")]}
    assert now == {"u1": [("age", "31")], "u2": [], "u3": []}


def test_the_usual_context_is_read_off_earlier_events_alone(stocked: Any) -> None:
    stocked.land("events", EARLIER, [event(day=EARLIER, context={"store": "old", "odd key.$": "x"})])
    stocked.land("events", DAY, [event(hour=h, context={"store": "new"}) for h in range(5)])
    stocked.load(EARLIER, DAY)
    with stocked.opened() as logs:
        contexts = [
            logs.people(day, ["store", "odd key.$", "absent"]).to_pylist()[0]["context"]
            for day in (EARLIER, DAY, DAY + dt.timedelta(1))
        ]
    odd = ("odd key.$", "x")
    assert contexts == [[], [odd, ("store", "old")], [odd, ("store", "new")]]


def test_a_tie_of_usual_contexts_is_broken_the_same_way_every_time(places: Callable[[], Any]) -> None:
    found = set()
    for stores in (["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]):
        place = places()
        place.land("items", EARLIER, [item("i1")])
        rows = [event(day=EARLIER, hour=n, context={"store": store}) for n, store in enumerate(stores)]
        place.land("events", EARLIER, rows)
        place.load(EARLIER)
        with place.opened() as logs:
            found.add(str(logs.people(DAY, ["store"]).to_pylist()))
    assert len(found) == 1


def test_interactions_come_in_one_order_however_the_rows_landed(places: Callable[[], Any]) -> None:
    rows = [event(f"u{k % 2}", f"i{1 + k % 3 % 2}", value=float(k % 4), event_id=f"e{k}") for k in range(12)]
    tables = []
    for seed in range(3):
        place = places()
        place.land("items", EARLIER, [item("i1"), item("i2")])
        place.land("events", DAY, [rows[k] for k in np.random.default_rng(seed).permutation(12)])
        place.load(EARLIER, DAY)
        with place.opened() as logs:
            tables.append(logs.interactions(DAY, DAY))
    assert tables[0].num_rows == 12
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


def test_the_time_of_an_interaction_never_rounds_into_the_next_day(stocked: Any) -> None:
    stocked.land("events", DAY, [event() | {"occurred_at": at(DAY, 24) - dt.timedelta(microseconds=1)}])
    stocked.load(EARLIER, DAY)
    with stocked.opened() as logs:
        (seconds,) = logs.interactions(DAY, DAY)["time"].to_pylist()
    assert seconds == int(at(DAY, 24).timestamp()) - 1


def test_interactions_end_where_the_span_ends(stocked: Any) -> None:
    stocked.land("events", EARLIER, [event(day=EARLIER)])
    stocked.land("events", DAY, [event()])
    stocked.load(EARLIER, DAY)
    with stocked.opened() as logs:
        assert logs.interactions(EARLIER, EARLIER)["time"].to_pylist() == [int(at(EARLIER).timestamp())]
        assert logs.interactions(EARLIER, DAY).num_rows == 2


def catalogue(place: Any, day: dt.date, **rules: Any) -> dict[str, dict[str, Any]]:
    with place.opened() as logs:
        return {row["item_id"]: row for row in logs.catalogue(day, Rules(**rules)).to_pylist()}


def test_of_whole_catalogues_only_the_newest_counts_and_what_it_lacks_is_gone(place: Any) -> None:
    for offset, ids in ((0, ("i1", "i2")), (1, ("i2", "i3")), (2, ("i1", "i3"))):
        place.land("items", day_of(offset), [item(id_, title=f"{id_} as of {offset}") for id_ in ids])
    place.load(*map(day_of, range(3)))
    whole = [set(catalogue(place, day_of(offset), catalogue="whole")) for offset in range(-1, 4)]
    assert whole == [set(), {"i1", "i2"}, {"i2", "i3"}, {"i1", "i3"}, {"i1", "i3"}]
    assert [len(catalogue(place, day_of(offset))) for offset in range(-1, 4)] == [0, 2, 3, 3, 3]
    assert catalogue(place, day_of(2), catalogue="whole")["i1"]["first_seen"] == DAY


def test_an_event_may_name_only_what_the_whole_catalogue_of_its_day_holds(place: Any) -> None:
    rules = Rules(catalogue="whole", late_days=1)
    for offset, ids in ((0, ("i1",)), (1, ("i2",)), (3, ("i1",))):
        place.land("items", day_of(offset), [item(id_) for id_ in ids])
    for offset in range(4):
        rows = [event(f"{id_} of {offset}", id_, day_of(offset)) for id_ in ("i1", "i2")]
        place.land("events", day_of(offset), rows)
    place.land("events", day_of(1), [event("late i1", "i1", DAY), event("late i2", "i2", DAY)], "late.parquet")
    place.load(*map(day_of, range(4)), rules=rules)
    held = {user for (user,) in place.rows("SELECT user_id FROM events")}
    assert held == {"i1 of 0", "i2 of 1", "i2 of 2", "i1 of 3", "late i1"}


def test_an_item_no_catalogue_holds_is_a_stub_from_its_first_event_until_it_is_listed(place: Any) -> None:
    rules = Rules(unknown_items="stub", late_days=0)
    place.land("items", EARLIER, [item("i1")])
    place.land("events", DAY, [event(item="ghost"), event(item="i1")])
    place.land("items", day_of(2), [item("ghost", topics=["t"])])
    place.load(EARLIER, *map(day_of, range(3)), rules=rules)
    assert place.quarantine() == []
    assert set(catalogue(place, EARLIER, unknown_items="stub")) == {"i1"}
    stub = catalogue(place, DAY, unknown_items="stub")["ghost"]
    assert (stub["title"], stub["topics"], stub["first_seen"]) == ("ghost", [], DAY)
    assert catalogue(place, day_of(2), unknown_items="stub")["ghost"]["title"] == "title of ghost"
    assert set(catalogue(place, DAY)) == {"i1"}


def test_late_events_are_read_on_their_own_day(stocked: Any) -> None:
    stocked.land("events", EARLIER, [event("u1", day=EARLIER)])
    stocked.land("events", DAY, [event("u2"), event("u3", day=EARLIER, context={"store": "7"})])
    stocked.load(EARLIER, DAY, rules=Rules())
    with stocked.opened() as logs:
        assert logs.interactions(EARLIER, EARLIER)["user_id"].to_pylist() == ["u1", "u3"]
        assert logs.interactions(DAY, DAY)["user_id"].to_pylist() == ["u2"]
        assert [row["user_id"] for row in logs.people(EARLIER, []).to_pylist()] == ["u1", "u3"]
        contexts = {row["user_id"]: row["context"] for row in logs.people(DAY, ["store"]).to_pylist()}
    assert contexts["u3"] == [("store", "7")]
