"""Popularity is a decayed count of positives, the same for everybody."""

from collections import Counter

import numpy as np
import pytest

from retrieval.domain import Dataset
from retrieval.queries import ask
from retrieval.retrievers.popular import DAY, PopularConfig
from retrieval.synthetic import planted_world


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=40, n_items=24, n_days=12)
    return world.dataset(world.days[-1])


@pytest.mark.parametrize(("window_days", "half_life_days"), [(90, 14.0), (5, 2.0)])
def test_counts_are_those_of_a_counter_with_decay(dataset: Dataset, window_days: int, half_life_days: float) -> None:
    counter: Counter[int] = Counter()
    events = dataset.histories
    for item, weight, time in zip(events.items.tolist(), events.weights.tolist(), events.times.tolist(), strict=True):
        age = (dataset.day * DAY - time) / DAY
        if weight > 0 and age <= window_days:
            counter[item] += weight * 0.5 ** (age / half_life_days)
    fitted = PopularConfig(window_days=window_days, half_life_days=half_life_days).fit(dataset, seed=0)
    np.testing.assert_allclose(fitted.counts, [counter[item] for item in range(len(dataset.catalogue))], rtol=1e-5)


def test_everybody_gets_the_same_ranking(dataset: Dataset) -> None:
    found = PopularConfig().fit(dataset, seed=0).retrieve(ask(dataset, np.arange(5)), 4)
    assert (found.items == found.items[0]).all()


def test_what_nobody_chose_is_no_candidate(dataset: Dataset) -> None:
    fitted = PopularConfig().fit(dataset, seed=0)
    found = fitted.retrieve(ask(dataset, np.arange(1)), len(dataset.catalogue))
    chosen = set(np.flatnonzero(fitted.counts > 0).tolist())
    assert set(found.items[0][found.items[0] >= 0].tolist()) == chosen
    assert len(chosen) < len(dataset.catalogue), "the planted fresh items were chosen by nobody"
