"""The tower that reads sequences: order counts, the future does not, and what was learnt is carried over by id."""

import dataclasses

import numpy as np
import pytest
import torch

from retrieval.domain import DAY, Dataset, Histories, Queries
from retrieval.errors import ModelError
from retrieval.nets.sequence import SequenceTower
from retrieval.queries import ask
from retrieval.retrievers.sequence_tower import SequenceTowerConfig, last_places
from retrieval.synthetic import World, planted_world
from retrieval.training_sequences import SequenceModel, pack
from retrieval.vocabulary import Vocabulary

SEED, N_USERS, N_ITEMS = 5, 80, 30
CONFIG = SequenceTowerConfig(dim=16, length=8, ahead=1, epochs=30, learning_rate=0.01, places_per_step=400)


def in_circles(dataset: Dataset) -> Dataset:
    """Everybody goes round the first items, one step a day, from a start of their own: after i comes i + 1."""
    rng = np.random.default_rng(0)
    starts, n = rng.integers(0, N_ITEMS, N_USERS), 25
    users = np.repeat(np.arange(N_USERS), n)
    items = (np.repeat(starts, n) + np.tile(np.arange(n), N_USERS)) % N_ITEMS
    times = (dataset.day - n + np.tile(np.arange(n), N_USERS)) * DAY
    histories = Histories.build(users, items, np.ones(len(users)), times, len(dataset.people))
    return dataclasses.replace(dataset, histories=histories)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=N_USERS, n_items=50, n_days=6)
    return in_circles(world.dataset(world.days[-1]))


def best(fitted: object, dataset: Dataset, queries: Queries) -> np.ndarray:
    scores = fitted.embed_queries(queries) @ fitted.embed_items(dataset).T  # type: ignore[attr-defined]
    return scores.argmax(axis=1)


def test_what_comes_next_is_learnt_from_the_order_and_lost_without_it(dataset: Dataset) -> None:
    fitted = CONFIG.fit(dataset, seed=SEED)
    queries = ask(dataset, np.arange(N_USERS))
    newest = queries.histories.last(1).items
    assert (best(fitted, dataset, queries) == (newest + 1) % N_ITEMS).mean() > 0.95
    rng = np.random.default_rng(1)
    order = np.concatenate([part + rng.permutation(25) for part in queries.histories.offsets[:-1]])
    shuffled = dataclasses.replace(queries.histories, items=queries.histories.items[order])
    mixed = dataclasses.replace(queries, histories=shuffled)
    assert (best(fitted, dataset, mixed) == (newest + 1) % N_ITEMS).mean() < 0.3


def test_a_place_does_not_see_what_comes_after_it() -> None:
    torch.manual_seed(0)
    tower = SequenceTower(dim=6, length=4, n_blocks=2, dropout=0.5).eval()
    places, is_choice = torch.randn(1, 12, 6), torch.ones(1, 12, 1)
    read = tower(places, is_choice)
    later = places.clone()
    later[:, 7:] += 3
    assert torch.equal(tower(later, is_choice)[:, :7], read[:, :7])
    earlier = places.clone()
    earlier[:, 3] = torch.randn(6)  # two kernels of 4 reach back over 7 places
    assert not torch.allclose(tower(earlier, is_choice)[:, 9], read[:, 9])
    assert torch.allclose(tower(earlier, is_choice)[:, 10], read[:, 10])


def test_users_packed_side_by_side_are_read_as_if_alone() -> None:
    torch.manual_seed(0)
    tower, table = SequenceTower(dim=6, length=4, n_blocks=2, dropout=0.0).eval(), torch.randn(40, 6)
    histories = Histories.build(np.repeat([0, 2, 3], [5, 9, 1]), np.arange(15) * 2, np.ones(15), np.arange(15) * DAY, 4)
    packed = pack(histories, apart=3, ahead=2)
    is_choice = torch.from_numpy(packed.is_choice)[None, :, None]
    together = tower(table[torch.from_numpy(packed.items)][None] * is_choice, is_choice)[0]
    asked, chosen, rows, steps = [], [], [], []
    for user in range(4):
        items = histories.items[histories.offsets[user] : histories.offsets[user + 1]]
        if not len(items):
            continue
        alone = tower(table[torch.from_numpy(items.astype(np.int64))][None], torch.ones(1, len(items), 1))[0]
        for place in range(len(items) - 1):
            for step in (1, 2)[: len(items) - 1 - place]:
                rows.append(len(asked))
                chosen.append(items[place + step])
                steps.append(step)
            asked.append(alone[place])
    assert (packed.rows.tolist(), packed.chosen.tolist(), packed.steps.tolist()) == (rows, chosen, steps)
    assert torch.allclose(together[torch.from_numpy(packed.asked)], torch.stack(asked), atol=1e-5)


def test_last_places_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(2)
    users = np.sort(rng.integers(0, 6, 30))
    histories = Histories.build(users, rng.integers(0, 9, 30), np.ones(30), np.arange(30), 7)
    items, is_choice = last_places(histories, 4)
    for user in range(7):
        wanted = histories.items[histories.offsets[user] : histories.offsets[user + 1]][-4:].tolist()
        assert items[user][is_choice[user]].tolist() == wanted
        assert is_choice[user].tolist() == [False] * (4 - len(wanted)) + [True] * len(wanted)


