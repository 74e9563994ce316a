"""Histories as sparse matrices of users by items: what neighbours, closed forms and factor models are made of."""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int64

from retrieval.domain import DAY, Histories


def decayed(histories: Histories, day: int, half_life_days: float | None) -> Histories:
    """The same events, their weights halved with every half-life of age as the day begins; None leaves them."""
    if half_life_days is None:
        return histories
    age_days = np.maximum(day * DAY - histories.times, 0) / DAY
    weights = histories.weights * 0.5 ** (age_days / half_life_days)
    return replace(histories, weights=weights.astype(np.float32))


def binary_matrix(histories: Histories, n_items: int) -> sp.csr_array:
    """Which user met which item: 1 however often and whatever the weight, float32, columns ascending in each row."""
    matrix = summed_matrix(histories.counting(), n_items)
    matrix.data[:] = 1
    return matrix


def summed_matrix(histories: Histories, n_items: int) -> sp.csr_array:
    """The sum of the weights of each user's events with each item, float32, columns ascending in each row.

    A sum of 0 is stored: the pair was met.
    """
    parts = (histories.weights.astype(np.float32), histories.items.copy(), histories.offsets.copy())
    matrix = sp.csr_array(parts, (len(histories), n_items))  # on copies: summing writes over what it is given
    matrix.sum_duplicates()
    return matrix


def steps_ago(histories: Histories) -> Int64[np.ndarray, " events"]:
    """How many of the user's distinct times are later than each event's: 0 for all that happened last.

    What happens at the same second is one step, as a basket is.
    """
    owners, times = histories.owners(), histories.times
    is_new = np.ones(histories.n_events, bool)
    is_new[1:] = (owners[1:] != owners[:-1]) | (times[1:] != times[:-1])
    steps = np.cumsum(is_new)
    return steps[np.maximum(histories.offsets[1:] - 1, 0)][owners] - steps if len(steps) else steps


def last_steps(histories: Histories, n: int) -> Histories:
    """The events of each user's newest n steps."""
    return histories.where(steps_ago(histories) < n)
