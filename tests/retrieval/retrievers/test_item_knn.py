"""Neighbours are those of a dense matrix, and a user's score is a sum over their items."""

from dataclasses import replace

import numpy as np
import pytest

from retrieval.domain import DAY, UNKNOWN, Dataset
from retrieval.errors import ModelError
from retrieval.queries import ask
from retrieval.retrievers.item_knn import ItemKnn, ItemKnnConfig
from retrieval.synthetic import planted_world


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=40, n_items=30, n_days=10)
    return world.dataset(world.days[-1])


def similarity_by_hand(dataset: Dataset, config: ItemKnnConfig) -> np.ndarray:
    """Similarity of every two items from a dense matrix of users and items; 0 where there is no evidence."""
    n_items = len(dataset.catalogue)
    rows, met = matrix_by_hand(dataset, config)
    squares = (rows**2).sum(axis=0)
    damping = config.shrinkage * squares[squares > 0].mean()
    similarity = np.zeros((n_items, n_items))
    for i in range(n_items):
        for j in range(n_items):
            if i != j and (met[:, i] & met[:, j]).sum() >= max(config.min_users, 1):
                similarity[i, j] = rows[:, i] @ rows[:, j]
                if config.weighting != "bm25":
                    similarity[i, j] /= np.sqrt((squares[i] + damping) * (squares[j] + damping))
    return np.maximum(similarity, 0)


def matrix_by_hand(dataset: Dataset, config: ItemKnnConfig) -> tuple[np.ndarray, np.ndarray]:
    """What each user's choice of an item is worth, user by user, and who met what."""
    events = dataset.histories if config.weighting == "adjusted_cosine" else dataset.histories.positives()
    shape = (len(dataset.people), len(dataset.catalogue))
    sums, counts, means = np.zeros(shape), np.zeros(shape), np.zeros(shape[0])
    for user in range(shape[0]):
        newest = range(events.offsets[user], events.offsets[user + 1])[-config.max_history :]
        for event in newest:
            sums[user, events.items[event]] += events.weights[event]
            counts[user, events.items[event]] += 1
        means[user] = np.mean([events.weights[event] for event in newest]) if newest else 0.0
    met, sizes = counts > 0, np.maximum((counts > 0).sum(axis=1, keepdims=True), 1)
    if config.weighting == "adjusted_cosine":
        return np.where(met, sums / np.maximum(counts, 1) - means[:, None], 0.0), met
    if config.weighting == "tfidf":
        return np.sqrt(sums) * np.log((1 + shape[1]) / (1 + sizes)), met
    if config.weighting == "bm25":
        lengths = sums.sum(axis=0)
        damping = config.k1 * (1 - config.b + config.b * lengths / lengths[lengths > 0].mean())
        idf = np.log(1 + (shape[1] - sizes + 0.5) / (sizes + 0.5))
        return idf * sums * (config.k1 + 1) / (sums + damping), met
    return met / (np.sqrt(sizes) if config.weighting == "user_norm" else 1.0), met


@pytest.mark.parametrize(
    "config",
    [
        ItemKnnConfig(),
        ItemKnnConfig(weighting="cosine", shrinkage=0.0, min_users=1),
        ItemKnnConfig(max_history=5, min_users=3, shrinkage=2.0),
        ItemKnnConfig(weighting="tfidf", min_users=1),
        ItemKnnConfig(weighting="bm25", k1=2.0, b=0.5),
        ItemKnnConfig(weighting="adjusted_cosine", min_users=2),
    ],
    ids=["as shipped", "plain cosine", "short histories", "tfidf", "bm25", "adjusted cosine"],
)
def test_neighbours_are_those_of_a_dense_matrix(dataset: Dataset, config: ItemKnnConfig) -> None:
    found = config.fit(dataset, seed=0).neighbours.toarray()
    np.testing.assert_allclose(found, similarity_by_hand(dataset, config), rtol=1e-4, atol=1e-6)


def test_only_the_nearest_are_kept(dataset: Dataset) -> None:
    config = ItemKnnConfig(neighbours=4)
    found = config.fit(dataset, seed=0).neighbours.toarray()
    best = np.sort(similarity_by_hand(dataset, config), axis=1)[:, -4:]
    np.testing.assert_allclose(np.sort(found, axis=1)[:, -4:], best, rtol=1e-4, atol=1e-6)
    assert ((found > 0).sum(axis=1) <= 4).all()


def test_likes_that_are_all_the_same_have_no_adjusted_cosine(dataset: Dataset) -> None:
    only_likes = replace(dataset, histories=dataset.histories.positives())
    with pytest.raises(ModelError, match="all events of each user weigh the same"):
        ItemKnnConfig(weighting="adjusted_cosine").fit(only_likes, seed=0)


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
