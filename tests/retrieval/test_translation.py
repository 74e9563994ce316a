"""Another release is asked in its own rows and answers in ours; what only one of them knows is left out."""

import numpy as np
import pytest

from retrieval.domain import UNKNOWN, Candidates, Dataset
from retrieval.queries import ask
from retrieval.synthetic import planted_world
from retrieval.translation import Translation

WORLD = planted_world(n_users=30, n_items=40, n_fresh=6, n_days=8)


@pytest.fixture(scope="module")
def ours() -> Dataset:
    return WORLD.dataset(WORLD.days[-1])


@pytest.fixture(scope="module")
def theirs() -> Dataset:
    return WORLD.dataset(WORLD.days[-2])


def test_a_question_means_the_same_by_its_ids(ours: Dataset, theirs: Dataset) -> None:
    assert len(theirs.catalogue) < len(ours.catalogue)
    users = np.arange(len(ours.people))
    queries = ask(ours, users).without_seen()
    asked = Translation.between(ours, theirs).question(queries)
    assert asked.day == queries.day
    assert len(asked.eligible) == len(theirs.catalogue)
    for row in (0, 7, 29):
        own, other = queries.histories.take(np.array([row])), asked.histories.take(np.array([row]))
        known = set(theirs.catalogue.ids.ids.to_pylist())
        assert theirs.catalogue.ids.names(other.items) == [
            id_ for id_ in ours.catalogue.ids.names(own.items) if id_ in known
        ]
        assert theirs.people.ids.names([int(asked.users[row])]) == ours.people.ids.names([row])
        assert set(theirs.catalogue.ids.names(asked.excluded.row(row))) <= known


def test_answers_come_back_by_id_and_keep_their_places(ours: Dataset, theirs: Dataset) -> None:
    translation = Translation.between(ours, theirs)
    rows = np.arange(len(theirs.catalogue), dtype=np.int32)[None]
    back = translation.answer(Candidates(rows, np.zeros(rows.shape, np.float32)))
    assert ours.catalogue.ids.names(back.items[0]) == theirs.catalogue.ids.names(rows[0])
    padded = translation.answer(Candidates(np.array([[UNKNOWN, 0]], np.int32), np.zeros((1, 2), np.float32)))
    assert padded.items[0, 0] == UNKNOWN


def test_what_only_they_know_leaves_its_place_empty(ours: Dataset, theirs: Dataset) -> None:
    translation = Translation.between(theirs, ours)
    fresh = ours.catalogue.fresh(ours.day)
    rows = np.arange(len(ours.catalogue), dtype=np.int32)[None]
    back = translation.answer(Candidates(rows, np.zeros(rows.shape, np.float32)))
    assert np.array_equal(back.items[0] == UNKNOWN, fresh)
