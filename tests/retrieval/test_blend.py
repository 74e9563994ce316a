"""Blends are what their formulas say, leave out what they are told to, and know what each source gave."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from retrieval.blend import AnyBlend, BlendConfig, CalibratedConfig, QuotaConfig, RankFusionConfig, RoundRobinConfig
from retrieval.dealing import deal
from retrieval.domain import UNKNOWN, Candidates
from retrieval.finders import ranks_in

Rankings = dict[str, list[list[int]]]
RANKING = st.lists(st.integers(0, 9), unique=True, max_size=6)


def candidates(rankings: list[list[int]], width: int = 6) -> Candidates:
    items = np.full((len(rankings), width), UNKNOWN, np.int32)
    for row, ranking in enumerate(rankings):
        items[row, : len(ranking)] = ranking
    return Candidates(items, np.where(items == UNKNOWN, -np.inf, 0.0).astype(np.float32))


def fused_by_hand(rankings: list[list[int]], weights: list[float], constant: float, k: int) -> list[tuple[int, float]]:
    points: dict[int, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, item in enumerate(ranking, start=1):
            points[item] = points.get(item, 0.0) + weight / (constant + rank)
    return sorted(points.items(), key=lambda entry: (-entry[1], entry[0]))[:k]


@given(st.lists(st.tuples(RANKING, RANKING, RANKING), min_size=1, max_size=4), st.integers(1, 12))
def test_blend_is_a_sum_of_weighted_reciprocal_ranks(rows: list[tuple[list[int], ...]], k: int) -> None:
    weights, names = {"a": 1.0, "b": 0.5, "c": 2.0}, ("a", "b", "c")
    found = {name: candidates([row[source] for row in rows]) for source, name in enumerate(names)}
    blended = RankFusionConfig(constant=10.0, weights=weights).blend(found, k)
    assert blended.items.shape == (len(rows), k)
    for row, rankings in enumerate(rows):
        wanted = fused_by_hand(list(rankings), list(weights.values()), 10.0, k)
        padding = k - len(wanted)
        assert blended.items[row].tolist() == [item for item, _ in wanted] + [UNKNOWN] * padding
        np.testing.assert_allclose(
            blended.scores[row], [points for _, points in wanted] + [-np.inf] * padding, rtol=1e-6
        )


def test_a_source_of_weight_zero_is_left_out() -> None:
    found = {"a": candidates([[1, 2]]), "b": candidates([[3, 4]])}
    blended = RankFusionConfig(weights={"b": 0.0}).blend(found, 5)
    assert blended.items.tolist() == [[1, 2, UNKNOWN, UNKNOWN, UNKNOWN]]


def test_a_source_that_is_not_named_weighs_one() -> None:
    found = {"a": candidates([[1, 2]]), "b": candidates([[3, 4]])}
    blended = RankFusionConfig(weights={"b": 2.0}).blend(found, 4)
    assert blended.items.tolist() == [[3, 4, 1, 2]]


def test_two_seconds_beat_one_first() -> None:
    found = {"a": candidates([[1, 3]]), "b": candidates([[2, 3]])}
    assert RankFusionConfig().blend(found, 3).items.tolist() == [[3, 1, 2]]


def test_padding_scores_nothing_however_often_it_appears() -> None:
    found = {name: candidates([[], [1]]) for name in "abc"}
    blended = RankFusionConfig().blend(found, 2)
    assert blended.items.tolist() == [[UNKNOWN, UNKNOWN], [1, UNKNOWN]]
    assert np.isneginf(blended.scores[0]).all()


def test_no_queries_blend_to_none() -> None:
    empty = Candidates(np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32))
    assert RankFusionConfig().blend({"a": empty}, 3).items.shape == (0, 3)


def test_a_weight_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        RankFusionConfig(weights={"a": -1.0})


BLENDS: list[BlendConfig] = [
    RankFusionConfig(weights={"b": 0.5}),
    QuotaConfig(kind="quota", shares={"a": 0.5, "b": 0.3, "c": 0.2}),
    RoundRobinConfig(kind="round_robin"),
    CalibratedConfig(kind="calibrated"),
]


@pytest.mark.parametrize("blend", BLENDS, ids=lambda blend: blend.kind)
@given(rows=st.lists(st.tuples(RANKING, RANKING, RANKING), min_size=1, max_size=4))
def test_credits_are_the_sources_that_found_an_item_and_add_up(
    blend: BlendConfig, rows: list[tuple[list[int], ...]]
) -> None:
    found = {name: candidates([row[source] for row in rows]) for source, name in enumerate("abc")}
    blended = blend.blend(found, 10)
    ranks = ranks_in(found, blended.items)
    credits = blend.credits(found, blended.items, ranks)
    assert (credits[ranks == 0] == 0).all()
    is_found, totals = blended.items != UNKNOWN, credits.sum(axis=2)
    assert (totals[is_found] > 0).all() and (ranks.max(axis=2) > 0)[is_found].all()
    if blend.kind in ("quota", "round_robin"):
        assert (totals[is_found] == 1).all()
    else:
        scores = totals if blend.kind == "rrf" else 1 - np.exp(-totals)
        np.testing.assert_allclose(blended.scores[is_found], scores[is_found], rtol=1e-5)


def test_quota_and_round_robin_deal() -> None:
    found = {"a": candidates([[1, 2, 3, 4]]), "b": candidates([[1, 5, 6, 7]])}
    quota = QuotaConfig(kind="quota", shares={"a": 3, "b": 1})
    assert quota.blend(found, 4).items.tolist() == deal(found, {"a": 0.75, "b": 0.25}, 4).items.tolist()
    assert RoundRobinConfig(kind="round_robin").blend(found, 5).items.tolist() == [[1, 5, 2, 6, 3]]


def test_who_deals_an_item_is_who_gets_the_credit() -> None:
    found = {"a": candidates([[1, 2]]), "b": candidates([[1, 3]])}
    blend = RoundRobinConfig(kind="round_robin")
    items = blend.blend(found, 3).items
    assert items.tolist() == [[1, 3, 2]]
    assert blend.credits(found, items, ranks_in(found, items)).tolist() == [[[1, 0], [0, 1], [1, 0]]]


@pytest.mark.parametrize(
    ("blend", "left"),
    [
        (QuotaConfig(kind="quota", shares={"a": 1}), {"a"}),
        (RoundRobinConfig(kind="round_robin", without=("b",)), {"a"}),
        (CalibratedConfig(kind="calibrated", without=("b",)), {"a"}),
        (RankFusionConfig(weights={"b": 0}), {"a"}),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_what_is_left_out_counts_only_when_it_is_asked_for_alone(blend: BlendConfig, left: set[str]) -> None:
    found = {"a": candidates([[1, 2]]), "b": candidates([[3, 4]])}
    assert set(blend.counted(found)) == left
    assert set(blend.among(["a", "b"]).counted(found)) == left
    assert set(blend.among(["b"]).counted({"b": found["b"]})) == {"b"}
    assert blend.blend(found, 4).items[0, :2].tolist() == [1, 2]
    assert blend.blend(found, 4).items[0, 2] == UNKNOWN


def test_a_blend_without_a_kind_is_by_ranks() -> None:
    read = TypeAdapter[BlendConfig](AnyBlend).validate_python
    assert read({"weights": {"a": 2.0}}) == RankFusionConfig(weights={"a": 2.0})
    for blend in BLENDS:
        assert read(blend.model_dump()) == blend == read(blend)
    with pytest.raises(ValueError, match="quota"):
        read({"kind": "lottery"})
