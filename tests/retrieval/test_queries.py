"""Questions of people nobody knows: their history keeps its order, and ends as the question is asked."""

import numpy as np
import pytest

from retrieval.domain import DAY, Dataset, Ragged
from retrieval.queries import ask_newly
from retrieval.retrievers.ease import EaseConfig
from retrieval.retrievers.recent_items import RecentItemsConfig
from retrieval.synthetic import planted_world


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=60, n_items=50, n_days=10)
    return world.dataset(world.days[-1])


def test_items_are_a_second_apart_and_the_last_was_chosen_just_now(dataset: Dataset) -> None:
    asked = ask_newly(
        dataset, [np.array([4, 2, 9], np.int32), np.zeros(0, np.int32), np.array([7], np.int32)], Ragged.empty(3)
    )
    now = dataset.day * DAY
    assert asked.histories.items.tolist() == [4, 2, 9, 7]
    assert asked.histories.times.tolist() == [now - 3, now - 2, now - 1, now - 1]


def test_who_chose_the_same_in_another_order_gets_something_else(dataset: Dataset) -> None:
    bread, pot = 0, 1
    forth, back = np.array([bread, pot], np.int32), np.array([pot, bread], np.int32)
    fitted = RecentItemsConfig(last=1, through=EaseConfig(ridge=5.0)).fit(dataset, seed=1)
    found = fitted.retrieve(ask_newly(dataset, [forth, back, back[1:]], Ragged.empty(3)), 5)
    assert found.items[1].tolist() == found.items[2].tolist(), "the last item alone counts"
    assert found.items[0].tolist() != found.items[1].tolist()
