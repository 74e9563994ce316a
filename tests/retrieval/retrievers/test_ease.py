"""Weights are numpy's closed form, and a query scores its history times the weights."""

from dataclasses import replace

import numpy as np
import pytest

from retrieval.domain import DAY, UNKNOWN, Dataset, Histories
from retrieval.queries import ask
from retrieval.retrievers.ease import Ease, EaseConfig
from retrieval.synthetic import planted_world


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=50, n_items=30, n_days=10)
    return world.dataset(world.days[-1])


def capped_by_hand(histories: Histories, day: int, half_life_days: float | None, n_items: int) -> np.ndarray:
    found = np.zeros((len(histories), n_items))
    for user, item, weight, time in zip(
        histories.owners(), histories.items, histories.weights, histories.times, strict=True
    ):
        age_days = (day * DAY - time) / DAY
        found[user, item] += weight * (1 if half_life_days is None else 0.5 ** (age_days / half_life_days))
    return np.clip(found, -1, 1)


def weights_by_numpy(dataset: Dataset, config: EaseConfig, items: np.ndarray) -> np.ndarray:
    histories, n_items = dataset.histories.positives(), len(dataset.catalogue)
    x = capped_by_hand(histories, dataset.day, config.half_life_days, n_items)[:, items]
    precision = np.linalg.inv(x.T @ x + config.ridge * np.eye(len(items)))
    weights = -precision / np.diag(precision)[None, :]
    np.fill_diagonal(weights, 0)
    return weights


@pytest.mark.parametrize(
    "config",
    [EaseConfig(ridge=10.0), EaseConfig(ridge=2.0, max_items=9), EaseConfig(ridge=5.0, half_life_days=3.0)],
    ids=["all items", "the most chosen", "decayed"],
)
def test_weights_are_numpy_s_closed_form(dataset: Dataset, config: EaseConfig) -> None:
    fitted = config.fit(dataset, seed=0)
    counts = np.bincount(dataset.histories.positives().items, minlength=len(dataset.catalogue))
    best = sorted(np.flatnonzero(counts), key=lambda item: (-counts[item], item))[: config.max_items]
    assert fitted.items.tolist() == sorted(best)
    np.testing.assert_allclose(fitted.weights, weights_by_numpy(dataset, config, fitted.items), rtol=1e-3, atol=1e-5)


def test_weights_of_two_items_by_hand() -> None:
    """Four users, two of whom chose both: X'X + I = [[4, 2], [2, 4]], P = [[4, -2], [-2, 4]] / 12, B = 1/2."""
    world = planted_world(n_users=4, n_items=2, n_fresh=0, n_days=2)
    dataset = world.dataset(world.days[-1])
    users, items = np.array([0, 0, 1, 1, 2, 3]), np.array([0, 1, 0, 1, 0, 1])
    times = np.full(6, dataset.day * DAY - 1)
    chosen = replace(dataset, histories=Histories.build(users, items, np.ones(6), times, 4))
    fitted = EaseConfig(ridge=1.0).fit(chosen, seed=0)
    np.testing.assert_allclose(fitted.weights, [[0, 0.5], [0.5, 0]], rtol=1e-6)
    found = fitted.retrieve(ask(chosen, np.array([2])).without_seen(), 2)
    assert found.items.tolist() == [[1, UNKNOWN]]
    np.testing.assert_allclose(found.scores[0, 0], 0.5, rtol=1e-6)


@pytest.mark.parametrize("half_life_days", [None, 2.0])
def test_scores_are_histories_times_weights(dataset: Dataset, half_life_days: float | None) -> None:
    fitted = EaseConfig(ridge=5.0, max_items=12, history_half_life_days=half_life_days).fit(dataset, seed=0)
    queries = ask(dataset, np.arange(50))
    found = fitted.retrieve(queries, 12)
    asked = capped_by_hand(queries.histories, queries.day, half_life_days, len(dataset.catalogue))
    scores = asked[:, fitted.items] @ fitted.weights.astype(float)
    for row in np.flatnonzero(np.abs(asked[:, fitted.items]).sum(axis=1)):
        places = np.searchsorted(fitted.items, found.items[row])
        np.testing.assert_allclose(found.scores[row], scores[row][places], rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(found.scores[row], np.sort(scores[row])[::-1], rtol=1e-3, atol=1e-5)


def test_items_outside_the_most_chosen_are_never_shown(dataset: Dataset) -> None:
    fitted: Ease = EaseConfig(max_items=5).fit(dataset, seed=0)
    found = fitted.retrieve(ask(dataset, np.arange(50)), 10).items
    assert set(found[found != UNKNOWN].tolist()) == set(fitted.items.tolist())


def test_a_purchase_and_its_return_say_nothing(dataset: Dataset) -> None:
    times = np.full(2, dataset.day * DAY - 1)
    histories = Histories.build(np.zeros(2, int), np.array([1, 1]), np.array([1.0, -1.0]), times, 1)
    queries = replace(ask(dataset, np.array([0])), histories=histories)
    assert (EaseConfig().fit(dataset, seed=0).retrieve(queries, 3).items == UNKNOWN).all()


def test_who_has_done_nothing_gets_nothing_and_nothing_learnt_answers_nothing(dataset: Dataset) -> None:
    nobody = ask(dataset, np.array([UNKNOWN]))
    assert (EaseConfig().fit(dataset, seed=0).retrieve(nobody, 3).items == UNKNOWN).all()
    empty = replace(dataset, histories=Histories.empty(50))
    assert (EaseConfig().fit(empty, seed=0).retrieve(ask(dataset, np.arange(3)), 3).items == UNKNOWN).all()
