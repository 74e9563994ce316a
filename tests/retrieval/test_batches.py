"""Each step of the towers is a day's choices with what was known as that day began, and nothing of the day itself."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from retrieval.batches import Batches
from retrieval.domain import DAY, Dataset, Histories
from retrieval.retrievers.two_tower import TwoTowerConfig
from retrieval.synthetic import planted_world


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=150)
    return world.dataset(world.days[-1])


def batches_of(dataset: Dataset, **settings: Any) -> Batches:
    config = TwoTowerConfig.model_validate({"dim": 12, "uniform_negatives": 64, "min_history": 1} | settings)
    return Batches(dataset, config, None, np.random.default_rng(11))


def test_pairs_are_a_days_choices_of_users_with_enough_behind_them(dataset: Dataset) -> None:
    for pairs, least in (("new", 1), ("all", 1), ("new", 15)):
        batches = batches_of(dataset, pairs=pairs, min_history=least)
        for day in (dataset.day - 20, dataset.day - 5, dataset.day - 1):
            found = pairs_of(batches, day)
            assert found == pairs_by_loop(dataset.histories, day, pairs == "new", least)


def test_pairs_are_told_apart_by_user_however_many_there_are(dataset: Dataset) -> None:
    """The same users amid nine million others, on both sides of 2 ** 23, above which a user and a time fill 64 bits."""
    first, n_after = (1 << 23) - len(dataset.people) // 2, 500_000
    histories = dataset.histories
    before, after = np.zeros(first, np.int64), np.full(n_after, histories.n_events)
    many = dataclasses.replace(histories, offsets=np.concatenate([before, histories.offsets, after]))
    day = dataset.day - 2
    found = pairs_of(batches_of(dataclasses.replace(dataset, histories=many), min_history=15), day)
    wanted = [(first + user, item) for user, item in pairs_by_loop(histories, day, True, 15)]
    assert found == wanted
    assert wanted[0][0] < 1 << 23 <= wanted[-1][0]


def test_a_large_day_is_learnt_in_steps_that_hold_every_pair_once_and_each_user_whole(dataset: Dataset) -> None:
    day = dataset.day - 1
    steps = batches_of(dataset, max_pairs=40).pairs(day)
    assert len(steps) > 2
    assert sorted(pairs_of(batches_of(dataset, max_pairs=40), day)) == sorted(pairs_of(batches_of(dataset), day))
    users = [set(asking.tolist()) for asking, _ in steps]
    assert sum(map(len, users)) == len(set.union(*users))


def pairs_of(batches: Batches, day: int) -> list[tuple[int, int]]:
    return [pair for users, items in batches.pairs(day) for pair in zip(users.tolist(), items.tolist(), strict=True)]


def pairs_by_loop(histories: Histories, day: int, is_new: bool, least: int) -> list[tuple[int, int]]:
    wanted = []
    for user in range(len(histories)):
        before: list[int] = []
        met: set[int] = set()
        for event in range(histories.offsets[user], histories.offsets[user + 1]):
            item, time = int(histories.items[event]), int(histories.times[event])
            if histories.weights[event] <= 0:
                continue
            if time < day * DAY:
                before.append(item)
            elif time < (day + 1) * DAY and len(before) >= least and not (is_new and item in met):
                wanted.append((user, item))
            met.add(item)
    return wanted


def test_a_day_is_learnt_from_without_its_own_events_in_the_histories(dataset: Dataset) -> None:
    batches, day = batches_of(dataset), dataset.day - 3
    histories = batches.histories_before(np.arange(len(dataset.people)), day)
    assert histories.n_events > 0
    assert histories.times.max() < day * DAY


def test_what_was_chosen_before_is_no_negative(dataset: Dataset) -> None:
    batches, day = batches_of(dataset), dataset.day - 3
    histories = batches.histories_before(np.arange(20), day)
    sampled = np.array([0, 3, 4, 9, 30, 77])
    rows, places = batches.seen(histories, sampled)
    seen = histories.seen()
    wanted = {(row, item) for row in range(20) for item in sampled.tolist() if item in seen.row(row)}
    assert {(row, int(sampled[place])) for row, place in zip(rows.tolist(), places.tolist(), strict=True)} == wanted
