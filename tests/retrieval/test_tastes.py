"""What a history says of its user is what a dict would add up, and saying it leaves the history alone."""

import math

import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from retrieval.domain import DAY, Histories, Ragged
from retrieval.tastes import FORGOTTEN, ItemFeatures, Tastes, read_tastes

N_USERS, TODAY = 3, 200
ITEM_FEATURES = [[0, 2], [0, 3], [1, 2, 4], [], [1]]
FIELDS = np.array([0, 0, 1, 1, 2], np.int32)
PROFILES = [[0, 1], [], [1]]
HALF_LIVES = (40.0, 5.0)
Event = tuple[int, int, float, int]
"""user, item, weight, days before TODAY"""
EVENTS = st.lists(
    st.tuples(st.integers(0, N_USERS - 1), st.integers(0, 4), st.sampled_from([0.25, 1.0, 2.0]), st.integers(1, 60)),
    max_size=25,
)
Bag = dict[int, float]


def ragged(rows: list[list[int]]) -> Ragged:
    owners = np.array([index for index, row in enumerate(rows) for _ in row], np.int64)
    return Ragged.from_owners(owners, np.array([value for row in rows for value in row], np.int64), len(rows))


def histories(events: list[Event]) -> Histories:
    users, items, weights, ages = (
        (np.array(column) for column in zip(*events, strict=True)) if events else [np.zeros(0, int)] * 4
    )
    return Histories.build(users, items, weights, (TODAY - ages) * DAY, N_USERS)


def read(found: Histories) -> Tastes:
    return read_tastes(found, ragged(PROFILES), ItemFeatures.of(ragged(ITEM_FEATURES), FIELDS), 2, TODAY, HALF_LIVES)


def items_by_dict(events: list[Event], user: int, half_life: float) -> Bag:
    bag: Bag = {}
    for owner, item, weight, age in events:
        if owner == user and age <= FORGOTTEN * half_life:
            bag[item] = bag.get(item, 0.0) + weight * 0.5 ** (age / half_life)
    return bag


def features_by_dict(items: Bag) -> Bag:
    bag: Bag = {}
    for item, weight in items.items():
        for feature in ITEM_FEATURES[item]:
            bag[feature] = bag.get(feature, 0.0) + weight
    return bag


def damped_by_dict(bag: Bag, fields: list[int]) -> Bag:
    """Square roots, each field's of length 1."""
    total: Bag = {}
    for entry, weight in bag.items():
        total[fields[entry]] = total.get(fields[entry], 0.0) + weight
    return {entry: math.sqrt(weight) / math.sqrt(total[fields[entry]]) for entry, weight in bag.items()}


def dense(bag: Bag, width: int) -> list[float]:
    return [bag.get(entry, 0.0) for entry in range(width)]


def assert_rows(found: sp.csr_array, wanted: list[list[float]]) -> None:
    np.testing.assert_allclose(found.toarray(), wanted, rtol=1e-4, atol=1e-6)


@given(EVENTS)
def test_tastes_are_what_a_dict_adds_up(events: list[Event]) -> None:
    found, users = read(histories(events)), range(N_USERS)
    by_span = [dense(damped_by_dict(items_by_dict(events, u, h), [0] * 5), 5) for h in HALF_LIVES for u in users]
    assert_rows(found.items, by_span)
    for half_life, features in zip(HALF_LIVES, found.features, strict=True):
        bags = [features_by_dict(items_by_dict(events, user, half_life)) for user in users]
        assert_rows(features, [dense(damped_by_dict(bag, FIELDS.tolist()), 5) for bag in bags])
    for user in users:
        ages = [age for owner, _, _, age in events if owner == user]
        wanted = [math.log1p(len(ages)) / 3 - 1, math.log1p(sum(age <= HALF_LIVES[-1] for age in ages)) / 3 - 1]
        np.testing.assert_allclose(found.counts[user], wanted, rtol=1e-5)


@given(EVENTS)
def test_reading_leaves_histories_profiles_and_features_as_they_were(events: list[Event]) -> None:
    found, profile, features = histories(events), ragged(PROFILES), ragged(ITEM_FEATURES)
    arrays = [
        found.offsets,
        found.items,
        found.weights,
        found.times,
        profile.offsets,
        profile.values,
        features.offsets,
        features.values,
    ]
    copies = [array.copy() for array in arrays]
    read_tastes(found, profile, ItemFeatures.of(features, FIELDS), 2, TODAY, HALF_LIVES)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_histories_may_be_read_only() -> None:
    found = histories([(0, 1, 1.0, 3), (0, 1, 1.0, 2), (2, 4, 0.5, 9)])
    wanted = read(found)
    for array in (found.offsets, found.items, found.weights, found.times):
        array.flags.writeable = False
    assert_rows(read(found).items, wanted.items.toarray().tolist())


def test_profiles_are_the_users_own_features() -> None:
    assert read(histories([])).profile.toarray().tolist() == [[1, 1], [0, 0], [0, 1]]


def test_dislikes_stay_below_zero() -> None:
    found = read(histories([(0, 0, -1.0, 1), (0, 1, 1.0, 1)]))
    row = found.items.toarray()[0]
    np.testing.assert_allclose(row[:2], [-math.sqrt(0.5), math.sqrt(0.5)], rtol=1e-5)


def test_a_longer_gone_event_counts_half_a_half_life_later() -> None:
    found = read(histories([(0, 0, 1.0, 1), (0, 1, 1.0, 41)]))
    row = found.items.toarray()[0]
    assert math.isclose((row[1] / row[0]) ** 2, 0.5, rel_tol=1e-4)


def test_users_without_history_have_empty_bags_and_finite_counts() -> None:
    found = read(histories([]))
    assert found.items.nnz == 0
    assert all(features.nnz == 0 for features in found.features)
    assert np.isfinite(found.counts).all()
