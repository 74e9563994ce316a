"""The log Q that corrects the loss is the probability with which items really are drawn."""

import numpy as np
import pytest

from retrieval.sampling import PRIOR, mixed_sample

N_DRAWS = 4000


@pytest.mark.parametrize(("batch", "n_uniform"), [(6, 0), (6, 8), (1, 3)])
def test_items_come_in_as_often_as_log_q_says(batch: int, n_uniform: int) -> None:
    rng = np.random.default_rng(0)
    counts = 1e6 * np.array([8, 4, 2, 1, 1, 0.5, 0.25, 0.25, 0.0, 0.0], np.float32)
    share = counts.astype(np.float64) / counts.sum()
    times, log_q = np.zeros(len(counts)), np.full(len(counts), np.nan)
    for _ in range(N_DRAWS):
        sample = mixed_sample(rng.choice(len(counts), batch, p=share), counts, n_uniform, rng)
        times[sample.items] += 1
        log_q[sample.items] = sample.log_q
    drawn = ~np.isnan(log_q)
    probability, frequency = np.exp(log_q[drawn]), times[drawn] / N_DRAWS
    error = np.sqrt(probability * (1 - probability) / N_DRAWS)
    assert (np.abs(frequency - probability) <= 4.5 * error + 1e-6).all()
    assert drawn[:8].all()
    assert drawn[8:].all() == (n_uniform > 0), "an item that is never chosen comes in by even draws alone"


def test_items_are_distinct_ascending_and_hold_every_positive() -> None:
    positives = np.array([7, 3, 7, 0])
    sample = mixed_sample(positives, np.ones(20, np.float32), 30, np.random.default_rng(1))
    assert sample.items.tolist() == sorted(set(sample.items.tolist()))
    assert set(positives.tolist()) <= set(sample.items.tolist())
    assert sample.log_q.shape == sample.items.shape
    assert (sample.log_q <= 0).all()


def test_the_first_choice_of_an_item_is_as_likely_as_half_a_choice_before_would_make_it() -> None:
    counts = np.array([100.0, 100.0, 50.0, 0.0], np.float32)
    sample = mixed_sample(np.array([0, 3]), counts, 0, np.random.default_rng(1))
    share = np.array([100 + PRIOR, PRIOR]) / (250 + 4 * PRIOR)
    np.testing.assert_allclose(np.exp(sample.log_q), 1 - (1 - share) ** 2, rtol=1e-4)
    assert sample.log_q[1] > -6, "not enough to outweigh every score"


def test_log_q_is_finite_where_nothing_is_known() -> None:
    sample = mixed_sample(np.array([0, 1]), np.zeros(3, np.float32), 0, np.random.default_rng(1))
    assert np.isfinite(sample.log_q).all()
    one = mixed_sample(np.array([0]), np.ones(1, np.float32), 4, np.random.default_rng(1))
    assert one.items.tolist() == [0]
    assert np.isfinite(one.log_q).all()
