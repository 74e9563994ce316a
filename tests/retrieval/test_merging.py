"""Lists are as long as what may be shown allows, the same with threads and without, and say why each item is there."""

import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from retrieval.blend import BLEND, CalibratedConfig, QuotaConfig, RankFusionConfig, RoundRobinConfig
from retrieval.domain import UNKNOWN, Candidates, Dataset, Queries, State
from retrieval.evaluation import Holdout
from retrieval.fanout import WORTH_THREADS, fan_out
from retrieval.merging import Merge, answer, blended
from retrieval.metrics import Estimate
from retrieval.policies import PolicyConfig
from retrieval.policy_costs import TOGETHER, policy_costs
from retrieval.queries import ask, features_of
from retrieval.recommender import Snapshot
from retrieval.retrievers.item_knn import ItemKnnConfig
from retrieval.retrievers.popular import PopularConfig
from retrieval.retrievers.protocol import Retriever
from retrieval.synthetic import planted_world
from retrieval.text import HashedEncoder

WORLD = planted_world(n_users=80, n_items=90, n_days=10)
DAY = WORLD.days[-1]
BLENDS = [
    RankFusionConfig(depth=5),
    QuotaConfig(kind="quota", shares={"popular": 0.2, "item_knn": 0.8}, depth=5),
    RoundRobinConfig(kind="round_robin", depth=5),
    CalibratedConfig(kind="calibrated", depth=5),
]


@dataclass(frozen=True)
class Listed:
    """A source that always names the same items, and remembers the threads it was asked on."""

    items: Sequence[int]
    n_items: int
    threads: set[int]

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        self.threads.add(threading.get_ident())
        found = Candidates.none(len(queries), k)
        for row in range(len(queries)):
            barred = set(queries.excluded.row(row).tolist())
            allowed = [i for i in self.items if queries.eligible[i] and i not in barred][:k]
            found.items[row, : len(allowed)] = allowed
            found.scores[row, : len(allowed)] = -np.arange(len(allowed))
        return found

    def state(self) -> State:
        return State()


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return WORLD.dataset(DAY, HashedEncoder(16))


@pytest.fixture(scope="module")
def sources(dataset: Dataset) -> dict[str, Retriever]:
    return {
        "popular": PopularConfig().fit(dataset, seed=1),
        "item_knn": ItemKnnConfig(min_users=1, neighbours=20).fit(dataset, seed=1),
    }


@pytest.fixture(scope="module")
def queries(dataset: Dataset) -> Queries:
    return ask(dataset, np.arange(len(dataset.people))).without_seen()


def everything(dataset: Dataset) -> dict[str, Retriever]:
    n = len(dataset.catalogue)
    return {"a": Listed(range(n), n, set()), "b": Listed(range(n - 1, -1, -1), n, set())}


@pytest.mark.parametrize("blend", BLENDS, ids=lambda blend: blend.kind)
def test_lists_are_full_where_enough_may_be_shown(
    blend: RankFusionConfig, dataset: Dataset, sources: dict[str, Retriever], queries: Queries
) -> None:
    asked = replace(queries, eligible=dataset.catalogue.eligible(dataset.day))
    everything = sources["popular"].retrieve(asked, len(dataset.catalogue)).items
    for k in (3, 20, int((everything != UNKNOWN).sum(axis=1).min())):
        found = blended(sources, Merge(blend), asked, k)
        assert (found.items != UNKNOWN).all(), "the popular alone could fill it"
        for row, items in enumerate(found.items.tolist()):
            assert len(set(items)) == k and not set(items) & set(asked.excluded.row(row).tolist())


@pytest.mark.parametrize("blend", BLENDS, ids=lambda blend: blend.kind)
def test_caps_are_filled_from_deeper_down(blend: RankFusionConfig, dataset: Dataset, queries: Queries) -> None:
    policies = PolicyConfig.model_validate({"caps": [{"field": "topic1", "most": 4}], "over_fetch": 1}).of(dataset)
    topic = policies.caps[0].values
    bakery = np.flatnonzero(topic == topic[0])
    order = [*bakery.tolist(), *np.flatnonzero(topic != topic[0]).tolist()]
    listed: dict[str, Retriever] = {"item_knn": Listed(order, len(topic), set())}
    for n_sources in (1, 2):
        asked = listed if n_sources == 1 else listed | {"popular": Listed(bakery.tolist(), len(topic), set())}
        found = blended(asked, Merge(blend.among(list(asked)), policies), queries, 8)
        assert (found.items != UNKNOWN).all(), "8 of two topics exist, though 4 of the second come far down"
        for items in found.items:
            assert np.unique(topic[items], return_counts=True)[1].max() <= 4
        assert (blended(asked, Merge(blend.among(list(asked)), policies), queries, 9).items[:, 8] == UNKNOWN).all()


