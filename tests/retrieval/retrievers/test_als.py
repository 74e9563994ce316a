"""Users come from their histories alone, scores are one inner product, and training is the same on any threads."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from retrieval.domain import DAY, UNKNOWN, Dataset, Histories
from retrieval.index import ExactIndex
from retrieval.interactions import summed_matrix
from retrieval.offsets import TrendConfig
from retrieval.queries import ask
from retrieval.retrievers.als import Als, AlsConfig
from retrieval.retrievers.indexed import IndexedRetriever
from retrieval.synthetic import planted_world

CONFIG = AlsConfig(dim=6, regularization=1.0, iterations=6)
LAST_FRESH = 4


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=60, n_items=40, n_days=14, n_fresh=LAST_FRESH)
    return world.dataset(world.days[-1])


@pytest.fixture(scope="module")
def fitted(dataset: Dataset) -> Als:
    return CONFIG.fit(dataset, seed=1)


def weights_by_hand(
    histories: Histories, config: AlsConfig, day: int, half_life: float | None
) -> list[dict[int, float]]:
    """What each user's chosen items weigh."""
    found: list[dict[int, float]] = []
    for user in range(len(histories)):
        summed: dict[int, float] = {}
        events = range(histories.offsets[user], histories.offsets[user + 1])
        for event in [event for event in events if histories.weights[event] > 0][-config.max_history :]:
            age = (day * DAY - histories.times[event]) / DAY
            decay = 1.0 if half_life is None else 0.5 ** (age / half_life)
            item = int(histories.items[event])
            summed[item] = summed.get(item, 0) + float(histories.weights[event]) * decay
        as_recipe_says = {"once": lambda w: min(w, 1), "log": lambda w: np.log2(1 + w), "sum": lambda w: w}
        found.append({item: float(as_recipe_says[config.repeats](weight)) for item, weight in summed.items()})
    return found


@pytest.mark.parametrize("repeats", ["once", "log", "sum"])
@pytest.mark.parametrize("half_life", [None, 3.0])
def test_a_query_solves_its_users_own_equations(
    fitted: Als, dataset: Dataset, repeats: str, half_life: float | None
) -> None:
    config = AlsConfig.model_validate(
        CONFIG.model_dump() | {"repeats": repeats, "history_half_life_days": half_life, "max_history": 9}
    )
    model, queries = config.restore(fitted.state()), ask(dataset, np.arange(20))
    items = fitted.state().arrays["factors"].astype(np.float64)
    found = model.users(queries)
    for user, chosen in enumerate(weights_by_hand(queries.histories, config, queries.day, half_life)):
        system = items.T @ items + config.regularization * np.eye(6)
        wanted = np.zeros(6)
        for item, weight in chosen.items():
            system += config.alpha * weight * np.outer(items[item], items[item])
            wanted += (1 + config.alpha * weight) * items[item]
        np.testing.assert_allclose(found[user], np.linalg.solve(system, wanted), rtol=1e-3, atol=1e-4)


def test_a_history_adds_up_to_a_mapped_normalised_sum(fitted: Als, dataset: Dataset) -> None:
    config = AlsConfig(dim=6, regularization=1.0, user="history")
    model, queries = config.restore(fitted.state()), ask(dataset, np.arange(10))
    arrays = fitted.state().arrays
    for user, chosen in enumerate(weights_by_hand(queries.histories, config, queries.day, None)):
        total = sum(weight * arrays["factors"][item] for item, weight in chosen.items())
        wanted = (total / np.sqrt(sum(chosen.values()))) @ arrays["history_map"]
        np.testing.assert_allclose(model.users(queries)[user], wanted, rtol=1e-3, atol=1e-5)


def test_the_score_is_the_inner_product_of_the_factors_and_the_items_offset(fitted: Als, dataset: Dataset) -> None:
    queries, arrays = ask(dataset, np.arange(15)), fitted.state().arrays
    found = fitted.embed_queries(queries) @ fitted.embed_items(dataset).T
    wanted = fitted.users(queries) @ arrays["factors"].T + arrays["offset"]
    known = arrays["factors"].any(axis=1)
    np.testing.assert_allclose(found[:, known], wanted[:, known], rtol=1e-3, atol=1e-3)


def test_offsets_follow_popularity_and_can_be_left_out(dataset: Dataset, fitted: Als) -> None:
    positives = dataset.histories.positives()
    decay = 0.5 ** ((dataset.day * DAY - positives.times) / DAY / 14.0)
    counts = np.log1p(np.bincount(positives.items, decay, len(dataset.catalogue)))
    offset = fitted.state().arrays["offset"]
    assert offset.max() > 0
    np.testing.assert_allclose(offset / offset.max(), counts / counts.max(), rtol=1e-4)
    without = AlsConfig(dim=6, regularization=1.0, iterations=6, trend=TrendConfig(half_life_days=None)).fit(
        dataset, seed=1
    )
    assert not without.state().arrays["offset"].any()


