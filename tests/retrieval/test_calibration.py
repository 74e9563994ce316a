"""A calibration says how often items of a score were chosen, rises with the score, and survives being written down."""

import json

import numpy as np
import pytest

from retrieval import metrics
from retrieval.blend import CalibratedConfig, RankFusionConfig
from retrieval.calibration import LEAST_PLACES, SHRINKAGE, UNCALIBRATED, Calibration
from retrieval.domain import UNKNOWN, Candidates, Ragged

N_QUERIES, N_ITEMS, DEPTH = 400, 1000, 50


def planted(precise: float, rng: np.random.Generator, targets: np.ndarray) -> Candidates:
    """Fifty items a query; a share of the targets stands first, with scores above all others."""
    items = np.stack([rng.permutation(N_ITEMS)[:DEPTH] for _ in targets]).astype(np.int32)
    scores = np.sort(rng.random(items.shape), axis=1)[:, ::-1].astype(np.float32)
    is_right = rng.random(len(targets)) < precise
    items[items == targets[:, None]] = (targets[np.nonzero(items == targets[:, None])[0]] + 1) % N_ITEMS
    items[is_right, 0] = targets[is_right]
    scores[is_right, 0] += 1
    return Candidates(items, scores)


@pytest.fixture
def day() -> tuple[dict[str, Candidates], Ragged]:
    rng = np.random.default_rng(4)
    targets = rng.integers(0, N_ITEMS, N_QUERIES)
    found = {"good": planted(0.9, rng, targets), "bad": planted(0.02, rng, targets)}
    return found, Ragged.from_owners(np.arange(N_QUERIES), targets, N_QUERIES)


def test_precision_is_the_share_of_hits_among_items_of_that_score(day: tuple[dict[str, Candidates], Ragged]) -> None:
    found, targets = day
    precision = Calibration.measured(found, targets, N_ITEMS).precision("good", found["good"])
    hits = metrics.hits(found["good"], targets, N_ITEMS)
    high, low = found["good"].scores > 1, found["good"].scores < 0.9
    assert hits[high].all() and precision[high].mean() > 0.5, "a few levels of few places, drawn towards the mean"
    assert precision[low].mean() == pytest.approx(hits[low].mean(), abs=0.01)


def test_curves_rise_strictly_and_are_few_knots(day: tuple[dict[str, Candidates], Ragged]) -> None:
    found, targets = day
    for curve in Calibration.measured(found, targets, N_ITEMS).curves.values():
        assert len(curve.scores) == len(curve.precision) <= 64
        assert (np.diff(curve.scores) > 0).all()
        assert (np.diff(curve.precision) >= 0).all()
        assert ((curve.precision >= 0) & (curve.precision <= 1)).all()


def test_a_level_is_drawn_towards_the_sources_mean_by_the_formula() -> None:
    n = LEAST_PLACES
    scores = np.repeat([[2.0, 1.0]], n, axis=0).astype(np.float32)
    found = {"a": Candidates(np.tile(np.array([0, 1], np.int32), (n, 1)), scores)}
    calibration = Calibration.measured(found, Ragged.from_owners(np.arange(n), np.zeros(n, np.int32), n), 2)
    mean = 0.5
    wanted = [(mean * SHRINKAGE) / (n + SHRINKAGE), (n + mean * SHRINKAGE) / (n + SHRINKAGE)]
    np.testing.assert_allclose(calibration.curves["a"].precision, wanted)
    np.testing.assert_allclose(calibration.curves["a"].scores, [1.0, 2.0])


def test_scores_that_rank_backwards_are_worth_the_mean_everywhere() -> None:
    n = 500
    scores = np.stack([np.full(n, 2.0), np.full(n, 1.0)], axis=1).astype(np.float32)
    found = {"a": Candidates(np.tile(np.array([0, 1], np.int32), (n, 1)), scores)}
    targets = Ragged.from_owners(np.arange(n), np.ones(n, np.int32), n)
    np.testing.assert_allclose(Calibration.measured(found, targets, 2).curves["a"].precision, [0.5])


def test_calibrated_beats_ranks_when_one_source_is_much_better(day: tuple[dict[str, Candidates], Ragged]) -> None:
    calibration = Calibration.measured(*day, N_ITEMS)
    rng = np.random.default_rng(9)
    targets = rng.integers(0, N_ITEMS, N_QUERIES)
    found = {name: planted(0.02, rng, targets) for name in ("bad", "worse", "worst")} | {
        "good": planted(0.9, rng, targets)
    }
    calibration = Calibration({**calibration.curves, **dict.fromkeys(("worse", "worst"), calibration.curves["bad"])})
    asked = Ragged.from_owners(np.arange(N_QUERIES), targets, N_QUERIES)

    def recall(answer: Candidates) -> float:
        return float(metrics.recall(metrics.hits(answer, asked, N_ITEMS), asked, 3).mean())

    by_ranks = recall(RankFusionConfig().blend(found, 3))
    calibrated = recall(CalibratedConfig(kind="calibrated").blend(found, 3, calibration))
    assert calibrated > 0.85 and calibrated > by_ranks + 0.2


def test_an_unmeasured_source_goes_by_its_ranks() -> None:
    found = Candidates(np.array([[3, 4, UNKNOWN]], np.int32), np.array([[0.2, 0.1, -np.inf]], np.float32))
    np.testing.assert_allclose(UNCALIBRATED.precision("a", found), [[1 / 11, 1 / 12, 1 / 13]])
    blended = CalibratedConfig(kind="calibrated").blend({"a": found, "b": found}, 2)
    assert blended.items.tolist() == [[3, 4]]
    np.testing.assert_allclose(blended.scores, [[1 - (10 / 11) ** 2, 1 - (11 / 12) ** 2]], rtol=1e-6)


def test_a_source_that_found_nothing_has_no_curve() -> None:
    nothing = {"a": Candidates.none(3, 5)}
    assert Calibration.measured(nothing, Ragged.empty(3), 10).curves == {}


def test_written_and_read_again_it_is_the_same(day: tuple[dict[str, Candidates], Ragged]) -> None:
    measured = Calibration.measured(*day, N_ITEMS)
    back = Calibration.from_plain(json.loads(json.dumps(measured.as_plain())))
    for name, ranking in day[0].items():
        np.testing.assert_array_equal(back.precision(name, ranking), measured.precision(name, ranking))