def test_threads_and_no_threads_find_the_same(sources: dict[str, Retriever], queries: Queries) -> None:
    assert len(queries) >= WORTH_THREADS
    ticks = itertools.count()
    clock = lambda: float(next(ticks))  # noqa: E731
    one, other = fan_out(sources, queries, 12, threads=False, clock=clock), fan_out(sources, queries, 12)
    assert list(one.candidates) == list(other.candidates) == list(sources)
    for name, found in one.candidates.items():
        np.testing.assert_array_equal(found.items, other.candidates[name].items)
        np.testing.assert_array_equal(found.scores, other.candidates[name].scores)
    assert one.microseconds == {"popular": 1e6, "item_knn": 1e6} and set(other.microseconds.values()) == {0}


def test_few_questions_make_no_threads(dataset: Dataset, queries: Queries) -> None:
    for rows, threads in ((1, True), (WORTH_THREADS - 1, True), (WORTH_THREADS, False)):
        asked = everything(dataset)
        fan_out(asked, queries.take(np.arange(rows)), 5, threads=threads)
        assert {t for s in asked.values() for t in s.threads} == {threading.get_ident()}  # type: ignore[attr-defined]
    asked = everything(dataset)
    fan_out(asked, queries.take(np.arange(WORTH_THREADS)), 5)
    assert threading.get_ident() not in {t for s in asked.values() for t in s.threads}  # type: ignore[attr-defined]


def test_an_answer_has_every_source_and_the_blend(sources: dict[str, Retriever], queries: Queries) -> None:
    merge = Merge(RankFusionConfig(depth=20, weights={"popular": 0}))
    found = answer(sources, merge, queries, 5)
    assert list(found) == ["popular", "item_knn", BLEND]
    np.testing.assert_array_equal(found[BLEND].items, blended(sources, merge, queries, 5).items)
    np.testing.assert_array_equal(found["popular"].items, sources["popular"].retrieve(queries, 5).items)


def test_what_policies_cost_is_told_for_all_and_for_each(dataset: Dataset, sources: dict[str, Retriever]) -> None:
    config = {"boosts": [{"feature": "brand=acme", "factor": 50.0}], "caps": [{"field": "brand", "most": 60}]}
    merge = Merge(RankFusionConfig(), PolicyConfig.model_validate(config).of(dataset))
    holdout = Holdout.of(dataset, WORLD.held_out(DAY), 1000, 1)
    found = fan_out(sources, holdout.queries, merge.depth(100, 2)).candidates
    shown = blended(sources, merge, holdout.queries, 100, found=found)
    together, boost, cap = policy_costs(sources, merge, found, shown, holdout, 5)
    assert [cost.policy for cost in (together, boost, cap)] == [TOGETHER, "boost brand=acme", "cap brand"]
    assert together.recall_at_10 == boost.recall_at_10, "so wide a cap changes nothing"
    assert cap.recall_at_10.difference.mean == cap.recall_at_10.difference.low == 0
    change = boost.recall_at_10
    assert change.difference.mean == pytest.approx(change.with_policy.mean - change.without_policy.mean)
    assert change.difference.low < change.difference.mean < change.difference.high < 0
    assert policy_costs(sources, merge.plain(), found, shown, holdout, 5) == []


def test_what_a_policy_costs_is_resampled_once_for_all_three(dataset: Dataset, sources: dict[str, Retriever]) -> None:
    policies = PolicyConfig.model_validate({"caps": [{"field": "brand", "most": 60}]}).of(dataset)
    merge, holdout = Merge(RankFusionConfig(), policies), Holdout.of(dataset, WORLD.held_out(DAY), 1000, 1)
    found = fan_out(sources, holdout.queries, merge.depth(100, 2)).candidates
    nothing = Candidates.none(len(holdout.queries), 100)
    for cost in policy_costs(sources, merge, found, nothing, holdout, 5):
        for change in (cost.recall_at_10, cost.recall_at_100):
            lost, without = change.difference, change.without_policy
            assert change.with_policy == Estimate(0.0, 0.0, 0.0) and without.low < without.high
            assert (lost.low, lost.high) == pytest.approx((-without.high, -without.low), abs=1e-12)


