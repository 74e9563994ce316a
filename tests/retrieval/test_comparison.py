"""Two systems are compared user by user, and a difference is as sure as its users make it."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from retrieval import comparison, metrics
from retrieval.comparison import (
    Difference,
    Groups,
    churn,
    compare_blends,
    compare_sources,
    score_shift,
    vanished,
)
from retrieval.domain import UNKNOWN, Candidates, Dataset, Histories
from retrieval.evaluation import Holdout
from retrieval.release_rules import COVERAGE, FRESH, GATE_METRICS, NDCG, RECALL, SPREAD, TAIL, GateConfig
from retrieval.segments import segments, tail_items
from retrieval.synthetic import planted_world

CONFIG = GateConfig(n_resamples=400)
N_ITEMS = 60


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=90, n_items=N_ITEMS, n_days=8)
    return world.dataset(world.days[-1])


@pytest.fixture(scope="module")
def holdout(dataset: Dataset) -> Holdout:
    world = planted_world(n_users=90, n_items=N_ITEMS, n_days=8)
    return Holdout.of(dataset, world.held_out(world.days[-1]), 1000, 5)


@pytest.fixture(scope="module")
def groups(dataset: Dataset, holdout: Holdout) -> Groups:
    n = len(dataset.catalogue)
    return Groups(
        np.arange(n) % 3 == 0, tail_items(dataset.histories, n), segments(holdout.queries, dataset.people, ("store",))
    )


def ranking(n: int, seed: int, n_items: int) -> Candidates:
    """A random ranking of the whole catalogue for each user."""
    items = np.random.default_rng(seed).permuted(np.tile(np.arange(n_items, dtype=np.int32), (n, 1)), axis=1)[:, :20]
    return Candidates(items, np.tile(np.linspace(1, 0, 20, dtype=np.float32), (n, 1)))


def oracle(holdout: Holdout, share: float, seed: int, n_items: int) -> Candidates:
    """A random ranking whose first place is a target for a share of the users."""
    found = ranking(len(holdout.queries), seed, n_items)
    for user in np.flatnonzero(np.random.default_rng(seed).random(len(found)) < share):
        row, target = found.items[user], holdout.targets.row(int(user))[0]
        row[row == target] = row[0]
        row[0] = target
    return found


def by_name(found: list[Difference]) -> dict[tuple[str, str], Difference]:
    return {(difference.metric, difference.segment): difference for difference in found}


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_a_system_beside_itself_has_changed_in_nothing(holdout: Holdout, groups: Groups) -> None:
    same = ranking(len(holdout.queries), 1, len(groups.fresh))
    found = compare_blends(same, same, holdout, groups, CONFIG, rng())
    assert {difference.metric for difference in found} == set(GATE_METRICS)
    for difference in found:
        assert (difference.change.mean, difference.change.low, difference.change.high) == (0, 0, 0)


def test_every_metric_is_what_a_loop_over_users_gives(holdout: Holdout, groups: Groups) -> None:
    n_items = len(groups.fresh)
    live, candidate = (oracle(holdout, share, seed, n_items) for share, seed in ((0.2, 1), (0.8, 2)))
    found = by_name(compare_blends(live, candidate, holdout, groups, CONFIG, rng()))
    for name, kept in ((RECALL, np.ones(n_items, bool)), (FRESH, groups.fresh), (TAIL, groups.tail)):
        for system, value in ((live, "live"), (candidate, "candidate")):
            shares = []
            for user in range(len(holdout.queries)):
                wanted = {int(item) for item in holdout.targets.row(user) if kept[item]}
                if wanted:
                    shares.append(len(wanted & set(system.items[user].tolist())) / len(wanted))
            assert getattr(found[name, "everybody"], value) == pytest.approx(np.mean(shares))
            assert found[name, "everybody"].n_users == len(shares)
    for system, value in ((live, "live"), (candidate, "candidate")):
        gains = metrics.ndcg(metrics.hits(system, holdout.targets, n_items), holdout.targets, 10)
        assert getattr(found[NDCG, "everybody"], value) == pytest.approx(gains.mean())
        counts = np.sort(np.bincount(system.items.ravel(), minlength=n_items))[::-1]
        assert getattr(found[COVERAGE, "everybody"], value) == (counts > 0).sum() / n_items
        needed = next(n for n in range(1, n_items + 1) if counts[:n].sum() >= 0.9 * counts.sum())
        assert getattr(found[SPREAD, "everybody"], value) == needed / n_items


def test_the_interval_is_that_of_a_plain_paired_bootstrap(holdout: Holdout, groups: Groups) -> None:
    n_items = len(groups.fresh)
    live, candidate = (oracle(holdout, share, seed, n_items) for share, seed in ((0.3, 1), (0.6, 2)))
    config = GateConfig(n_resamples=4000, confidence=0.95)
    change = by_name(compare_blends(live, candidate, holdout, groups, config, rng()))[RECALL, "everybody"].change
    one, two = (
        metrics.recall(metrics.hits(f, holdout.targets, n_items), holdout.targets, 100) for f in (live, candidate)
    )
    drawn = [np.mean((two - one)[rng_row]) for rng_row in rng().integers(0, len(one), (4000, len(one)))]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert change.mean == pytest.approx((two - one).mean())
    assert change.low == pytest.approx(low, abs=0.02)
    assert change.high == pytest.approx(high, abs=0.02)


def test_pairing_makes_a_small_loss_sure_that_two_separate_intervals_would_not() -> None:
    """Users differ much, systems little: every fifteenth of the lucky users loses its only hit."""
    lucky = np.arange(400) < 200
    live = lucky.astype(float)
    candidate = live - (lucky & (np.arange(400) % 15 == 0))
    column = comparison.Column(RECALL, "everybody", live, candidate, np.ones(400, bool))
    (paired,) = comparison._paired([column], 2000, 0.99, rng())
    apart = metrics.estimate(live, rng())
    assert paired.high < 0
    assert candidate.mean() > apart.low


def test_segments_are_compared_apart(holdout: Holdout, groups: Groups) -> None:
    n_items = len(groups.fresh)
    live = oracle(holdout, 1.0, 1, n_items)
    hurt = next(name for name, users in groups.segments.items() if 5 < users.sum() < len(users))
    candidate = Candidates(live.items.copy(), live.scores)
    candidate.items[groups.segments[hurt]] = UNKNOWN
    found = by_name(compare_blends(live, candidate, holdout, groups, CONFIG, rng()))
    assert found[RECALL, hurt].candidate == 0
    assert found[RECALL, hurt].change.high < 0


def test_the_tail_is_all_but_the_few_items_that_make_up_half_of_all_choices() -> None:
    items = np.repeat(np.arange(4, dtype=np.int32), [5, 3, 1, 1])
    histories = Histories(np.array([0, 10]), items, np.ones(10, np.float32), np.arange(10))
    assert tail_items(histories, 5).tolist() == [False, True, True, True, True]


def test_nine_tenths_of_the_places_narrow_while_coverage_stays() -> None:
    even, crowded = np.full(10, 10.0), np.array([91.0] + [1.0] * 9)
    assert metrics.breadth(even) == metrics.breadth(crowded) == 1
    assert metrics.breadth(even, 0.9) == 0.9
    assert metrics.breadth(crowded, 0.9) == 0.1
    assert metrics.breadth(np.zeros(10)) == 0


def test_sources_are_compared_by_their_names(holdout: Holdout, groups: Groups) -> None:
    n = len(groups.fresh)
    live = {"knn": ranking(len(holdout.queries), 1, n), "gone": ranking(len(holdout.queries), 2, n)}
    now = {"knn": live["knn"], "new": live["gone"]}
    (found,) = compare_sources(live, now, holdout, CONFIG, rng())
    assert (found.of, found.change.mean) == ("knn", 0)
    assert compare_sources({}, now, holdout, CONFIG, rng()) == []


def test_churn_is_nothing_for_the_same_answers_and_all_for_others() -> None:
    scores = np.array([[3, 2, 1], [3, 2, -np.inf]], np.float32)
    one = Candidates(np.array([[0, 1, 2], [3, 4, UNKNOWN]], np.int32), scores)
    other = Candidates(np.array([[5, 6, 7], [8, 9, UNKNOWN]], np.int32), scores + 10)
    assert (churn(one, one), score_shift(one, one)) == (0, 0)
    assert (churn(one, other), score_shift(one, other)) == (1, 0)
    half = Candidates(np.array([[0, 6, 2], [8, UNKNOWN, UNKNOWN]], np.int32), scores)
    assert churn(one, half) == 0.5


def test_score_shift_is_the_statistic_of_kolmogorov_and_smirnov_on_shapes() -> None:
    draw = np.random.default_rng(0)

    def answers(scores: np.ndarray) -> Candidates:
        return Candidates(np.zeros(scores.shape, np.int32), scores.astype(np.float32))

    one, two = draw.normal(0, 1, (50, 10)), draw.exponential(1, (50, 10))
    shapes = [(s - np.median(s)) / np.subtract(*np.quantile(s, [0.75, 0.25])) for s in (one, two)]
    expected = ks_2samp(shapes[0].ravel(), shapes[1].ravel()).statistic
    assert score_shift(answers(one), answers(two)) == pytest.approx(expected, abs=0.002)
    assert score_shift(answers(one), answers(5 * one + 100)) == pytest.approx(0, abs=0.005)
    collapsed = np.where(draw.random((50, 10)) < 0.01, 1.0, 0.0)
    assert score_shift(answers(one), answers(collapsed)) > 0.4


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_a_total_loss_of_few_users_is_sure(n: int) -> None:
    column = comparison.Column(RECALL, "everybody", np.ones(n), np.zeros(n), np.ones(n, bool))
    (change,) = comparison._paired([column], 2000, 0.99, rng())
    assert (change.mean, change.low, change.high) == (-1, -1, -1)


def test_answers_whose_items_are_gone_are_counted() -> None:
    scores = np.array([[3, 2, -np.inf], [3, 2, 1]], np.float32)
    gone = Candidates(np.array([[0, UNKNOWN, UNKNOWN], [3, 4, 5]], np.int32), scores)
    assert vanished(gone) == 1 / 5
