"""Sources are asked deeper only where that may fill a list that caps left short, only so deep, in blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from retrieval.blend import BlendConfig, QuotaConfig, RankFusionConfig
from retrieval.domain import UNKNOWN, Candidates, Dataset, Queries, State
from retrieval.merging import DEEPEST, Merge, blended, rounds
from retrieval.policies import Cap, Policies
from retrieval.queries import ask
from retrieval.retrievers.protocol import Retriever
from retrieval.search import rank_alike
from retrieval.synthetic import planted_world

WORLD = planted_world(n_users=30, n_items=200, n_days=4)
N = 200


@dataclass(frozen=True)
class Ordered:
    """A source that names items in one order, and remembers how many questions it was asked how deep."""

    order: Sequence[int]
    n_items: int = N
    asked: list[tuple[int, int]] = field(default_factory=list)

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        self.asked.append((len(queries), k))
        scores = np.full(self.n_items, -np.inf, np.float32)
        scores[list(self.order)] = -np.arange(len(self.order))
        return rank_alike(scores, queries, k)

    def state(self) -> State:
        return State()

    @property
    def depths(self) -> list[int]:
        return [depth for _, depth in self.asked]


@pytest.fixture(scope="module")
def queries() -> Queries:
    dataset: Dataset = WORLD.dataset(WORLD.days[-1])
    everything = replace(ask(dataset, np.arange(30)), eligible=np.ones(N, bool))
    return everything.without_seen()


def capped(values: np.ndarray, most: int, blend: BlendConfig | None = None) -> Merge:
    """Caps over a blend that takes no more of a source than is to be shown."""
    policies = Policies(caps=(Cap("cap", most, values.astype(np.int32)),))
    return Merge(blend or RankFusionConfig(depth=1), policies)


def by_hand(order: Sequence[int], excluded: set[int], values: np.ndarray, most: int, k: int) -> list[int]:
    """A walk down the whole order."""
    shown: list[int] = []
    for item in order:
        if len(shown) < k and item not in excluded and sum(values[i] == values[item] for i in shown) < most:
            shown.append(item)
    return shown


def test_caps_that_cannot_be_filled_ask_no_deeper(queries: Queries) -> None:
    values = np.arange(N) % 3
    source = Ordered(range(N))
    found = blended({"a": source}, capped(values, 2), queries, 12)
    assert ((found.items != UNKNOWN).sum(axis=1) == 6).all(), "three values, two of each"
    assert source.depths == [12]


def test_a_condition_on_what_is_capped_asks_no_deeper(queries: Queries) -> None:
    values = np.arange(N) % 3
    source = Ordered(range(N))
    found = blended({"a": source}, capped(values, 2), replace(queries, eligible=values == 1), 12)
    assert ((found.items != UNKNOWN).sum(axis=1) == 2).all()
    assert source.depths == [12]


def test_a_list_that_stays_short_is_looked_for_down_to_the_limit_alone(queries: Queries) -> None:
    values = (np.arange(N) >= 150).astype(int)
    source = Ordered(range(N))
    found = blended({"a": source}, capped(values, 1), queries, 2)
    assert source.depths == [2, 8, 2 * DEEPEST], "the second value begins at place 150"
    assert ((found.items != UNKNOWN).sum(axis=1) == 1).all()
    deeper = Ordered(range(N))
    found = blended({"a": deeper}, capped(values, 5), queries, 10)
    assert deeper.depths == [10, 40, 160]
    assert (found.items != UNKNOWN).all(), "160 places hold five of each"


def test_no_more_is_asked_for_than_may_be_shown(queries: Queries) -> None:
    values = (np.arange(N) >= 40).astype(int)
    source = Ordered(range(N))
    eligible = np.arange(N) < 50
    found = blended({"a": source}, capped(values, 3), replace(queries, eligible=eligible), 6)
    assert source.depths == [6, 24, 50]
    assert (found.items != UNKNOWN).sum(axis=1).max() == 6


@pytest.mark.parametrize("given", [False, True])
def test_a_source_that_does_not_count_makes_nobody_look_deeper(queries: Queries, given: bool) -> None:
    values = (np.arange(N) >= 100).astype(int)
    dry, full = Ordered(range(8)), Ordered(range(N))
    sources: dict[str, Retriever] = {"dry": dry, "full": full}
    merge = capped(values, 5, RankFusionConfig(depth=10, weights={"full": 0.0}))
    found = {name: source.retrieve(queries, 10) for name, source in sources.items()} if given else None
    before = len(dry.asked)
    shown = blended(sources, merge, queries, 10, found=found)
    assert len(dry.asked) == before + (not given) and len(full.asked) == given
    assert ((shown.items != UNKNOWN).sum(axis=1) <= 5).all()


def test_what_was_found_behind_the_pool_is_looked_at_where_sources_are_dry(queries: Queries) -> None:
    values = (np.arange(N) >= 20).astype(int)
    sources: dict[str, Retriever] = {"a": Ordered(range(40)), "b": Ordered(range(40))}
    shown = blended(sources, capped(values, 4, RankFusionConfig(depth=300)), queries, 8)
    for row, items in enumerate(shown.items.tolist()):
        assert items == by_hand(range(40), set(queries.excluded.row(row).tolist()), values, 4, 8)
    assert (shown.items != UNKNOWN).all()


@pytest.mark.parametrize("blend", [RankFusionConfig(depth=5), QuotaConfig(kind="quota", shares={"a": 1, "b": 2})])
@pytest.mark.parametrize("given", [False, True])
def test_lists_are_the_same_in_any_blocks(
    blend: BlendConfig, given: bool, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(2).integers(0, 3, N) * (np.arange(N) >= 30)
    merge = capped(values, 4, blend)
    both = [Ordered(range(N)), Ordered(np.random.default_rng(3).permutation(N).tolist())]
    sources: dict[str, Retriever] = dict(zip("ab", both, strict=True))
    depth = merge.depth(10, 2)
    found = {name: source.retrieve(queries, depth) for name, source in sources.items()} if given else None
    whole = blended(sources, merge, queries, 10, found=found)
    for source in both:
        source.asked.clear()
    monkeypatch.setattr("retrieval.merging.PLACES_AT_ONCE", 200)
    parts = list(rounds(sources, merge, queries, 10, found=found))
    assert max(len(part.rows) for part in parts) < len(queries)
    assert all(n_rows == 1 or n_rows * depth * 2 <= 200 for source in both for n_rows, depth in source.asked)
    again = blended(sources, merge, queries, 10, found=found)
    np.testing.assert_array_equal(again.items, whole.items)
    np.testing.assert_array_equal(again.scores, whole.scores)


def test_only_the_short_are_asked_again_and_get_what_a_walk_gives(queries: Queries) -> None:
    values = (np.arange(N) >= 22).astype(int)
    source = Ordered(range(N))
    shown = blended({"a": source}, capped(values, 4), queries, 5)
    lists = [by_hand(range(N), set(queries.excluded.row(row).tolist()), values, 4, 5) for row in range(len(queries))]
    assert shown.items.tolist() == lists
    n_asked, depths = zip(*source.asked, strict=True)
    assert depths == (5, 20, 80) and len(queries) == n_asked[0] >= n_asked[1] > n_asked[2] > 0
