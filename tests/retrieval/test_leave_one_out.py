"""Leaving one out asks for each user's last positive, and nothing of it or after it is learnt."""

import numpy as np
import pytest

from retrieval.domain import Dataset
from retrieval.leave_one_out import leave_one_out
from retrieval.synthetic import planted_world

SEED = 3


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=40, n_items=24, n_days=8)
    return world.dataset(world.days[-1])


def events_of(dataset: Dataset, user: int) -> list[tuple[int, float]]:
    histories = dataset.histories
    span = slice(histories.offsets[user], histories.offsets[user + 1])
    return list(zip(histories.items[span].tolist(), histories.weights[span].tolist(), strict=True))


@pytest.mark.parametrize("min_history", [0, 1, 4])
def test_each_user_is_split_at_the_last_positive(dataset: Dataset, min_history: int) -> None:
    learnt, holdout = leave_one_out(dataset, min_history=min_history, max_users=1000, seed=SEED)
    asked = {int(user): row for row, user in enumerate(holdout.queries.users)}
    for user in range(len(dataset.people)):
        events = events_of(dataset, user)
        positives = [place for place, (_, weight) in enumerate(events) if weight > 0]
        assert (user in asked) == (len(positives) > min_history)
        if user not in asked:
            assert events_of(learnt, user) == events
            continue
        row = asked[user]
        assert holdout.targets.row(row).tolist() == [events[positives[-1]][0]]
        assert events_of(learnt, user) == events[: positives[-1]]
        span = slice(holdout.queries.histories.offsets[row], holdout.queries.histories.offsets[row + 1])
        assert holdout.queries.histories.items[span].tolist() == [item for item, _ in events[: positives[-1]]]


def test_new_pairs_of_it_are_the_last_choices_never_chosen_before(dataset: Dataset) -> None:
    _, holdout = leave_one_out(dataset, max_users=1000, seed=SEED)
    new = holdout.new_only()
    assert 0 < len(new.queries) < len(holdout.queries)
    for row in range(len(new.queries)):
        assert new.targets.row(row)[0] not in new.queries.excluded.row(row)


def test_too_many_users_are_sampled_and_all_are_learnt_from_alike(dataset: Dataset) -> None:
    whole, _ = leave_one_out(dataset, max_users=1000, seed=SEED)
    learnt, few = leave_one_out(dataset, max_users=5, seed=SEED)
    assert len(few.queries) == len(few.targets) == 5
    np.testing.assert_array_equal(learnt.histories.offsets, whole.histories.offsets)
