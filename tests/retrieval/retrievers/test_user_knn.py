"""Neighbours are those of a dense cosine, and a score adds up what they chose."""

from dataclasses import replace

import numpy as np
import pytest

from retrieval.domain import DAY, UNKNOWN, Dataset, Histories, Ragged
from retrieval.queries import ask
from retrieval.retrievers import user_knn
from retrieval.retrievers.user_knn import UserKnnConfig
from retrieval.synthetic import planted_world


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=30, n_items=24, n_days=8)
    return world.dataset(world.days[-1])


def choices_by_hand(histories: Histories, day: int, half_life_days: float | None, n_items: int) -> np.ndarray:
    found = np.zeros((len(histories), n_items))
    for user, item, weight, time in zip(
        histories.owners(), histories.items, histories.weights, histories.times, strict=True
    ):
        age_days = (day * DAY - time) / DAY
        if weight > 0:
            found[user, item] += weight * (1 if half_life_days is None else 0.5 ** (age_days / half_life_days))
    return found


def scores_by_hand(dataset: Dataset, config: UserKnnConfig, users: np.ndarray) -> np.ndarray:
    n_items = len(dataset.catalogue)
    choices = choices_by_hand(dataset.histories, dataset.day, config.half_life_days, n_items)
    asked = choices_by_hand(dataset.histories.take(users), dataset.day, config.history_half_life_days, n_items)
    scores = np.zeros((len(users), n_items))
    for row, user in enumerate(users):
        alike = np.zeros(len(choices))
        for other, theirs in enumerate(choices > 0):
            if other != user and theirs.any():
                alike[other] = asked[row] @ theirs / (np.linalg.norm(asked[row]) * np.sqrt(theirs.sum()))
        nearest = np.argsort(-np.float32(alike), kind="stable")[: config.neighbours]
        scores[row] = alike[nearest] @ choices[nearest]
    return scores


@pytest.mark.parametrize(
    "config",
    [UserKnnConfig(), UserKnnConfig(neighbours=4, half_life_days=3.0, history_half_life_days=None)],
    ids=["as shipped", "few and decayed"],
)
def test_scores_are_those_of_a_dense_cosine(dataset: Dataset, config: UserKnnConfig) -> None:
    users = np.arange(30)
    found = config.fit(dataset, seed=0).retrieve(ask(dataset, users), len(dataset.catalogue))
    for row, scores in enumerate(scores_by_hand(dataset, config, users)):
        shown = found.items[row][found.items[row] != UNKNOWN]
        assert set(shown.tolist()) == set(np.flatnonzero(scores > 1e-9).tolist())
        np.testing.assert_allclose(found.scores[row][: len(shown)], scores[shown], rtol=1e-4)


def test_blocks_make_no_difference(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted, queries = UserKnnConfig(neighbours=5).fit(dataset, seed=0), ask(dataset, np.arange(30))
    whole = fitted.retrieve(queries, 6)
    monkeypatch.setattr(user_knn, "PAIRS_AT_ONCE", 4 * 30)
    np.testing.assert_array_equal(fitted.retrieve(queries, 6).items, whole.items)


def test_an_unknown_user_is_answered_by_history_and_a_known_one_is_no_neighbour_of_their_own(dataset: Dataset) -> None:
    fitted = UserKnnConfig(neighbours=1).fit(dataset, seed=0)
    known = ask(dataset, np.array([0]))
    unknown = replace(known, users=np.array([UNKNOWN], np.int32))
    assert fitted._nearest(unknown).indices.tolist() == [0], "nobody is more like user 0 than user 0"
    assert fitted._nearest(known).indices.tolist() != [0]
    chosen = set(dataset.histories.positives().take(np.array([0])).items.tolist())
    found = fitted.retrieve(unknown, 50).items[0]
    assert set(found[found != UNKNOWN].tolist()) == chosen


def test_a_user_without_history_is_like_nobody(dataset: Dataset) -> None:
    queries = replace(ask(dataset, np.array([UNKNOWN])), features=Ragged.empty(1))
    assert (UserKnnConfig().fit(dataset, seed=0).retrieve(queries, 3).items == UNKNOWN).all()