def test_reasons_are_ranks_shares_and_what_is_near(dataset: Dataset, sources: dict[str, Retriever]) -> None:
    merge = Merge(RankFusionConfig(depth=40, weights={"item_knn": 2.0}))
    snapshot = Snapshot("r", dataset, sources, merge, False)
    asked = snapshot.questions_of(dataset.people.ids.names(range(6)))
    shown, reasons = snapshot.explain(asked, 8)
    np.testing.assert_array_equal(shown.items, snapshot.answer(asked, 8).items)
    lists = {name: source.retrieve(asked, 40).items for name, source in sources.items()}
    neighbours = sources["item_knn"].neighbours.toarray()  # type: ignore[attr-defined]
    for row, why in enumerate(reasons):
        assert why.sources == ("popular", "item_knn") and why.moved == {}
        np.testing.assert_allclose(why.shares.sum(axis=1), 1)
        history = set(asked.histories.positives().take(np.array([row])).items.tolist())
        for place, item in enumerate(shown.items[row].tolist()):
            ranks = [1 + lists[n][row].tolist().index(item) if item in lists[n][row] else 0 for n in why.sources]
            assert why.ranks[place].tolist() == ranks
            points = [weight / (60 + rank) if rank else 0 for weight, rank in zip((1, 2), ranks, strict=True)]
            np.testing.assert_allclose(why.shares[place], np.array(points) / sum(points))
            likeness = {i: np.inf if i == item else neighbours[i, item] for i in history}
            near = [i for i in why.near[place].tolist() if i != UNKNOWN]
            if any(likeness.values()):
                best = sorted((value for value in likeness.values() if value > 0), reverse=True)[:3]
                assert [likeness[i] for i in near] == best
            topics = dataset.catalogue.topics
            chosen = {topic for i in history for topic in topics.row(i).tolist()}
            assert why.topics.row(place).tolist() == [t for t in topics.row(item).tolist() if t in chosen]


def test_without_neighbours_texts_say_what_is_near(dataset: Dataset, sources: dict[str, Retriever]) -> None:
    snapshot = Snapshot("r", dataset, {"popular": sources["popular"]}, Merge(), True)
    history = dataset.catalogue.ids.names([0, 1])
    shown, (why,) = snapshot.explain(snapshot.questions_after([history]), 30)
    assert dataset.text_vectors is not None
    vectors = dataset.text_vectors[dataset.catalogue.text_rows]
    for item, near in zip(shown.items[0], why.near, strict=True):
        cosine = {i: float(vectors[item] @ vectors[i]) for i in (0, 1)}
        wanted = [i for i in sorted(cosine, key=lambda i: -cosine[i]) if cosine[i] >= 0.5]
        assert near[near != UNKNOWN].tolist() == wanted
    assert (why.near != UNKNOWN).any()


def test_policies_say_where_an_item_would_be_without_them(dataset: Dataset) -> None:
    policies = PolicyConfig.model_validate({"boosts": [{"feature": "topic1=garden", "factor": 9.0}]}).of(dataset)
    (garden,) = (boost.has_feature for boost in policies.boosts)
    far = int(np.flatnonzero(garden)[0])
    near = np.flatnonzero(~garden)[:3].tolist()
    listed: dict[str, Retriever] = {"a": Listed([*near, far], len(garden), set())}
    snapshot = Snapshot("r", dataset, listed, Merge(policies=policies), False)
    shown, (why,) = snapshot.explain(snapshot.questions_after([[]]), 3)
    assert shown.items.tolist() == [[far, near[0], near[1]]]
    assert {name: places.tolist() for name, places in why.moved.items()} == {"boost topic1=garden": [0, 1, 2]}
    shown, (why,) = snapshot.explain(snapshot.questions_after([[]]), 4)
    assert why.moved["boost topic1=garden"].tolist() == [4, 1, 2, 3]


def test_attributes_are_features_of_people_or_where_they_usually_go(dataset: Dataset) -> None:
    people = dataset.people
    names = people.feature_names.ids.to_pylist()
    own, usual = (next(n for n in names if n.startswith("usual ") == is_usual) for is_usual in (False, True))
    (key, value), (place, where) = own.split("="), usual.removeprefix("usual ").split("=")
    said = [{key: value, place: where}, {}, {key: "never", "hat": "red", place: where}, {"hat": "blue"}]
    features, unknown = features_of(people, said)
    found = [people.feature_names.names(features.row(row)) for row in range(4)]
    assert found == [sorted([own, usual]), [], [usual], []]
    assert unknown == [f"{key}=never", "hat"]


def test_somebody_new_is_answered_by_what_is_said_of_them(dataset: Dataset) -> None:
    asked: list[Queries] = []

    class Asked(Listed):
        def retrieve(self, queries: Queries, k: int) -> Candidates:
            asked.append(queries)
            return super().retrieve(queries, k)

    feature = dataset.people.feature_names.names([0])[0]
    key, value = feature.removeprefix("usual ").split("=")
    source: dict[str, Retriever] = {"a": Asked(range(5), len(dataset.catalogue), set())}
    snapshot = Snapshot("r", dataset, source, Merge(), False)
    snapshot.recommend_after([[], ["i00001"]], 3, attributes=[{key: value}, {}])
    (queries,) = asked
    assert [queries.features.row(0).tolist(), queries.features.row(1).tolist()] == [[0], []]
    assert np.diff(queries.histories.offsets).tolist() == [0, 1] and (queries.users == UNKNOWN).all()
