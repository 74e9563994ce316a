"""What every family promises, whatever it has learnt: a new family is tested by one line in `SMALL`."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from retrieval.domain import UNKNOWN, Candidates, Dataset, Queries, State
from retrieval.index import IndexConfig, build_index
from retrieval.queries import ask
from retrieval.retrievers import FAMILIES
from retrieval.retrievers.als import AlsConfig
from retrieval.retrievers.bpr import BprConfig
from retrieval.retrievers.ease import EaseConfig
from retrieval.retrievers.explore import ExploreConfig
from retrieval.retrievers.indexed import embed, join
from retrieval.retrievers.item_knn import ItemKnnConfig
from retrieval.retrievers.mtmh import MtmhConfig
from retrieval.retrievers.popular import PopularConfig
from retrieval.retrievers.protocol import Encoder, FamilyConfig, Fitted, MultiHead, Retriever
from retrieval.retrievers.recent_items import RecentItemsConfig
from retrieval.retrievers.sequence_tower import SequenceTowerConfig
from retrieval.retrievers.sequential_linear import SequentialLinearConfig
from retrieval.retrievers.two_tower import ContentTwoTowerConfig, TwoTowerConfig
from retrieval.retrievers.user_knn import UserKnnConfig
from retrieval.spaces import Placed
from retrieval.synthetic import planted_world
from retrieval.text import HashedEncoder
from storage.states import read_state, write_state

SMALL: dict[str, FamilyConfig] = {
    "popular": PopularConfig(),
    "item_knn": ItemKnnConfig(min_users=1, neighbours=20),
    "user_knn": UserKnnConfig(neighbours=10),
    "ease": EaseConfig(ridge=5.0),
    "sequential_linear": SequentialLinearConfig(ridge=5.0),
    "recent_items": RecentItemsConfig(last=2, through=EaseConfig(ridge=5.0)),
    "als": AlsConfig(dim=6, iterations=3),
    "bpr": BprConfig(dim=6, iterations=5),
    "explore": ExploreConfig(),
    "two_tower": TwoTowerConfig(dim=8, uniform_negatives=32, min_history=1),
    "sequence_tower": SequenceTowerConfig(dim=8, length=6, epochs=2, uniform_negatives=16, places_per_step=200),
    "mtmh": MtmhConfig(dim=8, batch_size=256, uniform_negatives=16),
    "content_two_tower": ContentTwoTowerConfig(dim=8, uniform_negatives=32, min_history=1),
}
"""One quick configuration a family."""
SEED, K = 3, 12


@dataclass(frozen=True, slots=True)
class Case:
    """A family's configuration and what it has learnt from the planted world."""

    config: FamilyConfig
    fitted: Fitted
    dataset: Dataset

    def answer(self, fitted: Fitted, queries: Queries, k: int) -> Candidates:
        placed = {
            head: Placed(build_index(space.searched, IndexConfig()), space)
            for head, space in embed(fitted, self.dataset).items()
        }
        return join(fitted, placed).retrieve(queries, k)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=60, n_items=50, n_days=10)
    return world.dataset(world.days[-1], HashedEncoder(16))


@pytest.fixture(scope="module", params=[family.model_fields["kind"].default for family in FAMILIES])
def case(request: pytest.FixtureRequest, dataset: Dataset) -> Case:
    config = SMALL[request.param]
    return Case(config, config.fit(dataset, seed=SEED), dataset)


@pytest.fixture(scope="module")
def queries(dataset: Dataset) -> Queries:
    """Known users and an unknown one, items new to them only, a third of the catalogue not to be had."""
    users = np.append(np.arange(len(dataset.people)), UNKNOWN)
    eligible = np.random.default_rng(0).random(len(dataset.catalogue)) > 1 / 3
    return replace(ask(dataset, users), eligible=eligible).without_seen()


def assert_same(one: Candidates, other: Candidates) -> None:
    np.testing.assert_array_equal(one.items, other.items)
    np.testing.assert_array_equal(one.scores, other.scores)