def test_somebody_unknown_with_a_history_is_answered_like_the_user_whose_it_is(fitted: Als, dataset: Dataset) -> None:
    known = ask(dataset, np.arange(8))
    unknown = replace(known, users=np.full(8, UNKNOWN, np.int32))
    np.testing.assert_array_equal(fitted.embed_queries(unknown), fitted.embed_queries(known))


@pytest.mark.parametrize("user", ["fold_in", "history"])
def test_who_has_chosen_nothing_that_is_known_gets_what_suits_the_average_user(
    fitted: Als, dataset: Dataset, user: str
) -> None:
    model = AlsConfig.model_validate(CONFIG.model_dump() | {"user": user}).restore(fitted.state())
    queries = ask(dataset, np.array([UNKNOWN, UNKNOWN]))
    fresh = Histories(
        np.array([0, 0, 1]),
        np.array([len(dataset.catalogue) - 1], np.int32),
        np.ones(1, np.float32),
        np.zeros(1, np.int64),
    )
    found = model.users(replace(queries, histories=fresh))
    np.testing.assert_array_equal(found, np.tile(fitted.state().arrays["mean_user"], (2, 1)))


def test_fresh_items_come_last_for_everybody(fitted: Als, dataset: Dataset) -> None:
    retriever = IndexedRetriever(fitted, ExactIndex(fitted.embed_items(dataset)))
    found = retriever.retrieve(ask(dataset, np.arange(60)), len(dataset.catalogue))
    fresh = np.arange(len(dataset.catalogue) - LAST_FRESH, len(dataset.catalogue))
    assert (np.sort(found.items[:, -LAST_FRESH:], axis=1) == fresh).all()


def test_users_get_items_of_their_own_topic(fitted: Als) -> None:
    world = planted_world(n_users=60, n_items=40, n_days=14, n_fresh=LAST_FRESH)
    dataset = world.dataset(world.days[-1])
    retriever = IndexedRetriever(fitted, ExactIndex(fitted.embed_items(dataset)))
    found = retriever.retrieve(ask(dataset, np.arange(60)), 5).items
    of_own_topic = (world.topic_of[found] == world.group_of[:, None]).mean(axis=1)
    assert of_own_topic.mean() > 0.85
    assert of_own_topic[world.group_of == 1].mean() > 0.6, "popularity alone gives the smaller group nothing"


def test_similar_items_are_of_the_same_topic(fitted: Als, dataset: Dataset) -> None:
    world = planted_world(n_users=60, n_items=40, n_days=14, n_fresh=LAST_FRESH)
    vectors = fitted.embed_items(dataset)
    known = np.arange(len(dataset.catalogue) - LAST_FRESH)
    scores = (fitted.embed_seeds(vectors) @ vectors.T)[known]
    scores[known, known] = -np.inf
    nearest = np.argsort(-scores, axis=1)[:, :3]
    assert (world.topic_of[nearest] == world.topic_of[known][:, None]).mean() > 0.8


def test_the_solver_gives_the_same_bytes_on_any_number_of_threads(dataset: Dataset) -> None:
    chosen = sp.csr_matrix(summed_matrix(dataset.histories.positives(), len(dataset.catalogue)))
    found = []
    for threads in (1, 2, 3):
        with threadpool_limits(1, "blas"):
            model = AlternatingLeastSquares(factors=6, num_threads=threads, random_state=1)
            model.fit(chosen, show_progress=False)
        found.append((model.user_factors.tobytes(), model.item_factors.tobytes()))
    assert found[0] == found[1] == found[2]


def loss(model: Als, dataset: Dataset) -> float:
    """Hu, Koren, Volinsky's objective without its penalty, every pair written out."""
    chosen = weights_by_hand(dataset.histories, model.config, dataset.day, None)
    weights = np.array([[row.get(item, 0.0) for item in range(len(dataset.catalogue))] for row in chosen])
    scores = model.users(ask(dataset, np.arange(len(dataset.people)))) @ model.state().arrays["factors"].T
    return float(((1 + model.config.alpha * weights) * ((weights > 0) - scores) ** 2).sum())


def test_a_warm_start_goes_on_where_the_former_model_stood(dataset: Dataset) -> None:
    long = AlsConfig(dim=6, regularization=1.0, iterations=12, warm_iterations=1).fit(dataset, seed=1)
    cold = AlsConfig(dim=6, regularization=1.0, iterations=1).fit(dataset, seed=2)
    warm = AlsConfig(dim=6, regularization=1.0, iterations=12, warm_iterations=1).fit(
        dataset, seed=2, warm=long.state()
    )
    assert warm.state().facts["warm"] and not cold.state().facts["warm"]
    assert loss(warm, dataset) < 1.02 * loss(long, dataset) < loss(cold, dataset)


def test_a_former_state_of_another_width_is_no_start(dataset: Dataset, fitted: Als) -> None:
    wider = AlsConfig(dim=7, regularization=1.0, iterations=2).fit(dataset, seed=1, warm=fitted.state())
    assert not wider.state().facts["warm"]
    assert wider.state().arrays["factors"].shape == (len(dataset.catalogue), 7)
