"""What is known of each item's rate of being chosen: trials, a Beta prior from the catalogue, tables to draw from."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int32
from scipy.special import betainccinv

from retrieval.domain import DAY, Catalogue, Histories
from retrieval.progress import advance
from retrieval.streams import GREATEST

N_STEPS = 128
"""Steps of a table of quantiles."""
ROWS_AT_ONCE = 1024
"""Posteriors tabulated at once."""
LEAST_ALIKE, MOST_ALIKE = 1e-6, 0.5
"""Bounds of the prior's share of variance that lies between items: a prior of 1 to a million trials."""


@dataclass(frozen=True, slots=True)
class Trials:
    """How often each item was tried, and how often that was a success."""

    tries: Float64[np.ndarray, " items"]
    positives: Float64[np.ndarray, " items"]


def impressions(histories: Histories, n_items: int) -> Trials:
    """Every logged event is a trial, every positive one a success."""
    tries = np.bincount(histories.items, minlength=n_items)
    positives = np.bincount(histories.items[histories.weights > 0], minlength=n_items)
    return Trials(tries.astype(np.float64), positives.astype(np.float64))


def exposures(histories: Histories, catalogue: Catalogue, first: int, day: int) -> Trials:
    """Each day on which a user does anything is a trial of every item to be had on it; a success is choosing the item.

    It assumes that whoever is there may come upon everything there is. That overstates the trials of items that nobody
    was shown; what is right is that old items have many and new ones few.
    """
    days, users = histories.times // DAY - first, histories.owners()
    n_days, n_items, n_users = day - first, len(catalogue), len(histories)
    active = np.unique(days * n_users + users)
    running = np.concatenate([[0], np.cumsum(np.bincount(active // max(n_users, 1), minlength=n_days))])
    since = np.clip(np.maximum(catalogue.first_seen, catalogue.available_from) - first, 0, n_days)
    until = np.clip(catalogue.available_until.astype(np.int64) + 1 - first, since, n_days)
    chosen = histories.weights > 0
    once = np.unique((days[chosen] * n_users + users[chosen]) * n_items + histories.items[chosen])
    positives = np.bincount(once % n_items, minlength=n_items).astype(np.float64)
    return Trials(np.maximum(running[until] - running[since], positives).astype(np.float64), positives)


def fit_prior(trials: Trials) -> tuple[float, float]:
    """The Beta prior of an item's rate by the method of moments, every item that was tried counting alike.

    With rates p of n tries, their mean m and r = 1 / (a + b + 1): E sum (p - m)^2 = m (1 - m) [(1 - r) A + r (N - 1)],
    where A = (1 - 1/N) sum 1/n. Where rates say nothing the prior is even, Beta(1, 1).
    Source: Kleinman, JASA 1973, with equal weights.
    """
    tried = trials.tries > 0
    n_tried, tries = int(tried.sum()), trials.tries[tried]
    rates = trials.positives[tried] / tries
    mean = float(rates.mean()) if n_tried else 0.0
    noise = (1 - 1 / max(n_tried, 1)) * float((1 / tries).sum())
    if not 0 < mean < 1 or n_tried - 1 <= noise:
        return 1.0, 1.0
    spread = float(((rates - mean) ** 2).sum()) / (mean * (1 - mean))
    alike = float(np.clip((spread - noise) / (n_tried - 1 - noise), LEAST_ALIKE, MOST_ALIKE))
    return mean * (1 / alike - 1), (1 - mean) * (1 / alike - 1)


def quantile_tables(
    a: Float64[np.ndarray, " posteriors"], b: Float64[np.ndarray, " posteriors"]
) -> Float32[np.ndarray, "posteriors steps"]:
    """The rate that Beta(a, b) exceeds with probability exp(-e), for e from 0 to the greatest draw, denser near 0.

    Read at an exponential draw, linearly between steps, it is a draw from the posterior.
    """
    exceeded = np.exp(-GREATEST * (np.arange(N_STEPS + 1) / N_STEPS) ** 2)
    tables = np.empty((len(a), N_STEPS + 1), np.float32)
    for start in range(0, len(a), ROWS_AT_ONCE):
        advance("posteriors", start, len(a))
        part = slice(start, start + ROWS_AT_ONCE)
        tables[part] = betainccinv(a[part, None], b[part, None], exceeded)
    return tables


def read_tables(
    tables: Float32[np.ndarray, "posteriors steps"],
    rows: Int32[np.ndarray, " items"],
    exponential: Float32[np.ndarray, "queries items"],
) -> Float32[np.ndarray, "queries items"]:
    """One draw a query and item: the item's table at the pair's exponential draw."""
    places = np.sqrt(exponential * np.float32(1 / GREATEST)) * np.float32(N_STEPS)
    steps = np.minimum(places.astype(np.int32), N_STEPS - 1)
    lower = tables[rows[None, :], steps]
    return lower + (places - steps.astype(np.float32)) * (tables[rows[None, :], steps + 1] - lower)
