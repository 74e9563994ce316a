"""Metrics are their definitions, and an interval is around its mean."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval import metrics
from retrieval.domain import UNKNOWN, Candidates, Ragged

N_ITEMS = 12
CASES = st.lists(
    st.tuples(
        st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=8),
        st.sets(st.integers(0, N_ITEMS - 1), min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=6,
)
Cases = list[tuple[list[int], set[int]]]


def arrays(cases: Cases) -> tuple[Candidates, Ragged]:
    items = np.full((len(cases), 8), UNKNOWN, np.int32)
    for row, (ranking, _) in enumerate(cases):
        items[row, : len(ranking)] = ranking
    owners = np.array([row for row, (_, targets) in enumerate(cases) for _ in targets])
    values = np.array([item for _, targets in cases for item in sorted(targets)])
    return Candidates(items, np.zeros(items.shape, np.float32)), Ragged.from_owners(owners, values, len(cases))


def recall_by_hand(ranking: list[int], targets: set[int], k: int) -> float:
    return len(targets & set(ranking[:k])) / len(targets)


def ndcg_by_hand(ranking: list[int], targets: set[int], k: int) -> float:
    gained = sum(1 / math.log2(rank + 1) for rank, item in enumerate(ranking[:k], start=1) if item in targets)
    perfect = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(targets)) + 1))
    return gained / perfect


@given(CASES, st.integers(1, 12))
def test_recall_and_ndcg_are_their_definitions(cases: Cases, k: int) -> None:
    found, targets = arrays(cases)
    hit = metrics.hits(found, targets, N_ITEMS)
    np.testing.assert_allclose(metrics.recall(hit, targets, k), [recall_by_hand(*case, k) for case in cases])
    np.testing.assert_allclose(metrics.ndcg(hit, targets, k), [ndcg_by_hand(*case, k) for case in cases])


@given(CASES, st.integers(1, 12))
def test_coverage_is_the_share_of_items_that_anybody_was_shown(cases: Cases, k: int) -> None:
    shown = {item for ranking, _ in cases for item in ranking[:k]}
    assert metrics.breadth(metrics.shown(arrays(cases)[0], N_ITEMS, k)) == len(shown) / N_ITEMS


@pytest.mark.parametrize("n_resamples", [1, 99, 100, 250])
def test_a_ratio_resampled_in_parts_is_that_of_all_resamples_at_once(n_resamples: int) -> None:
    above, below = np.random.default_rng(5).random((2, 60))
    found = metrics.ratio(above, below, np.random.default_rng(6), n_resamples)
    draws = np.random.default_rng(6).multinomial(60, np.full(60, 1 / 60), size=n_resamples)
    ratios = [(draw * above).sum() / (draw * below).sum() for draw in draws]
    assert found is not None
    assert found.mean == pytest.approx(above.mean() / below.mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(ratios, [0.025, 0.975])))


def test_no_more_resamples_are_held_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    values, peaks = np.random.default_rng(7).random((2, 2000)), []
    for chunk in (10, 1000):
        monkeypatch.setattr("retrieval.metrics.CHUNK", chunk)
        tracemalloc.start()
        metrics.ratio(*values, np.random.default_rng(8))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    whole = 1000 * 2000 * 8
    assert peaks[0] < 0.1 * whole < whole < peaks[1]


def test_known_rankings_have_known_scores() -> None:
    found, targets = arrays([([3, 1, 2], {1}), ([1, 2], {1, 2}), ([], {0})])
    hit = metrics.hits(found, targets, N_ITEMS)
    np.testing.assert_allclose(metrics.ndcg(hit, targets, 10), [1 / math.log2(3), 1.0, 0.0])
    np.testing.assert_allclose(metrics.recall(hit, targets, 1), [0.0, 0.5, 0.0])


def test_padding_is_never_a_hit() -> None:
    # The key of an unknown item would be that of the query before with its last item.
    found, targets = arrays([([], {N_ITEMS - 1}), ([], {0})])
    assert not metrics.hits(found, targets, N_ITEMS).any()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.integers(0, 5))
def test_interval_contains_the_mean(values: list[float], seed: int) -> None:
    found = metrics.estimate(np.array(values), np.random.default_rng(seed))
    assert found.mean == pytest.approx(np.mean(values))
    assert found.low - 1e-9 <= found.mean <= found.high + 1e-9


def test_interval_shrinks_with_the_root_of_the_users() -> None:
    values = np.random.default_rng(0).random(6400)

    def width(n: int) -> float:
        found = metrics.estimate(values[:n], np.random.default_rng(1))
        return found.high - found.low

    assert width(100) / width(6400) == pytest.approx(8, rel=0.25)
    normal = 2 * 1.96 * values.std() / math.sqrt(len(values))
    assert width(6400) == pytest.approx(normal, rel=0.1)


def test_interval_of_nobody_is_zero_and_of_equals_a_point() -> None:
    assert metrics.estimate(np.zeros(0), np.random.default_rng(0)) == metrics.Estimate(0.0, 0.0, 0.0)
    found = metrics.estimate(np.full(9, 0.5), np.random.default_rng(0))
    assert (found.low, found.high) == pytest.approx((0.5, 0.5))


def test_the_same_generator_resamples_the_same_users() -> None:
    values = np.random.default_rng(0).random(50)
    one, other = (metrics.estimate(v, np.random.default_rng(3)) for v in (values, values + 0.25))
    assert other.low - one.low == pytest.approx(0.25)
    assert other.high - one.high == pytest.approx(0.25)


def test_the_ratio_of_two_sources_on_the_same_users_is_surer_than_either() -> None:
    rng = np.random.default_rng(3)
    below = rng.random(300)
    found = metrics.ratio(2 * below, below, np.random.default_rng(4))
    assert found is not None
    assert (found.mean, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    noisy = metrics.ratio(2 * rng.permutation(below), below, np.random.default_rng(4))
    assert noisy is not None
    assert noisy.low < 2.0 < noisy.high
    assert metrics.ratio(below, np.zeros(300), rng) is None


def test_known_rankings_have_known_ranks_and_hits() -> None:
    found, targets = arrays([([3, 1, 2], {1, 2}), ([1, 2], {5}), ([], {0}), ([4, 0], {0})])
    hit = metrics.hits(found, targets, N_ITEMS)
    assert metrics.reciprocal_rank(hit, 10).tolist() == [0.5, 0.0, 0.0, 0.5]
    assert metrics.reciprocal_rank(hit, 1).tolist() == [0.0, 0.0, 0.0, 0.0]
    assert metrics.hit_rate(hit, 2).tolist() == [1.0, 0.0, 0.0, 1.0]
    assert metrics.places(found, targets, N_ITEMS).tolist() == [1, 2, 8, 8, 1]


@given(CASES)
def test_a_target_stands_where_the_ranking_has_it(cases: Cases) -> None:
    found, targets = arrays(cases)
    rankings = [ranking for ranking, _ in cases]
    wanted = [
        rankings[owner].index(item) if item in rankings[owner] else 8
        for owner, item in zip(targets.owners(), targets.values, strict=True)
    ]
    assert metrics.places(found, targets, N_ITEMS).tolist() == wanted


def test_self_information_is_in_bits_and_bounded_for_what_nobody_chose() -> None:
    np.testing.assert_allclose(metrics.self_information(np.array([3, 0, 1, 0])), [1.0, 3.0, 2.0, 3.0])


def test_percentiles_of_popularity_count_equals_half() -> None:
    np.testing.assert_allclose(metrics.popularity_percentile(np.array([5, 0, 0, 9])), [0.625, 0.25, 0.25, 0.875])


def test_the_mean_of_what_is_shown_passes_over_padding_and_users_shown_nothing() -> None:
    found, _ = arrays([([3, 1, 2], {0}), ([], {0})])
    means = metrics.mean_shown(found, np.arange(N_ITEMS, dtype=float), 2)
    assert means[0] == 2.0
    assert np.isnan(means[1])


def test_users_that_a_column_says_nothing_of_do_not_count_in_its_mean() -> None:
    columns = {"all": np.array([0.0, 1.0, 1.0, 0.0]), "some": np.array([np.nan, 0.5, 0.5, np.nan])}
    found = metrics.estimates(columns, np.random.default_rng(0))
    assert found["all"].mean == 0.5
    assert found["some"] == metrics.Estimate(0.5, 0.5, 0.5)
    nothing = metrics.estimates({"none": np.full(3, np.nan), "all": np.ones(3)}, np.random.default_rng(0))
    assert nothing["none"] == metrics.Estimate(0.0, 0.0, 0.0)
