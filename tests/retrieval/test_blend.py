"""The blend adds up reciprocal ranks, and says so by the formula."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.blend import RankFusionConfig
from retrieval.domain import UNKNOWN, Candidates

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
