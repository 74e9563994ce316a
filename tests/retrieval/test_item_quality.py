"""How good answers about items are, counted by hand."""

import numpy as np
import pytest

from retrieval.domain import UNKNOWN, Candidates, Dataset, Ragged
from retrieval.item_quality import ItemHoldout, ItemJudge, narrowest_topics, shared_topics
from retrieval.queries import ask_about
from retrieval.retrievers.heads import merged
from retrieval.similarity import name_of
from retrieval.synthetic import errands_world
from retrieval.text import HashedEncoder

WORLD = errands_world(n_users=30, n_days=6)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return WORLD.dataset(WORLD.days[-1], HashedEncoder(32))


def ranking(rows: list[list[int]]) -> Candidates:
    items = np.array(rows, np.int32)
    return Candidates(items, np.where(items == UNKNOWN, -np.inf, -np.arange(items.shape[1])).astype(np.float32))


def topics_of(dataset: Dataset, item: int | np.int64) -> set[int]:
    return set(dataset.catalogue.topics.row(int(item)).tolist())


def test_topics_are_counted_as_sets_are(dataset: Dataset) -> None:
    triggers, answers = np.array([0, 5, 9]), np.array([[4, 1, 8], [1, 9, 13], [5, 0, 9]])
    found = shared_topics(dataset.catalogue, triggers, answers)
    wanted = [
        [len(topics_of(dataset, t) & topics_of(dataset, a)) for a in row]
        for t, row in zip(triggers, answers, strict=True)
    ]
    assert found.tolist() == wanted
    assert narrowest_topics(dataset.catalogue)[5] == dataset.catalogue.topics.row(5)[-1]


def test_the_day_asks_about_what_goes_together_on_it(dataset: Dataset) -> None:
    day = WORLD.held_out(WORLD.days[-1])
    holdout = ItemHoldout.of(dataset, day, window_days=0.001, max_triggers=1000, seed=1)
    baskets = {}
    for user, time, item in zip(day.owners(), day.times, day.items, strict=True):
        baskets.setdefault((user, time), set()).add(int(item))
    wanted: dict[int, set[int]] = {}
    for basket in baskets.values():
        for trigger in basket:
            wanted.setdefault(trigger, set()).update(basket - {trigger})
    wanted = {trigger: targets for trigger, targets in wanted.items() if targets}
    assert holdout.triggers.tolist() == sorted(wanted)
    for row, trigger in enumerate(holdout.triggers):
        assert set(holdout.targets.row(row).tolist()) == wanted[int(trigger)]
    chosen = day.seen()
    assert all(trigger in chosen.row(int(user)) for trigger, user in zip(holdout.triggers, holdout.users, strict=True))


def test_triggers_are_drawn_where_there_are_more_than_asked_for(dataset: Dataset) -> None:
    day = WORLD.held_out(WORLD.days[-1])
    whole = ItemHoldout.of(dataset, day, 5.0, 1000, seed=1)
    some = ItemHoldout.of(dataset, day, 5.0, 7, seed=1)
    assert len(some) == 7 and set(some.triggers.tolist()) < set(whole.triggers.tolist())
    np.testing.assert_array_equal(some.queries.histories.items, some.triggers)


def test_figures_are_those_of_counting(dataset: Dataset) -> None:
    triggers = np.array([0, 1], np.int32)
    targets = Ragged(np.array([0, 2, 3]), np.array([2, 4, 3], np.int32))
    holdout = ItemHoldout(ask_about(dataset, triggers), triggers, targets, np.array([0, 1]))
    found = ranking([[4, 8, 3, UNKNOWN], [3, 5, UNKNOWN, UNKNOWN]])
    columns = ItemJudge(dataset, holdout, 1).columns(found)
    assert columns["recall_at_10"].tolist() == [0.5, 1.0]
    for row, items in enumerate([[4, 8, 3], [3, 5]]):
        own = topics_of(dataset, int(triggers[row]))
        assert columns["broad_at_100"][row] == np.mean([bool(topics_of(dataset, i) & own) for i in items])
        assert columns["narrow_at_100"][row] == np.mean([topics_of(dataset, i) >= own for i in items])
        vectors = dataset.text_vectors[dataset.catalogue.text_rows]
        assert columns["teacher_at_100"][row] == pytest.approx(
            np.mean(vectors[items] @ vectors[triggers[row]]), abs=1e-5
        )
        history = dataset.histories.take(np.array([row])).items
        last = narrowest_topics(dataset.catalogue)
        assert columns["novelty_at_100"][row] == pytest.approx(np.mean([last[i] not in last[history] for i in items]))
        assert columns["fresh_at_100"][row] == np.mean(
            [dataset.catalogue.first_seen[i] >= dataset.day - 7 for i in items]
        )


def test_a_merge_takes_its_share_of_each_head() -> None:
    found = {"engagement": ranking([[1, 2, 3, 4]]), "relevance": ranking([[5, 6, 7, 8]])}
    assert merged(found, 100.0, 8).items[0, :4].tolist() == [1, 2, 3, 4]
    assert sorted(merged(found, 50.0, 8).items[0, :4].tolist()) == [1, 2, 5, 6]
    assert name_of("mtmh", "merged", 50.0) == "mtmh merged α=50"
