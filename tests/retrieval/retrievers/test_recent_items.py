"""Only what was touched last counts, the later the more, through the family that the recipe names."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter

from retrieval.domain import DAY, Dataset, Histories
from retrieval.interactions import last_steps, steps_ago
from retrieval.queries import ask
from retrieval.retrievers import AnyFamily
from retrieval.retrievers.ease import EaseConfig
from retrieval.retrievers.item_knn import ItemKnnConfig
from retrieval.retrievers.recent_items import ItemToItem, RecentItemsConfig
from retrieval.retrievers.sequential_linear import SequentialLinearConfig
from retrieval.synthetic import planted_world

THROUGH: tuple[ItemToItem, ...] = (
    ItemKnnConfig(min_users=1),
    EaseConfig(ridge=5.0),
    SequentialLinearConfig(ridge=5.0),
)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=40, n_items=30, n_days=10)
    return world.dataset(world.days[-1])


@pytest.mark.parametrize("through", THROUGH, ids=lambda through: through.kind)
def test_old_items_make_no_difference(dataset: Dataset, through: ItemToItem) -> None:
    fitted = RecentItemsConfig(last=2, through=through).fit(dataset, seed=0)
    queries = ask(dataset, np.arange(40))
    recent = replace(queries, histories=last_steps(queries.histories.positives(), 2))
    assert recent.histories.n_events < queries.histories.positives().n_events
    whole, short = fitted.retrieve(queries, 8), fitted.retrieve(recent, 8)
    np.testing.assert_array_equal(whole.items, short.items)
    np.testing.assert_array_equal(whole.scores, short.scores)
    longer = RecentItemsConfig(last=4, through=through).fit(dataset, seed=0).retrieve(queries, 8)
    assert (longer.items != whole.items).any()


def test_each_step_counts_less_than_the_next_however_old_it_is(dataset: Dataset) -> None:
    fitted = RecentItemsConfig(last=3, decay=0.5, through=THROUGH[0]).fit(dataset, seed=0)
    similarity = THROUGH[0].fit(dataset, seed=0).neighbours.toarray()  # type: ignore[union-attr]
    items, long_ago = np.array([3, 7, 5, 1]), (dataset.day - 300) * DAY
    times = long_ago + np.array([0, DAY, 90 * DAY, 90 * DAY])  # the last two at once
    histories = Histories.build(np.zeros(4, int), items, np.ones(4), times, 1)
    queries = replace(ask(dataset, np.array([0])), histories=histories)
    found = fitted.retrieve(queries, 5)
    weights = 0.5 ** steps_ago(histories)
    assert weights.tolist() == [0.25, 0.5, 1.0, 1.0]
    scores = weights @ similarity[histories.items]
    np.testing.assert_allclose(found.scores[0], np.sort(scores)[::-1][:5], rtol=1e-4)


def test_a_recipe_names_the_family_by_its_kind() -> None:
    table = {"kind": "recent_items", "last": 5, "through": {"kind": "ease", "ridge": 9.0}}
    config = TypeAdapter(AnyFamily).validate_python(table)
    assert config == RecentItemsConfig(last=5, through=EaseConfig(ridge=9.0))


def test_the_state_of_the_family_lies_under_a_prefix(dataset: Dataset) -> None:
    state = RecentItemsConfig(through=EaseConfig()).fit(dataset, seed=0).state()
    assert set(state.arrays) == {"through.items", "through.weights"}
    assert set(state.facts) == {"through.n_items"}
