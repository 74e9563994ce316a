"""Chosen pairs rank above others, users come from histories by a map in closed form, and one thread gives one result."""

from dataclasses import replace

import numpy as np
import pytest

from retrieval.domain import UNKNOWN, Dataset, Histories
from retrieval.index import ExactIndex
from retrieval.queries import ask
from retrieval.retrievers.bpr import Bpr, BprConfig
from retrieval.retrievers.indexed import IndexedRetriever
from retrieval.synthetic import World, planted_world

CONFIG = BprConfig(dim=6, iterations=60, history_half_life_days=None)
N_FRESH = 4


@pytest.fixture(scope="module")
def world() -> World:
    return planted_world(n_users=80, n_items=40, n_days=14, n_fresh=N_FRESH)


@pytest.fixture(scope="module")
def dataset(world: World) -> Dataset:
    return world.dataset(world.days[-1])


@pytest.fixture(scope="module")
def fitted(dataset: Dataset) -> Bpr:
    return CONFIG.fit(dataset, seed=1)


def learnt(fitted: Bpr) -> Bpr:
    return CONFIG.model_copy(update={"user": "learnt"}).restore(fitted.state())


def test_what_users_chose_ranks_above_what_they_did_not(fitted: Bpr, dataset: Dataset) -> None:
    arrays = fitted.state().arrays
    scores = arrays["users"] @ arrays["factors"].T + arrays["offset"]
    chosen = np.zeros(scores.shape, bool)
    positives = dataset.histories.positives()
    chosen[positives.owners(), positives.items] = True
    right = [
        (scores[user][chosen[user]][:, None] > scores[user][~chosen[user]][None, :]).mean()
        for user in range(len(scores))
        if chosen[user].any()
    ]
    assert np.mean(right) > 0.9


def test_a_query_is_the_normalised_sum_of_its_items_mapped_by_a_ridge_regression(fitted: Bpr, dataset: Dataset) -> None:
    arrays, positives = fitted.state().arrays, dataset.histories.positives()
    sums = np.zeros((len(positives), 6))
    for user in range(len(positives)):
        items = np.unique(positives.items[positives.offsets[user] : positives.offsets[user + 1]])
        if len(items):
            sums[user] = arrays["factors"][items].sum(axis=0) / np.sqrt(len(items))
    active = np.diff(positives.offsets) > 0
    gram = sums[active].T @ sums[active]
    damped = gram + CONFIG.ridge * np.trace(gram) / 6 * np.eye(6)
    mapped = sums @ np.linalg.solve(damped, sums[active].T @ arrays["users"][active])
    found = fitted.users(ask(dataset, np.arange(len(positives))))
    np.testing.assert_allclose(found[active], mapped[active], rtol=1e-2, atol=1e-3)


def test_learnt_users_are_their_own_and_unknown_ones_come_from_history(fitted: Bpr, dataset: Dataset) -> None:
    known = ask(dataset, np.arange(5))
    unknown = replace(known, users=np.full(5, UNKNOWN, np.int32))
    np.testing.assert_array_equal(learnt(fitted).users(known), fitted.state().arrays["users"][:5])
    np.testing.assert_array_equal(learnt(fitted).users(unknown), fitted.users(known))


def test_a_user_never_met_in_training_is_mapped_even_when_learnt_ones_are_asked_for(dataset: Dataset) -> None:
    positives = dataset.histories.positives()
    quiet = replace(dataset, histories=positives.where(positives.owners() != 3))
    model = learnt(CONFIG.fit(quiet, seed=1))
    assert not model.state().arrays["users"][3].any()
    assert model.users(ask(dataset, np.array([3]))).any()


def test_who_has_chosen_nothing_gets_what_suits_the_average_user(fitted: Bpr, dataset: Dataset) -> None:
    nobody = replace(ask(dataset, np.array([UNKNOWN])), histories=Histories.empty(1))
    np.testing.assert_array_equal(fitted.users(nobody)[0], fitted.state().arrays["mean_user"])


def test_the_score_is_the_inner_product_of_the_factors_and_the_items_offset(fitted: Bpr, dataset: Dataset) -> None:
    queries, arrays = ask(dataset, np.arange(15)), fitted.state().arrays
    found = fitted.embed_queries(queries) @ fitted.embed_items(dataset).T
    wanted = fitted.users(queries) @ arrays["factors"].T + arrays["offset"] + arrays["trend"]
    known = arrays["factors"].any(axis=1)
    np.testing.assert_allclose(found[:, known], wanted[:, known], rtol=1e-3, atol=1e-3)


def test_fresh_items_come_last_and_users_get_their_own_topic(fitted: Bpr, world: World, dataset: Dataset) -> None:
    retriever = IndexedRetriever(fitted, ExactIndex(fitted.embed_items(dataset)))
    found = retriever.retrieve(ask(dataset, np.arange(80)), len(dataset.catalogue)).items
    fresh = np.arange(len(dataset.catalogue) - N_FRESH, len(dataset.catalogue))
    assert (np.sort(found[:, -N_FRESH:], axis=1) == fresh).all()
    assert (world.topic_of[found[:, :5]] == world.group_of[:, None]).mean() > 0.85


def test_a_warm_start_goes_on_from_former_factors(fitted: Bpr, dataset: Dataset) -> None:
    short = BprConfig(dim=6, iterations=1, warm_iterations=1)
    warm, cold = short.fit(dataset, seed=2, warm=fitted.state()), short.fit(dataset, seed=2)
    former = fitted.state().arrays["factors"]

    def moved(model: Bpr) -> float:
        return float(np.linalg.norm(model.state().arrays["factors"] - former))

    assert warm.state().facts["warm"] and not cold.state().facts["warm"]
    assert moved(warm) < 0.2 * moved(cold)
