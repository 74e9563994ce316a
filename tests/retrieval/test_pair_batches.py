"""What MTMH is shown: each pair of a day as that day began, and nothing that it may not stand against."""

import numpy as np
import pytest

from retrieval.domain import Dataset
from retrieval.pair_batches import PairBatch, PairBatches
from retrieval.retrievers.mtmh import MtmhConfig
from retrieval.synthetic import planted_world
from retrieval.tastes import ItemFeatures
from retrieval.text import HashedEncoder

CONFIG = MtmhConfig(batch_size=64, uniform_negatives=10, window_days=3.0, triggers_per_target=2, id_dropout=0.5)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=30, n_items=40, n_days=8)
    return world.dataset(world.days[-1], HashedEncoder(8))


def batches_of(dataset: Dataset, **changes: object) -> PairBatches:
    catalogue = dataset.catalogue
    features = ItemFeatures.of(catalogue.features, catalogue.feature_fields())
    return PairBatches(dataset, CONFIG.model_copy(update=changes), features, np.random.default_rng(1))


def pairs_of(batch: PairBatch) -> set[tuple[int, int]]:
    rows, columns = batch.pairs
    return set(zip(batch.triggers.rows[rows].tolist(), batch.candidates.rows[columns].tolist(), strict=True))


def test_every_pair_of_a_step_goes_together_on_its_day(dataset: Dataset) -> None:
    batches, day = batches_of(dataset), dataset.day - 1
    whole = batches.together.all_of(batches.together.events_of(day, day + 1))
    known = set(zip(whole.triggers.tolist(), whole.targets.tolist(), strict=True))
    steps = list(batches.of_days([day], 1))
    assert len(steps) > 1
    for step in steps:
        assert pairs_of(step) <= known
        assert step.weights.sum() == pytest.approx(1, abs=1e-5)
        assert (np.diff(step.pairs[0]) >= 0).all(), "the loss wants triggers in order"


def test_a_trigger_never_stands_against_itself(dataset: Dataset) -> None:
    for step in batches_of(dataset).of_days([dataset.day - 1], 1):
        rows, columns = step.own
        assert (step.triggers.rows[rows] == step.candidates.rows[columns]).all()
        both = np.intersect1d(step.triggers.rows, step.candidates.rows)
        assert set(step.triggers.rows[rows].tolist()) == set(both.tolist())


def test_rates_are_those_before_the_first_day_of_a_step(dataset: Dataset) -> None:
    days = list(range(dataset.day - 4, dataset.day))
    together = batches_of(dataset, step_days=4, batch_size=10_000)
    (step,) = together.of_days(days, 1)
    expected = together.trends(days[0]).features(step.candidates.rows)
    np.testing.assert_allclose(step.candidates.dense, expected)
    one_by_one = list(batches_of(dataset, batch_size=10_000).of_days(days, 1))
    assert len(one_by_one) == 4
    n_pairs = sum(len(other.weights) for other in one_by_one)
    assert len(step.weights) == pytest.approx(n_pairs, rel=0.1)  # what a draw pairs with itself is left out


def test_ids_are_hidden_in_training_and_shown_otherwise(dataset: Dataset) -> None:
    batches, rows = batches_of(dataset), np.arange(len(dataset.catalogue))
    trends = batches.trends(dataset.day)
    hidden = batches.items(rows, trends, hides=True).is_shown
    assert 0 < hidden.mean() < 1
    assert batches.items(rows, trends, hides=False).is_shown.all()
