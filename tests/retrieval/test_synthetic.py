"""The planted world has what was planted, and only that."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from retrieval.dataset import EPOCH
from retrieval.schema import CONTRACTS
from retrieval.synthetic import World, planted_world


@pytest.fixture(scope="module")
def world() -> World:
    return planted_world()


def rows(column: pa.ChunkedArray) -> np.ndarray:
    """`u00017` and `i00017` as 17."""
    return np.array([int(id_[1:]) for id_ in column.to_pylist()])


def test_the_same_seed_gives_the_same_world_and_another_seed_another(world: World) -> None:
    again, other = planted_world(), planted_world(seed=18)
    assert again.log.equals(world.log) and again.items.equals(world.items) and again.users.equals(world.users)
    assert not other.log.equals(world.log)


def test_tables_are_in_the_columns_of_the_landing_contract(world: World) -> None:
    for kind, table in (("events", world.log), ("items", world.items), ("users", world.users)):
        contract = CONTRACTS[kind]  # type: ignore[index]
        assert set(contract.required) <= set(table.column_names)
        for name in table.column_names:
            assert table.schema.field(name).type == contract.arrow.field(name).type


def test_each_event_is_in_the_partition_of_its_own_day(world: World) -> None:
    parts = [world.events(day) for day in world.days]
    assert sum(len(part) for part in parts) == len(world.log)
    for day, part in zip(world.days, parts, strict=True):
        assert {time.astimezone(dt.UTC).date() for time in part["occurred_at"].to_pylist()} == {day}


def test_groups_choose_from_their_own_topic_and_popularity_is_skewed(world: World) -> None:
    own = world.topic_of[rows(world.log["item_id"])] == world.group_of[rows(world.log["user_id"])]
    assert own.mean() == pytest.approx(0.9, abs=0.02)
    counts = np.sort(np.bincount(rows(world.log["item_id"]), minlength=len(world.items)))
    assert counts[-12:].sum() > 0.4 * counts.sum(), "a tenth of the items has two fifths of the events"
    assert np.mean(world.group_of) < 0.4, "the second group is the smaller one"


def test_fresh_items_land_on_the_last_day_and_were_never_chosen(world: World) -> None:
    fresh = world.landed_items(world.days[-1])["item_id"]
    assert len(fresh) == 4
    assert not pc.any(pc.is_in(world.log["item_id"], fresh.combine_chunks())).as_py()
    assert len(world.landed_items(world.days[0])) + 4 == len(world.items)
    assert len(world.catalogue(world.days[-2])) + 4 == len(world.catalogue(world.days[-1]))


def test_usual_store_is_the_most_frequent_one_before_the_day(world: World) -> None:
    day = world.days[5]
    visits: dict[str, list[str]] = {}
    for event in world.log.to_pylist():
        if event["occurred_at"].date() < day:
            visits.setdefault(event["user_id"], []).append(dict(event["context"])["store"])
    for user in world.people(day).to_pylist():
        mine = visits.get(user["user_id"], [])
        wanted = [("store", max(sorted(set(mine), reverse=True), key=mine.count))] if mine else []
        assert user["context"] == wanted


def test_times_are_seconds_of_the_days_asked_for_in_the_order_of_the_logs(world: World) -> None:
    table = world.interactions(world.days[2], world.days[3])
    days = {EPOCH + dt.timedelta(days=time // 86_400) for time in table["time"].to_pylist()}
    assert days == set(world.days[2:4])
    keys = list(zip(table["user_id"].to_pylist(), table["time"].to_pylist(), table["item_id"].to_pylist(), strict=True))
    assert keys == sorted(keys)


def test_more_groups_than_topics_are_refused() -> None:
    with pytest.raises(ValueError, match="5 groups, but there are 4 topics"):
        planted_world(n_groups=5)


def test_fresh_items_land_on_the_days_asked_for_and_are_chosen_from_the_next_day_on() -> None:
    world = planted_world(n_items=60, n_fresh=6, n_days=12, landings=(4, 7), events_per_user_day=6.0)
    for index in (4, 7):
        fresh = world.landed_items(world.days[index])["item_id"].to_pylist()
        assert len(fresh) == 6
        chosen = [event for event in world.log.to_pylist() if event["item_id"] in fresh]
        assert min(event["occurred_at"].date() for event in chosen) == world.days[index + 1]
        assert {event["item_id"] for event in chosen} == set(fresh)
    assert len(world.landed_items(world.days[0])) == 48
