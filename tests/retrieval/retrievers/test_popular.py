"""Popularity is a decayed count of positives: everybody's, or those of the user's segment where it says enough."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from retrieval.domain import DAY, UNKNOWN, Dataset, Histories, Ragged
from retrieval.errors import ModelError
from retrieval.queries import ask
from retrieval.retrievers.popular import PopularConfig
from retrieval.synthetic import planted_world
from retrieval.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=40, n_items=24, n_days=12)
    return world.dataset(world.days[-1])


@pytest.mark.parametrize(("window_days", "half_life_days"), [(90, 14.0), (5, 2.0)])
def test_counts_are_those_of_a_counter_with_decay(dataset: Dataset, window_days: int, half_life_days: float) -> None:
    counter: Counter[int] = Counter()
    events = dataset.histories
    for item, weight, time in zip(events.items.tolist(), events.weights.tolist(), events.times.tolist(), strict=True):
        age = (dataset.day * DAY - time) / DAY
        if weight > 0 and age <= window_days:
            counter[item] += weight * 0.5 ** (age / half_life_days)
    fitted = PopularConfig(window_days=window_days, half_life_days=half_life_days).fit(dataset, seed=0)
    np.testing.assert_allclose(fitted.counts, [counter[item] for item in range(len(dataset.catalogue))], rtol=1e-5)


def test_everybody_gets_the_same_ranking(dataset: Dataset) -> None:
    found = PopularConfig().fit(dataset, seed=0).retrieve(ask(dataset, np.arange(5)), 4)
    assert (found.items == found.items[0]).all()


def test_what_nobody_chose_is_no_candidate(dataset: Dataset) -> None:
    fitted = PopularConfig().fit(dataset, seed=0)
    found = fitted.retrieve(ask(dataset, np.arange(1)), len(dataset.catalogue))
    chosen = set(np.flatnonzero(fitted.counts > 0).tolist())
    assert set(found.items[0][found.items[0] >= 0].tolist()) == chosen
    assert len(chosen) < len(dataset.catalogue), "the planted fresh items were chosen by nobody"


def small_world(features: list[list[int]]) -> Dataset:
    """Six users: four of the south choose item 0, one of the north item 1, and one without a store item 2."""
    world = planted_world(n_users=6, n_items=4, n_fresh=0, n_days=2)
    dataset = world.dataset(world.days[-1])
    items = [0, 0, 0, 0, 0, 1, 2]
    users = [0, 0, 1, 2, 3, 4, 5]
    times = np.full(7, dataset.day * DAY - 100)
    owners = np.repeat(np.arange(6), [len(row) for row in features])
    values = np.array([value for row in features for value in row])
    names = Vocabulary.of(pa.array(["age=old", "age=young", "store=north", "store=south"]), "user feature")
    people = replace(dataset.people, features=Ragged.from_owners(owners, values, 6), feature_names=names)
    histories = Histories.build(np.array(users), np.array(items), np.ones(7), times, 6)
    return replace(dataset, people=people, histories=histories)


OLD, YOUNG, NORTH, SOUTH = range(4)
FEATURES = [[OLD, SOUTH], [SOUTH], [SOUTH], [SOUTH], [YOUNG, NORTH], [OLD]]


def test_a_segment_counts_its_own_choices_and_everybodys_fill_the_rest() -> None:
    dataset = small_world(FEATURES)
    found = (
        PopularConfig(segments=("store",), min_events=1).fit(dataset, seed=0).retrieve(ask(dataset, np.arange(6)), 4)
    )
    assert found.items[0].tolist() == [0, 1, 2, UNKNOWN], "the south's own, then everybody's"
    assert found.items[4].tolist() == [1, 0, 2, UNKNOWN], "the north's own first, though the south chose more"
    assert found.items[5].tolist() == [0, 1, 2, UNKNOWN], "everybody's, for who has no store"


def test_a_thin_segment_goes_by_the_next_field_and_at_last_by_everybody() -> None:
    dataset = small_world(FEATURES)
    queries = ask(dataset, np.append(np.arange(6), UNKNOWN))
    fitted = PopularConfig(segments=("store", "age"), min_events=3).fit(dataset, seed=0)
    assert fitted.features.tolist() == [SOUTH, OLD], "the north has one choice, the young have one"
    assert fitted.retrieve(queries, 3).items.tolist() == [
        [0, 1, 2],  # the south's, though also old
        [0, 1, 2],
        [0, 1, 2],
        [0, 1, 2],
        [0, 1, 2],  # the north and the young are too few: everybody's
        [0, 2, 1],  # the old choose items 0 and 2
        [0, 1, 2],
    ]


def test_segments_of_a_mixed_batch_are_those_of_each_query_alone(dataset: Dataset) -> None:
    config = PopularConfig(segments=("usual store", "age"), min_events=200)
    fitted, queries = config.fit(dataset, seed=0), ask(dataset, np.arange(40)).without_seen()
    assert len(set(fitted._segments_of(queries).tolist())) > 2
    together = fitted.retrieve(queries, 6)
    for row in range(40):
        alone = fitted.retrieve(queries.take(np.array([row])), 6)
        np.testing.assert_array_equal(together.items[row], alone.items[0])


def test_a_field_that_users_do_not_have_is_refused_with_those_they_have(dataset: Dataset) -> None:
    with pytest.raises(ModelError, match="names 'shop', but the users' fields are: age, usual store"):
        PopularConfig(segments=("age", "shop")).fit(dataset, seed=0)


def test_a_segment_whose_choices_are_too_old_to_count_goes_by_everybodys(dataset: Dataset) -> None:
    config = PopularConfig(segments=("age",), min_events=1, half_life_days=0.01)
    old = dataset.histories.where(dataset.histories.times < (dataset.day - 5) * DAY)
    fitted = config.fit(replace(dataset, histories=old), seed=0)
    assert (len(fitted.features), fitted.counts.max()) == (0, 0)
    assert (fitted.retrieve(ask(dataset, np.arange(3)), 2).items == UNKNOWN).all()


def test_counts_of_segments_are_those_of_their_users(dataset: Dataset) -> None:
    fitted = PopularConfig(segments=("age",), min_events=1).fit(dataset, seed=0)
    for place, feature in enumerate(fitted.features):
        members = [user for user in range(40) if feature in dataset.people.features.row(user)]
        theirs = dataset.histories.where(np.isin(dataset.histories.owners(), members))
        alone = PopularConfig().fit(replace(dataset, histories=theirs), seed=0)
        np.testing.assert_allclose(fitted.segment_counts[[place]].toarray()[0], alone.counts, rtol=1e-5)