def assert_same_state(one: State, other: State) -> None:
    assert set(one.arrays) == set(other.arrays)
    for name, array in one.arrays.items():
        assert array.dtype == other.arrays[name].dtype, name
        np.testing.assert_array_equal(array, other.arrays[name], err_msg=name)
    assert one.graphs == other.graphs
    assert one.facts == other.facts
    assert one.strings == other.strings


def test_every_family_is_under_this_contract() -> None:
    assert set(SMALL) == {family.model_fields["kind"].default for family in FAMILIES}
    assert all(isinstance(config, FAMILIES) for config in SMALL.values())


def test_a_fitted_family_is_a_retriever_or_an_encoder(case: Case) -> None:
    kinds = (Retriever, Encoder, MultiHead)
    assert sum(isinstance(case.fitted, kind) for kind in kinds) == 1


@pytest.mark.parametrize("k", [1, K, 80])
def test_candidates_keep_the_contract(case: Case, queries: Queries, k: int) -> None:
    found = case.answer(case.fitted, queries, k)
    assert found.items.shape == found.scores.shape == (len(queries), k)
    assert (found.items.dtype, found.scores.dtype) == (np.int32, np.float32)
    assert (found.items != UNKNOWN).any(), "somebody gets something"
    for row in range(len(queries)):
        items, scores = found.items[row].tolist(), found.scores[row].tolist()
        shown = [item for item in items if item != UNKNOWN]
        assert all(queries.eligible[item] for item in shown)
        assert not set(shown) & set(queries.excluded.row(row).tolist())
        assert len(set(shown)) == len(shown)
        assert items == shown + [UNKNOWN] * (k - len(shown))
        assert scores == sorted(scores, reverse=True)
        assert np.isfinite(scores[: len(shown)]).all()
        assert scores[len(shown) :] == [-np.inf] * (k - len(shown))


def test_a_shorter_answer_is_the_head_of_a_longer_one(case: Case, queries: Queries) -> None:
    longer, shorter = (case.answer(case.fitted, queries, k) for k in (len(case.dataset.catalogue), 5))
    np.testing.assert_allclose(shorter.scores, longer.scores[:, :5], rtol=1e-4, atol=1e-5)


def test_no_queries_get_no_answers(case: Case, queries: Queries) -> None:
    assert len(case.answer(case.fitted, queries.take(np.zeros(0, np.int64)), K)) == 0


def test_asking_changes_neither_queries_nor_model(case: Case, queries: Queries) -> None:
    weights, values = queries.histories.weights.copy(), queries.excluded.values.copy()
    first = case.answer(case.fitted, queries, K)
    assert_same(case.answer(case.fitted, queries, K), first)
    np.testing.assert_array_equal(queries.histories.weights, weights)
    np.testing.assert_array_equal(queries.excluded.values, values)


def test_state_survives_the_disk(case: Case, queries: Queries, tmp_path: Path) -> None:
    write_state(tmp_path, case.fitted.state())
    state = read_state(tmp_path)
    assert_same_state(state, case.fitted.state())
    restored = case.config.restore(state)
    assert_same(case.answer(restored, queries, K), case.answer(case.fitted, queries, K))


def test_state_holds_no_pickle(case: Case, tmp_path: Path) -> None:
    write_state(tmp_path, case.fitted.state())
    assert {path.suffix for path in tmp_path.iterdir()} <= {".npy", ".json", ".onnx", ".arrow"}
    for path in tmp_path.glob("*.npy"):
        assert not np.load(path, allow_pickle=False).dtype.hasobject


def test_the_same_seed_fits_the_same_state(case: Case) -> None:
    assert_same_state(case.config.fit(case.dataset, seed=SEED).state(), case.fitted.state())


def test_learning_goes_on_from_a_former_state(case: Case, queries: Queries) -> None:
    warmed = case.config.fit(case.dataset, seed=SEED, warm=case.fitted.state())
    assert (case.answer(warmed, queries, K).items != UNKNOWN).any()
