"""Ranking quality: recall, nDCG and coverage by the definitions of trec_eval, with bootstrap intervals over users."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from retrieval.domain import UNKNOWN, Candidates, Ragged


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over users with its 95 % interval."""

    mean: float
    low: float
    high: float


def hits(found: Candidates, targets: Ragged, n_items: int) -> Bool[np.ndarray, "queries k"]:
    """Which candidates are targets of their query."""
    keys = np.arange(len(found))[:, None] * n_items + found.items
    wanted = targets.owners() * n_items + targets.values
    return (found.items != UNKNOWN) & np.isin(keys, wanted)


def recall(hit: Bool[np.ndarray, "queries k"], targets: Ragged, k: int) -> Float64[np.ndarray, " queries"]:
    """Share of a query's targets among its first k candidates."""
    return hit[:, :k].sum(1) / np.maximum(targets.lengths, 1)


def ndcg(hit: Bool[np.ndarray, "queries k"], targets: Ragged, k: int) -> Float64[np.ndarray, " queries"]:
    """Discounted gain of the first k candidates over that of a perfect ranking."""
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])
    gained = hit[:, :k] @ discounts[: hit[:, :k].shape[1]]
    return gained / np.maximum(ideal[np.minimum(targets.lengths, k)], 1e-12)


def shown(
    found: Candidates, n_items: int, k: int, weights: Float64[np.ndarray, " queries"] | None = None
) -> Float64[np.ndarray, " items"]:
    """How often each item appears in the first k candidates; a query counts as often as its weight says."""
    first = found.items[:, :k]
    known = first != UNKNOWN
    often = np.ones(len(found)) if weights is None else weights
    return np.bincount(first[known], np.broadcast_to(often[:, None], first.shape)[known], n_items).astype(np.float64)


def breadth(counts: Float64[np.ndarray, " items"], share: float = 1.0) -> float:
    """Share of the catalogue that it takes to fill a share of all places: of all of them, plain coverage.

    The breadth of nine tenths falls when few items crowd out the others, while coverage still counts each of them once.
    """
    filled = np.cumsum(np.sort(counts)[::-1])
    needed = np.searchsorted(filled, share * filled[-1] * (1 - 1e-12)) + 1 if counts.any() else 0
    return float(needed / max(len(counts), 1))


def ratio(
    above: Float64[np.ndarray, " users"],
    below: Float64[np.ndarray, " users"],
    rng: np.random.Generator,
    n_resamples: int = 1000,
) -> Estimate | None:
    """The ratio of two means over the same users, resampled together; None where `below` finds nothing."""
    if not below.any():
        return None
    n = len(below)
    draws = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples)
    found = (draws @ above) / np.maximum(draws @ below, 1e-12)
    low, high = np.quantile(found, [0.025, 0.975])
    return Estimate(float(above.sum() / below.sum()), float(low), float(high))


def estimate(values: Float64[np.ndarray, " users"], rng: np.random.Generator, n_resamples: int = 1000) -> Estimate:
    """The mean over users and the percentile interval of its bootstrap distribution."""
    if not len(values):
        return Estimate(0.0, 0.0, 0.0)
    draws = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), size=n_resamples) @ values / len(values)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high))
