"""Policies do what they say, by hand; over a catalogue, they name what it does not have."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from retrieval.domain import UNKNOWN, Candidates, Dataset
from retrieval.errors import RecipeError
from retrieval.policies import Cap, Policies, PolicyConfig, items_with, requiring, values_of
from retrieval.rearranging import boosted, chosen, chosen_for_diversity
from retrieval.synthetic import planted_world
from retrieval.text import HashedEncoder

N_ITEMS = 30


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=20, n_items=40, n_days=5)
    return world.dataset(world.days[-1], HashedEncoder(16))


@st.composite
def rankings(draw: st.DrawFn) -> Candidates:
    lists = draw(st.lists(st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=12), min_size=1, max_size=3))
    items = np.full((len(lists), 12), UNKNOWN, np.int32)
    for row, ranking in enumerate(lists):
        items[row, : len(ranking)] = ranking
    scores = np.where(items == UNKNOWN, -np.inf, 1.0 / np.arange(1, 13)).astype(np.float32)
    return Candidates(items, scores)


@st.composite
def caps(draw: st.DrawFn) -> list[tuple[np.ndarray, int]]:
    seeds = draw(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 4)), max_size=2))
    return [(np.random.default_rng(seed).integers(-1, 4, N_ITEMS).astype(np.int32), most) for seed, most in seeds]


def fits(item: int, kept: list[int], bounds: list[tuple[np.ndarray, int]]) -> bool:
    return all(v[item] == UNKNOWN or sum(v[i] == v[item] for i in kept) < most for v, most in bounds)


def capped_by_hand(items: list[int], bounds: list[tuple[np.ndarray, int]], k: int) -> list[int]:
    kept: list[int] = []
    for item in items:
        if len(kept) < k and item != UNKNOWN and fits(item, kept, bounds):
            kept.append(item)
    return kept


def diverse_by_hand(
    items: list[int],
    scores: list[float],
    bounds: list[tuple[np.ndarray, int]],
    vectors: np.ndarray,
    share: float,
    k: int,
) -> list[int]:
    kept: list[int] = []
    score = {item: value / max(scores) for item, value in zip(items, scores, strict=True) if item != UNKNOWN}
    while len(kept) < k:
        left = [item for item in score if item not in kept and fits(item, kept, bounds)]
        if not left:
            break
        near = {item: max((float(vectors[item] @ vectors[i]) for i in kept), default=0.0) for item in left}
        kept.append(max(left, key=lambda item: share * score[item] - (1 - share) * near[item]))
    return kept


@settings(deadline=None)
@given(rankings(), caps(), st.integers(1, 15))
def test_caps_keep_what_a_walk_down_the_list_keeps(
    ranked: Candidates, bounds: list[tuple[np.ndarray, int]], k: int
) -> None:
    found = chosen(ranked, bounds, k)
    assert found.items.shape == found.scores.shape == (len(ranked), k)
    for row in range(len(ranked)):
        kept = capped_by_hand(ranked.items[row].tolist(), bounds, k)
        assert found.items[row].tolist() == kept + [UNKNOWN] * (k - len(kept))
        score = dict(zip(ranked.items[row].tolist(), ranked.scores[row].tolist(), strict=True))
        assert found.scores[row, : len(kept)].tolist() == [score[item] for item in kept]
        assert np.isneginf(found.scores[row, len(kept) :]).all()


@settings(deadline=None)
@given(st.integers(0, 99), st.integers(1, 4), st.integers(0, 99))
def test_a_list_has_the_room_that_a_walk_down_all_that_is_eligible_fills(seed: int, most: int, other: int) -> None:
    values = np.random.default_rng(seed).integers(-1, 4, N_ITEMS).astype(np.int32)
    eligible = np.random.default_rng(other).random(N_ITEMS) < 0.5
    cap = Cap("cap", most, values)
    filled = len(capped_by_hand(np.flatnonzero(eligible).tolist(), [(values, most)], N_ITEMS))
    assert cap.room(eligible) == filled
    tighter = Policies(caps=(cap, Cap("other", most, np.zeros(N_ITEMS, np.int32))))
    assert tighter.room(eligible) == min(filled, most, eligible.sum())
    assert Policies().room(eligible) == eligible.sum()
    assert cap.room(np.zeros(N_ITEMS, bool)) == 0


@settings(deadline=None, max_examples=60)
@given(rankings(), caps(), st.integers(1, 15), st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_diversity_is_marginal_relevance_place_by_place(
    ranked: Candidates, bounds: list[tuple[np.ndarray, int]], k: int, share: float
) -> None:
    vectors = np.random.default_rng(1).standard_normal((N_ITEMS, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = chosen_for_diversity(ranked, bounds, np.arange(N_ITEMS, dtype=np.int32), vectors, share, k)
    for row in range(len(ranked)):
        by_hand = diverse_by_hand(ranked.items[row].tolist(), ranked.scores[row].tolist(), bounds, vectors, share, k)
        assert found.items[row].tolist() == by_hand + [UNKNOWN] * (k - len(by_hand))


def test_relevance_alone_keeps_the_order_and_likeness_alone_alternates() -> None:
    ranked = Candidates(np.array([[0, 1, 2, 3]], np.int32), np.array([[4.0, 3.0, 2.0, 1.0]], np.float32))
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    texts = np.arange(4, dtype=np.int32)
    assert chosen_for_diversity(ranked, [], texts, vectors, 1.0, 4).items.tolist() == [[0, 1, 2, 3]]
    assert chosen_for_diversity(ranked, [], texts, vectors, 0.5, 4).items.tolist() == [[0, 2, 1, 3]]


def test_diversity_is_the_same_in_any_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    items = np.stack([rng.permutation(N_ITEMS)[:12] for _ in range(20)]).astype(np.int32)
    ranked = Candidates(items, np.sort(rng.random(items.shape).astype(np.float32))[:, ::-1])
    vectors = rng.standard_normal((N_ITEMS, 8)).astype(np.float32)
    ask = lambda: chosen_for_diversity(ranked, [], np.arange(N_ITEMS, dtype=np.int32), vectors, 0.5, 6)  # noqa: E731
    whole = ask()
    monkeypatch.setattr("retrieval.rearranging.NUMBERS_AT_ONCE", 3 * 12 * 8)
    np.testing.assert_array_equal(ask().items, whole.items)


def test_diversity_over_a_deep_ranking_never_compares_all_with_all() -> None:
    rng, width = np.random.default_rng(4), 2000
    ranked = Candidates(np.arange(width, dtype=np.int32)[None], np.linspace(1, 0.5, width, dtype=np.float32)[None])
    vectors = rng.standard_normal((width, 8)).astype(np.float32)
    tracemalloc.start()
    chosen_for_diversity(ranked, [], np.arange(width, dtype=np.int32), vectors, 0.5, 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < width * width


def test_a_boost_multiplies_and_ranks_anew() -> None:
    ranked = Candidates(np.array([[0, 1, 2, UNKNOWN]], np.int32), np.array([[4.0, 3.0, 2.0, -np.inf]], np.float32))
    found = boosted(ranked, np.array([False, False, True]), 1.75)
    assert found.items.tolist() == [[0, 2, 1, UNKNOWN]]
    assert found.scores[0, :3].tolist() == [4.0, 3.5, 3.0]
    assert boosted(ranked, np.array([True, False, False]), 0.1).items.tolist() == [[1, 2, 0, UNKNOWN]]


def test_boosts_come_before_caps(dataset: Dataset) -> None:
    config = PolicyConfig.model_validate(
        {"boosts": [{"feature": "topic1=garden", "factor": 100.0}], "caps": [{"field": "topic1", "most": 2}]}
    )
    policies, garden = config.of(dataset), items_with(dataset.catalogue, "topic1=garden", "x")
    n = len(dataset.catalogue)
    ranked = Candidates(np.arange(n, dtype=np.int32)[None], np.linspace(1, 0.5, n, dtype=np.float32)[None])
    shown = policies.apply(ranked, 4).items[0]
    assert garden[shown].tolist() == [True, True, False, False]
    assert shown[:2].tolist() == np.flatnonzero(garden)[:2].tolist()
    assert policies.names == ("boost topic1=garden", "cap topic1")
    assert policies.without("cap topic1").apply(ranked, 4).items[0].tolist() == np.flatnonzero(garden)[:4].tolist()
    assert policies.pool(4) == 12 and policies.without("cap topic1").without("boost topic1=garden").pool(4) == 4


def test_features_and_topics_are_found_by_their_names(dataset: Dataset) -> None:
    catalogue = dataset.catalogue
    for name, wanted in (("topic1=bakery", "bakery"), ("bakery", "bakery")):
        has_it = items_with(catalogue, name, "policy.boosts")
        for item in range(len(catalogue)):
            topics = catalogue.topic_names.names(catalogue.topics.row(item))
            assert has_it[item] == (wanted in topics)


def test_values_of_a_field_are_those_of_the_features(dataset: Dataset) -> None:
    catalogue = dataset.catalogue
    names = catalogue.feature_names.names(values_of(catalogue, "brand"))
    for item, name in enumerate(names):
        assert name.startswith("brand=") and name in catalogue.feature_names.names(catalogue.features.row(item))


def test_what_no_item_has_is_refused_with_what_there_is(dataset: Dataset) -> None:
    with pytest.raises(RecipeError, match=r"policy\.boosts: .*'brand=acmee' .*near it: 'brand=acme'"):
        PolicyConfig.model_validate({"boosts": [{"feature": "brand=acmee", "factor": 2}]}).of(dataset)
    with pytest.raises(RecipeError, match=r"policy\.require: .*'bakry' .*near it: 'bakery'"):
        requiring(dataset.catalogue, ["bakry"])
    with pytest.raises(RecipeError, match=r"caps names field 'colour', .* one of: .*brand.*topic1, topic2"):
        PolicyConfig.model_validate({"caps": [{"field": "colour", "most": 2}]}).of(dataset)
    with pytest.raises(RecipeError, match=r"policy\.diversity compares text vectors"):
        PolicyConfig.model_validate({"diversity": {}}).of(replace(dataset, text_vectors=None))
    with pytest.raises(ValidationError, match="more than once"):
        PolicyConfig.model_validate({"caps": [{"field": "brand", "most": 2}, {"field": "brand", "most": 3}]})


def test_only_items_with_all_required_features_are_ever_to_be_had(dataset: Dataset) -> None:
    catalogue = requiring(dataset.catalogue, ["bakery", "brand=acme"])
    wanted = items_with(catalogue, "bakery", "x") & items_with(catalogue, "brand=acme", "x")
    assert 0 < wanted.sum() < len(wanted)
    np.testing.assert_array_equal(catalogue.eligible(dataset.day), wanted & dataset.catalogue.eligible(dataset.day))
