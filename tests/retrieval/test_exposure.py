"""What an item is expected to be chosen a day counts the days it was there, and newcomers are expected to do as they do."""

import numpy as np
import pytest

from retrieval.exposure import FLOOR, NEW_DAYS, Exposure

HALF_LIFE = 14.0
DECAY = 0.5 ** (1 / HALF_LIFE)


def walked(first_seen: list[int], choices: np.ndarray) -> Exposure:
    """After days from 0 on, a row of choices each."""
    exposure = Exposure.none(np.array(first_seen, np.int64), 0, HALF_LIFE)
    for day, row in enumerate(choices.astype(np.float32)):
        exposure.walk(day, row)
    return exposure


def test_an_item_without_a_past_is_expected_to_do_as_newcomers_did() -> None:
    rng = np.random.default_rng(3)
    first_seen = [0] * 50 + list(np.repeat(np.arange(1, 100), 20)) + [100] * 5
    ages = np.arange(100)[:, None] - np.array(first_seen)
    choices = rng.poisson(np.where(ages < 0, 0.0, np.where(ages <= NEW_DAYS, 0.5, 0.02)))
    exposure = walked(first_seen, choices)
    rates = exposure.rates()
    assert rates[-1] == pytest.approx(0.5, rel=0.1)
    assert rates[-1] > 5 * rates[:50].mean()


def test_what_nobody_chose_for_a_hundred_days_falls_to_the_floor_and_what_came_yesterday_does_not() -> None:
    choices = np.zeros((300, 4))
    choices[:, 0] = 1.0
    choices[280:, 1] = 1.0
    exposure = walked([0, 280, 0, 299], choices)
    always, since_lately, never, since_yesterday = exposure.rates()
    assert always == pytest.approx(1.0, rel=0.05)
    assert since_lately == pytest.approx(1.0, rel=0.05), "twenty days of one choice each are a choice a day"
    assert FLOOR / 2 <= never <= FLOOR
    assert since_yesterday > 10 * never


def test_one_lucky_newcomer_does_not_lift_all_others_above_everything() -> None:
    choices = np.zeros((60, 102))
    choices[:, :50] = 2.0
    choices[59, 100] = 40.0
    exposure = walked([0] * 100 + [58, 60], choices)
    rates = exposure.rates()
    assert rates[101] < rates[:50].min()


def test_the_day_an_item_is_first_seen_on_is_no_evidence() -> None:
    choices = np.zeros((30, 31))
    choices[np.arange(1, 30), np.arange(1, 30)] = 1.0  # each seen by its only choice
    exposure = walked([0, *range(1, 31)], choices)
    assert exposure.newcomers_choices == 0.0
    assert exposure.newcomers_days > 0
    assert not exposure.choices.any()


def test_expected_rates_are_the_mean_of_the_true_ones_among_items_with_the_same_past() -> None:
    rng = np.random.default_rng(5)
    a, mean, n = FLOOR / (1 - DECAY), 0.15, 200_000
    true = rng.gamma(a, mean / a, n)
    first_seen = rng.integers(1, 41, n)
    days = np.arange(41)[:, None]
    exposure = walked(first_seen.tolist(), rng.poisson(np.where(days > first_seen, true, 0.0)))
    rates = exposure.rates()
    for n_days in (1, 4, 7):  # later the decay forgets what was seen
        there = first_seen == 40 - n_days
        for some in (there & (exposure.choices == 0), there & (exposure.choices > 0)):
            assert rates[some].mean() == pytest.approx(true[some].mean(), rel=0.25), n_days


@pytest.mark.parametrize("choices", [np.zeros((0, 3)), np.zeros((5, 3))])
def test_a_log_without_choices_expects_the_floor_of_everybody(choices: np.ndarray) -> None:
    exposure = walked([0, 2, 40], choices)
    rates = exposure.rates()
    assert np.isfinite(rates).all()
    assert (rates >= FLOOR / 2).all() and (rates <= FLOOR * 1.001).all()
