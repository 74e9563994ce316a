"""Trials are counted as loops count them, the prior is found again, draws are those of the Beta distribution."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from retrieval.domain import DAY, Dataset
from retrieval.posteriors import Trials, exposures, fit_prior, impressions, quantile_tables, read_tables
from retrieval.synthetic import planted_world


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=30, n_items=40, n_days=12, n_fresh=5)
    return world.dataset(world.days[-1])


def test_exposures_are_the_active_days_of_users_since_an_item_was_to_be_had(dataset: Dataset) -> None:
    first, histories = dataset.day - 8, dataset.histories.where(dataset.histories.times >= (dataset.day - 8) * DAY)
    known, rows = dataset.catalogue, np.arange(len(dataset.catalogue))
    catalogue = replace(
        known,
        first_seen=np.where(rows < 3, first + 4, known.first_seen).astype(np.int32),
        available_from=np.where((rows >= 3) & (rows < 6), first + 6, known.available_from).astype(np.int32),
        available_until=np.where((rows >= 6) & (rows < 9), first + 2, known.available_until).astype(np.int32),
    )
    found = exposures(histories, catalogue, first, dataset.day)
    owners = histories.owners()
    active = {(int(user), int(time // DAY)) for user, time in zip(owners, histories.times, strict=True)}
    for item in range(len(catalogue)):
        since = max(first, catalogue.first_seen[item], catalogue.available_from[item])
        exposed = {pair for pair in active if since <= pair[1] <= catalogue.available_until[item]}
        mine = (histories.items == item) & (histories.weights > 0)
        successes = {(int(u), int(t // DAY)) for u, t in zip(owners[mine], histories.times[mine], strict=True)}
        assert found.positives[item] == len(successes)
        assert found.tries[item] == max(len(exposed), len(successes))
    assert found.tries[:3].max() < found.tries[20]


def test_items_that_came_today_have_not_been_tried(dataset: Dataset) -> None:
    found = exposures(dataset.histories, dataset.catalogue, dataset.day - 90, dataset.day)
    assert not found.tries[dataset.catalogue.first_seen == dataset.day].any()


def test_impressions_count_every_event_as_a_trial(dataset: Dataset) -> None:
    found = impressions(dataset.histories, len(dataset.catalogue))
    for item in range(len(dataset.catalogue)):
        mine = dataset.histories.weights[dataset.histories.items == item]
        assert (found.tries[item], found.positives[item]) == (len(mine), (mine > 0).sum())


@pytest.mark.parametrize(("a", "b"), [(2.0, 30.0), (0.5, 4.0), (20.0, 20.0)])
def test_the_prior_of_a_planted_catalogue_is_found_again(a: float, b: float) -> None:
    rng = np.random.default_rng(11)
    tries = rng.integers(1, 400, 20_000)
    positives = rng.binomial(tries, rng.beta(a, b, 20_000))
    found = fit_prior(Trials(tries.astype(float), positives.astype(float)))
    np.testing.assert_allclose(found, (a, b), rtol=0.1)


@pytest.mark.parametrize(
    ("tries", "positives"), [([], []), ([0, 0], [0, 0]), ([5], [2]), ([5, 5], [0, 0]), ([1, 1, 1], [1, 0, 1])]
)
def test_a_catalogue_that_says_nothing_has_an_even_prior(tries: list[float], positives: list[float]) -> None:
    assert fit_prior(Trials(np.array(tries, float), np.array(positives, float))) == (1.0, 1.0)


def test_equal_rates_give_a_narrow_prior_around_them() -> None:
    a, b = fit_prior(Trials(np.full(50, 1000.0), np.full(50, 100.0)))
    assert a / (a + b) == pytest.approx(0.1)
    assert a + b > 1e5


@pytest.mark.parametrize(("a", "b"), [(0.3, 50.0), (1.0, 1.0), (3.0, 2000.0), (40.0, 7.0)])
def test_what_is_read_at_exponential_draws_is_spread_as_the_beta_distribution(a: float, b: float) -> None:
    tables = quantile_tables(np.array([9.0, a]), np.array([9.0, b]))
    draws = np.random.default_rng(13).exponential(size=(1, 20_000)).astype(np.float32)
    found = read_tables(tables, np.ones(20_000, np.int32), draws)[0]
    assert scipy.stats.kstest(found, scipy.stats.beta(a, b).cdf).statistic < 0.012
    for share in (0.5, 0.9, 0.99, 0.999):
        wanted = scipy.stats.beta(a, b).ppf(share)
        read = read_tables(tables, np.ones(1, np.int32), np.array([[-np.log(1 - share)]], np.float32))[0, 0]
        assert read == pytest.approx(wanted, rel=0.01)
