"""Items are drawn by what their rate may be: seldom tried ones more than their mean, the same for a user all day."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from retrieval.domain import DAY, UNKNOWN, Dataset, Histories, Queries, Ragged
from retrieval.queries import ask
from retrieval.retrievers.explore import Explore, ExploreConfig
from retrieval.synthetic import planted_world

N_USERS = 4000


def logged(tries: list[int], positives: list[int]) -> Dataset:
    """A log of impressions: each item was shown so often and chosen so often, by many users in turn."""
    world = planted_world(n_users=N_USERS, n_items=len(tries), n_days=2, n_fresh=0, events_per_user_day=0.01)
    dataset = world.dataset(world.days[-1])
    items = np.repeat(np.arange(len(tries)), tries)
    weights = np.concatenate([np.arange(n) < hits for n, hits in zip(tries, positives, strict=True)])
    times = np.full(len(items), dataset.day * DAY - 1)
    events = Histories.build(np.arange(len(items)) % N_USERS, items, weights.astype(np.float32), times, N_USERS)
    return replace(dataset, histories=events)


def asked(dataset: Dataset) -> Queries:
    return ask(dataset, np.arange(len(dataset.people)))


@pytest.fixture(scope="module")
def uneven() -> Dataset:
    return logged(tries=[2000, 20, 2000, 0, 400], positives=[120, 1, 20, 0, 20])


CONFIG = ExploreConfig(prior=(1.0, 19.0))


def test_draws_are_spread_as_each_items_posterior(uneven: Dataset) -> None:
    found = CONFIG.fit(uneven, seed=5).retrieve(asked(uneven), 5)
    for item, (tries, positives) in enumerate([(2000, 120), (20, 1), (2000, 20), (0, 0), (400, 20)]):
        draws = found.scores[found.items == item]
        posterior = scipy.stats.beta(1 + positives, 19 + tries - positives)
        assert len(draws) == N_USERS
        assert scipy.stats.kstest(draws, posterior.cdf).pvalue > 1e-3


def test_seldom_tried_items_come_first_more_often_than_those_tried_as_well_and_often(uneven: Dataset) -> None:
    """Items 1, 3 and 4 have a mean rate of 0.05: the less was tried, the oftener it is drawn highest."""
    first = CONFIG.fit(uneven, seed=5).retrieve(asked(uneven), 1).items[:, 0]
    shares = np.bincount(first, minlength=5) / N_USERS
    rng = np.random.default_rng(0)
    draws = rng.beta([121, 2, 21, 1, 21], [1899, 38, 1999, 19, 399], (200_000, 5))
    np.testing.assert_allclose(shares, np.bincount(draws.argmax(axis=1), minlength=5) / len(draws), atol=0.03)
    assert shares[3] > shares[1] > 2 * shares[4]


def test_a_user_asking_alone_gets_what_the_batch_holds(uneven: Dataset) -> None:
    fitted, queries = CONFIG.fit(uneven, seed=5), asked(uneven).take(np.arange(300)).without_seen()
    together = fitted.retrieve(queries, 4)
    for row in range(0, 300, 7):
        alone = fitted.retrieve(queries.take(np.array([row])), 4)
        np.testing.assert_array_equal(alone.items[0], together.items[row])
        np.testing.assert_array_equal(alone.scores[0], together.scores[row])


def test_a_small_pool_is_the_same_for_a_user_whatever_others_exclude(uneven: Dataset) -> None:
    fitted = ExploreConfig(prior=(1.0, 19.0), pool=2).fit(uneven, seed=5)
    queries = asked(uneven).take(np.arange(3))
    queries = replace(queries, excluded=Ragged(np.array([0, 0, 1, 4]), np.array([3, 3, 1, 0], np.int32)))
    together = fitted.retrieve(queries, 2)
    for row, pool in enumerate(([3, 1], [1, 0], [4, 2])):  # by the highest 95 % quantile that is left
        alone = fitted.retrieve(queries.take(np.array([row])), 2)
        np.testing.assert_array_equal(alone.items[0], together.items[row])
        assert set(together.items[row].tolist()) == set(pool)


def test_every_day_is_drawn_anew_and_the_same_day_never(uneven: Dataset) -> None:
    fitted, queries = CONFIG.fit(uneven, seed=5), asked(uneven)
    today, tomorrow = (fitted.retrieve(replace(queries, day=queries.day + days), 5) for days in (0, 1))
    np.testing.assert_array_equal(fitted.retrieve(queries, 5).scores, today.scores)
    assert not (today.scores == tomorrow.scores).any()
    assert not (CONFIG.fit(uneven, seed=6).retrieve(queries, 5).scores == today.scores).any()


def test_items_nobody_tried_take_turns_in_a_pool_too_small_for_them() -> None:
    dataset = logged(tries=[0] * 60, positives=[0] * 60)
    fitted = ExploreConfig(prior=(1.0, 1.0), pool=10).fit(dataset, seed=5)
    queries = asked(dataset).take(np.arange(50))
    days = [np.unique(fitted.retrieve(replace(queries, day=day), 3).items) for day in range(40)]
    assert max(map(len, days)) <= 10
    assert len(np.unique(np.concatenate(days))) == 60


def test_what_may_not_be_shown_is_never_drawn(uneven: Dataset) -> None:
    queries = replace(asked(uneven), eligible=np.array([True, False, True, True, False]))
    queries = replace(queries, excluded=Ragged(np.arange(N_USERS + 1), np.full(N_USERS, 3, np.int32)))
    found = CONFIG.fit(uneven, seed=5).retrieve(queries, 4).items
    assert set(np.unique(found).tolist()) == {0, 2, UNKNOWN}


def test_logs_of_impressions_are_told_from_logs_of_choices(uneven: Dataset) -> None:
    world = planted_world(n_users=30, n_items=20, n_days=5)
    choices = world.dataset(world.days[-1])
    facts = [ExploreConfig().fit(dataset, seed=1).state().facts["trials"] for dataset in (uneven, choices)]
    assert facts == ["events", "exposures"]


def test_a_new_item_is_drawn_by_the_prior_of_the_catalogue() -> None:
    world = planted_world(n_users=200, n_items=60, n_days=10, n_fresh=2)
    dataset = world.dataset(world.days[-1])
    fitted: Explore = ExploreConfig().fit(dataset, seed=1)
    found = fitted.retrieve(asked(dataset), 60)
    a, b = fitted.state().facts["prior"]
    fresh = np.isin(found.items, [58, 59])
    assert scipy.stats.kstest(found.scores[fresh], scipy.stats.beta(a, b).cdf).pvalue > 1e-3
    old = ~fresh & (found.items == 40)
    assert found.scores[fresh].std() > 3 * found.scores[old].std()
