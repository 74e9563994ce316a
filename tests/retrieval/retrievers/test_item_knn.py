"""Neighbours are those of a dense cosine, and a user's score is a sum over their items."""

import numpy as np
import pytest

from retrieval.domain import UNKNOWN, Dataset
from retrieval.queries import ask
from retrieval.retrievers.item_knn import DAY, ItemKnn, ItemKnnConfig
from retrieval.synthetic import planted_world


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=40, n_items=30, n_days=10)
    return world.dataset(world.days[-1])


def cosine_by_hand(dataset: Dataset, config: ItemKnnConfig) -> np.ndarray:
    """Similarity of every two items from a dense matrix of users and items; 0 where there is no evidence."""
    n_items = len(dataset.catalogue)
    seen = np.zeros((len(dataset.people), n_items))
    positives = dataset.histories.positives()
    for user in range(len(seen)):
        part = slice(positives.offsets[user], positives.offsets[user + 1])
        seen[user, positives.items[part][-config.max_history :]] = 1
    weighted = seen.copy()
    if config.weighting == "user_norm":
        weighted /= np.sqrt(np.maximum(seen.sum(axis=1, keepdims=True), 1))
    norms = np.sqrt((weighted**2).sum(axis=0))
    similarity = np.zeros((n_items, n_items))
    for i in range(n_items):
        for j in range(n_items):
            if i != j and seen[:, i] @ seen[:, j] >= max(config.min_users, 1):
                dot = weighted[:, i] @ weighted[:, j]
                similarity[i, j] = dot / (norms[i] * norms[j] + config.shrinkage * norms.mean() ** 2)
    return similarity


def keep_best(similarity: np.ndarray, n: int) -> np.ndarray:
    kept = np.zeros_like(similarity)
    for row, values in enumerate(similarity):
        best = sorted(np.flatnonzero(values), key=lambda column: (-np.float32(values[column]), column))[:n]
        kept[row, best] = values[best]
    return kept


@pytest.mark.parametrize(
    "config",
    [
        ItemKnnConfig(),
        ItemKnnConfig(weighting="cosine", shrinkage=0.0, min_users=1),
        ItemKnnConfig(max_history=5, min_users=3, shrinkage=2.0),
    ],
    ids=["as shipped", "plain cosine", "short histories"],
)
def test_neighbours_are_those_of_a_dense_cosine(dataset: Dataset, config: ItemKnnConfig) -> None:
    found = config.fit(dataset, seed=0).neighbours.toarray()
    np.testing.assert_allclose(found, cosine_by_hand(dataset, config), rtol=1e-4, atol=1e-6)


def test_blocks_of_items_make_no_difference(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ItemKnnConfig().fit(dataset, seed=0).neighbours.toarray()
    monkeypatch.setattr("retrieval.retrievers.item_knn.ITEMS_AT_ONCE", 7)
    np.testing.assert_array_equal(ItemKnnConfig().fit(dataset, seed=0).neighbours.toarray(), whole)


def test_only_the_nearest_are_kept(dataset: Dataset) -> None:
    config = ItemKnnConfig(neighbours=4)
    found = config.fit(dataset, seed=0).neighbours.toarray()
    wanted = keep_best(cosine_by_hand(dataset, config), 4)
    assert ((found > 0).sum(axis=1) <= 4).all()
    np.testing.assert_allclose(np.sort(found, axis=1), np.sort(wanted, axis=1), rtol=1e-4, atol=1e-6)


def test_scores_add_up_similarities_of_the_users_items_by_their_age(dataset: Dataset) -> None:
    config = ItemKnnConfig(history_half_life_days=3.0)
    fitted = config.fit(dataset, seed=0)
    queries = ask(dataset, np.arange(10))
    found = fitted.retrieve(queries, len(dataset.catalogue))
    similarity, events = fitted.neighbours.toarray(), queries.histories
    for row in range(len(queries)):
        scores = np.zeros(len(dataset.catalogue))
        for event in range(events.offsets[row], events.offsets[row + 1]):
            age = (queries.day * DAY - events.times[event]) / DAY
            scores += events.weights[event] * 0.5 ** (age / 3.0) * similarity[events.items[event]]
        shown = found.items[row][found.items[row] != UNKNOWN]
        assert set(shown.tolist()) == set(np.flatnonzero(scores > 1e-9).tolist())
        np.testing.assert_allclose(found.scores[row][: len(shown)], scores[shown], rtol=1e-4)


def test_a_user_without_history_has_no_neighbours_to_go_by(dataset: Dataset) -> None:
    queries = ask(dataset, np.array([UNKNOWN]))
    assert (ItemKnnConfig().fit(dataset, seed=0).retrieve(queries, 3).items == UNKNOWN).all()


def test_neighbours_are_mostly_of_the_items_own_topic(dataset: Dataset) -> None:
    fitted: ItemKnn = ItemKnnConfig(neighbours=3).fit(dataset, seed=0)
    topics = np.array([dataset.catalogue.topics.row(row)[0] for row in range(len(dataset.catalogue))])
    owners = np.repeat(np.arange(len(topics)), np.diff(fitted.neighbours.indptr))
    assert (topics[owners] == topics[fitted.neighbours.indices]).mean() > 0.75
