"""Draws belong to a pair, a day and a seed, spread as they should be, and know nothing of each other."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from retrieval.domain import UNKNOWN, Queries
from retrieval.queries import ask, ask_about
from retrieval.streams import GREATEST, exponentials, item_keys, mixed, query_keys
from retrieval.synthetic import planted_world


@pytest.fixture(scope="module")
def queries() -> Queries:
    world = planted_world(n_users=40, n_items=20, n_days=5)
    return ask(world.dataset(world.days[-1]), np.arange(40))


def test_mixing_is_splitmix() -> None:
    """The first numbers of SplitMix64 from seed 0, as published with it."""
    golden = np.array([0x9E3779B97F4A7C15], np.uint64)
    assert mixed(golden).tolist() == [0xE220A8397B1DCDAF]
    assert mixed(golden + golden).tolist() == [0x6E789E6AA1B965F4]


def test_draws_are_exponential_over_users_and_over_items() -> None:
    users, items = mixed(np.arange(300, dtype=np.uint64)), item_keys(np.arange(300))
    draws = exponentials(users, items)
    assert draws.min() >= 0 and draws.max() <= GREATEST + 1e-3
    for sample in (draws.ravel(), draws[7], draws[:, 7]):
        assert scipy.stats.kstest(sample, "expon").pvalue > 1e-3
    flat = np.corrcoef(draws[:-1].ravel(), draws[1:].ravel())[0, 1], np.corrcoef(draws[0], draws[1])[0, 1]
    assert abs(flat[0]) < 0.02 and abs(flat[1]) < 0.2


def test_a_users_key_does_not_depend_on_who_else_asks(queries: Queries) -> None:
    alone = np.concatenate([query_keys(queries.take(np.array([row])), 5) for row in range(len(queries))])
    np.testing.assert_array_equal(alone, query_keys(queries, 5))
    assert len(np.unique(alone)) == len(alone)


def test_another_day_and_another_seed_are_another_stream(queries: Queries) -> None:
    first = query_keys(queries, 5)
    assert not (query_keys(replace(queries, day=queries.day + 1), 5) == first).any()
    assert not (query_keys(queries, 6) == first).any()


def test_unknown_users_are_told_apart_by_what_they_chose() -> None:
    world = planted_world(n_users=5, n_items=20, n_days=5)
    asked = ask_about(world.dataset(world.days[-1]), np.array([3, 4, 3]))
    assert (asked.users == UNKNOWN).all()
    keys = query_keys(asked, 1)
    assert keys[0] == keys[2] != keys[1]