def test_a_question_is_answered_as_the_tower_was_trained(dataset: Dataset) -> None:
    """ONNX Runtime with the newest places alone, against torch over the whole history."""
    config = CONFIG.model_copy(update={"epochs": 1, "n_blocks": 2})
    fitted = config.fit(dataset, seed=SEED)
    state = fitted.state()
    model = SequenceModel(fitted.n_items, config, torch.Generator().manual_seed(0))
    model.carry_over(state, Vocabulary(state.strings["items"], "item"))
    model.eval()
    queries = ask(dataset, np.arange(5))
    found = fitted.embed_queries(queries)
    for user in range(5):
        items = torch.from_numpy(queries.histories.take(np.array([user])).items.astype(np.int64))
        with torch.no_grad():
            wanted = model.tower(model.items[items][None], torch.ones(1, len(items), 1))[0, -1]
        np.testing.assert_allclose(found[user, : config.dim], wanted.numpy(), atol=1e-3)


@pytest.mark.slow
def test_learning_goes_on_where_it_stood_whatever_the_rows(dataset: Dataset) -> None:
    fitted = CONFIG.fit(dataset, seed=SEED)
    fewer = CONFIG.model_copy(update={"warm_epochs": 1, "learning_rate": 1e-6})
    again = fewer.fit(dataset, seed=SEED + 1, warm=fitted.state())
    assert again.state().facts["warm"] is True
    np.testing.assert_allclose(again.state().arrays["items"], fitted.state().arrays["items"], atol=1e-3)
    wider = fewer.model_copy(update={"dim": 8}).fit(dataset, seed=SEED, warm=fitted.state())
    assert wider.state().facts["warm"] is False


def half_known(world: World) -> tuple[Dataset, np.ndarray]:
    """A world whose every third item nobody chose, and which items were chosen."""
    dataset = world.dataset(world.days[-1])
    dataset = dataclasses.replace(dataset, histories=dataset.histories.where(dataset.histories.items % 3 != 0))
    counts = np.bincount(dataset.histories.positives().items, minlength=len(dataset.catalogue))
    return dataset, counts > 0


def test_items_that_nobody_chose_come_last_for_everybody_and_for_everything() -> None:
    dataset, is_met = half_known(planted_world(n_users=N_USERS, n_items=60, n_days=12))
    assert 20 <= (~is_met).sum() <= 40
    fitted = CONFIG.model_copy(update={"epochs": 8}).fit(dataset, seed=SEED)
    items = fitted.embed_items(dataset)
    wanted = fitted.embed_queries(ask(dataset, np.arange(N_USERS)))
    scores = wanted @ items.T
    exact = wanted[:, : CONFIG.dim] @ fitted.state().arrays["items"].T + fitted.state().arrays["worth"]
    assert (exact[:, is_met] < 0).any(), "a zero would stand above these"
    np.testing.assert_allclose(scores[:, is_met], exact[:, is_met], rtol=1e-3, atol=1e-3)
    alike = fitted.embed_seeds(items) @ items.T
    for found in (scores, alike):
        assert (found[:, ~is_met].max(axis=1) < found[:, is_met].min(axis=1)).all()
    assert len(np.unique(items, axis=0)) == len(items), "a graph links what lies in one point with itself alone"


def test_what_is_like_an_item_is_told_by_its_direction_and_like_an_unmet_one_by_length() -> None:
    dataset, is_met = half_known(planted_world(n_users=N_USERS, n_items=60, n_days=12))
    fitted = CONFIG.model_copy(update={"epochs": 2}).fit(dataset, seed=SEED)
    items, own = fitted.embed_items(dataset), fitted.state().arrays["items"]
    met = np.flatnonzero(is_met)
    found = fitted.embed_seeds(items) @ items[met].T
    directions = own[met] / np.linalg.norm(own[met], axis=1, keepdims=True)
    np.testing.assert_allclose(found[met], directions @ own[met].T, rtol=1e-4, atol=1e-5)
    lengths = np.linalg.norm(items[met, :-2], axis=1)  # all but what holds unknown ones behind and the made-up length
    assert (found[~is_met].argmax(axis=1) == lengths.argmin()).all()


def test_few_items_are_drawn_from_a_large_catalogue(dataset: Dataset) -> None:
    drawn = CONFIG.model_copy(update={"uniform_negatives": 10}).fit(dataset, seed=SEED)
    queries = ask(dataset, np.arange(N_USERS))
    newest = queries.histories.last(1).items
    assert (best(drawn, dataset, queries) == (newest + 1) % N_ITEMS).mean() > 0.8


def test_one_choice_each_is_no_order(dataset: Dataset) -> None:
    alone = dataclasses.replace(dataset, histories=dataset.histories.last(1))
    with pytest.raises(ModelError, match=r"nobody chose twice before .*Land more days, or leave the source out"):
        CONFIG.fit(alone, seed=SEED)
