"""Weights are those of a dense ridge over a walk through every history, and order decides the answer."""

from dataclasses import replace

import numpy as np
import pytest

from retrieval.domain import DAY, UNKNOWN, Dataset, Histories
from retrieval.interactions import last_steps
from retrieval.queries import ask
from retrieval.retrievers import sequential_linear
from retrieval.retrievers.sequential_linear import SequentialLinearConfig
from retrieval.synthetic import planted_world

CONFIG = SequentialLinearConfig(ridge=5.0, last=4, ahead=3, decays=(0.0, 0.6), ahead_decay=0.5)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """With purchases an hour apart at least, or at once."""
    world = planted_world(n_users=30, n_items=16, n_days=6)
    dataset = world.dataset(world.days[-1])
    histories = dataset.histories
    return replace(dataset, histories=replace(histories, times=histories.times // 7200 * 7200))


def baskets(histories: Histories, n_items: int) -> list[list[np.ndarray]]:
    """For each user the steps in order, each as ones of its items."""
    found: list[list[np.ndarray]] = []
    for user in range(len(histories)):
        part = slice(histories.offsets[user], histories.offsets[user + 1])
        times, items = histories.times[part], histories.items[part]
        found.append([np.isin(np.arange(n_items), items[times == time]).astype(float) for time in np.unique(times)])
    return found


def walk(steps: list[np.ndarray], decay: float, n: int, n_items: int) -> np.ndarray:
    return sum((decay**j * step for j, step in enumerate(steps[:n])), np.zeros(n_items))


def read(steps: list[np.ndarray], config: SequentialLinearConfig, n_items: int) -> np.ndarray:
    return np.concatenate([walk(steps[::-1], decay, config.last, n_items) for decay in config.decays])


def weights_by_hand(dataset: Dataset, config: SequentialLinearConfig, items: np.ndarray) -> np.ndarray:
    histories = dataset.histories.positives()
    known = histories.where(np.isin(histories.items, items))
    counts = np.bincount(known.items, minlength=len(dataset.catalogue))[items]
    known = replace(known, items=np.searchsorted(items, known.items).astype(np.int32))
    x, y = [], []
    for steps in baskets(known, len(items)):
        for t in range(len(steps)):
            x.append(read(steps[:t], config, len(items)))
            y.append(walk(steps[t:], config.ahead_decay, config.ahead, len(items)))
    gram = np.array(x).T @ np.array(x) + config.ridge * np.eye(len(items) * len(config.decays))
    return np.linalg.solve(gram, np.array(x).T @ np.array(y)) * counts**-config.rarity


@pytest.mark.parametrize(
    "config",
    [CONFIG, CONFIG.model_copy(update={"max_items": 7, "rarity": 0.5}), CONFIG.model_copy(update={"ahead": 1})],
    ids=["all items", "the most chosen", "the next step alone"],
)
def test_weights_are_those_of_a_dense_ridge(
    dataset: Dataset, config: SequentialLinearConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequential_linear, "ENTRIES_AT_ONCE", 50)  # a dozen steps
    fitted = config.fit(dataset, seed=0)
    assert len(fitted.items) <= config.max_items
    np.testing.assert_allclose(fitted.weights, weights_by_hand(dataset, config, fitted.items), rtol=1e-3, atol=1e-4)


def test_scores_are_the_last_steps_times_weights(dataset: Dataset) -> None:
    fitted, n_items = CONFIG.fit(dataset, seed=0), len(dataset.catalogue)
    queries = ask(dataset, np.arange(30))
    found = fitted.retrieve(queries, n_items)
    histories = queries.histories.positives()
    places = np.full(n_items, -1)
    places[fitted.items] = np.arange(len(fitted.items))
    known = replace(histories, items=places[histories.items].astype(np.int32))
    for row, steps in enumerate(baskets(known, len(fitted.items))):
        scores = read(steps, CONFIG, len(fitted.items)) @ fitted.weights.astype(float)
        shown = found.items[row][found.items[row] != UNKNOWN]
        assert len(shown) == len(fitted.items) * bool(steps)
        np.testing.assert_allclose(found.scores[row][: len(shown)], scores[places[shown]], rtol=1e-3, atol=1e-4)


def cycling(dataset: Dataset) -> Histories:
    """Everybody goes round items 0, 1, 2 and 3, from a start of their own."""
    n_users, n_steps = len(dataset.people), 24
    users, steps = np.repeat(np.arange(n_users), n_steps), np.tile(np.arange(n_steps), n_users)
    times = (dataset.day - 1) * DAY + steps
    return Histories.build(users, (users + steps) % 4, np.ones(len(users)), times, n_users)


def test_what_comes_next_comes_first_and_a_shuffled_history_gets_another_answer(dataset: Dataset) -> None:
    config = SequentialLinearConfig(ridge=1.0, ahead_decay=0.0)
    histories = cycling(dataset)
    fitted = config.fit(replace(dataset, histories=histories), seed=0)
    queries = replace(ask(dataset, np.arange(30)), histories=histories)
    assert fitted.retrieve(queries, 1).items[:, 0].tolist() == [(user + 24) % 4 for user in range(30)]
    backwards = replace(histories, items=histories.items.reshape(30, 24)[:, ::-1].ravel())
    assert fitted.retrieve(replace(queries, histories=backwards), 1).items[:, 0].tolist() == [
        (user + 1) % 4 for user in range(30)
    ]


def test_steps_before_the_last_ones_are_not_read(dataset: Dataset) -> None:
    fitted = SequentialLinearConfig(ridge=1.0, last=2).fit(dataset, seed=0)
    queries = ask(dataset, np.arange(30))
    known = queries.histories.positives()
    whole = fitted.retrieve(queries, 5)
    short = fitted.retrieve(replace(queries, histories=last_steps(known, 2)), 5)
    np.testing.assert_array_equal(whole.items, short.items)


def test_who_has_done_nothing_gets_nothing_and_nothing_learnt_answers_nothing(dataset: Dataset) -> None:
    nobody = ask(dataset, np.array([UNKNOWN]))
    assert (CONFIG.fit(dataset, seed=0).retrieve(nobody, 3).items == UNKNOWN).all()
    empty = replace(dataset, histories=Histories.empty(30))
    assert (CONFIG.fit(empty, seed=0).retrieve(ask(dataset, np.arange(3)), 3).items == UNKNOWN).all()
