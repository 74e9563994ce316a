"""How good rankings are, by the definitions of trec_eval, and what they show, with bootstrap intervals over users."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float64, Int64

from retrieval.domain import UNKNOWN, Candidates, Ragged

CHUNK = 100
"""Resamples held at once."""
Column = TypeVar("Column", bound=Hashable)


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


def places(found: Candidates, targets: Ragged, n_items: int) -> Int64[np.ndarray, " targets"]:
    """Where each target stands in its query's ranking, counted from 0; the ranking's length where it is not in it."""
    width = found.items.shape[1]
    known = found.items != UNKNOWN
    keys = (np.arange(len(found))[:, None] * n_items + found.items)[known]
    order = np.argsort(keys)
    ordered, wanted = keys[order], targets.owners() * n_items + targets.values
    at = np.searchsorted(ordered, wanted)
    is_found = at < len(ordered)
    is_found[is_found] = ordered[at[is_found]] == wanted[is_found]
    standing = np.full(len(wanted), width, np.int64)
    standing[is_found] = np.nonzero(known)[1][order[at[is_found]]]
    return standing


def recall_among(
    reached: Bool[np.ndarray, " targets"] | Int64[np.ndarray, " targets"],
    kept: Bool[np.ndarray, " targets"],
    targets: Ragged,
) -> Float64[np.ndarray, " queries"]:
    """Share of a query's kept targets that were reached; not a number where it has none of them.

    Counts instead of truths give a sum of recalls, such as the difference of two.
    """
    owners = targets.owners()[kept]
    wanted = np.bincount(owners, minlength=len(targets))
    gained = np.bincount(owners, reached[kept], minlength=len(targets))
    return np.where(wanted > 0, gained / np.maximum(wanted, 1), np.nan)


def recall(hit: Bool[np.ndarray, "queries k"], targets: Ragged, k: int) -> Float64[np.ndarray, " queries"]:
    """Share of a query's targets among its first k candidates."""
    return hit[:, :k].sum(1) / np.maximum(targets.lengths, 1)


def ndcg(hit: Bool[np.ndarray, "queries k"], targets: Ragged, k: int) -> Float64[np.ndarray, " queries"]:
    """Discounted gain of the first k candidates over that of a perfect ranking."""
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])
    gained = hit[:, :k] @ discounts[: hit[:, :k].shape[1]]
    return gained / np.maximum(ideal[np.minimum(targets.lengths, k)], 1e-12)


def reciprocal_rank(hit: Bool[np.ndarray, "queries k"], k: int) -> Float64[np.ndarray, " queries"]:
    """1 / rank of the first target among the first k candidates, 0 where there is none; its mean is the MRR."""
    first = hit[:, :k]
    return np.where(first.any(axis=1), 1 / (1 + first.argmax(axis=1)), 0.0) if first.shape[1] else np.zeros(len(hit))


def hit_rate(hit: Bool[np.ndarray, "queries k"], k: int) -> Float64[np.ndarray, " queries"]:
    """1 where any target is among the first k candidates, 0 elsewhere."""
    return np.where(hit[:, :k].any(axis=1), 1.0, 0.0)


def self_information(n_choices: Int64[np.ndarray, " items"]) -> Float64[np.ndarray, " items"]:
    """How surprising an item is, in bits: -log2 p, p its share of all choices.

    One choice is added to each item, so that what nobody has chosen yet surprises most, and not without bound.
    Source: Vargas and Castells, RecSys 2011, popularity-based novelty.
    """
    return np.log2((n_choices.sum() + len(n_choices)) / (n_choices + 1))


def popularity_percentile(n_choices: Int64[np.ndarray, " items"]) -> Float64[np.ndarray, " items"]:
    """Share of the catalogue that is chosen less often than an item, those equally often counted half: 0 to 1."""
    ordered = np.sort(n_choices)
    less, up_to = (np.searchsorted(ordered, n_choices, side) for side in ("left", "right"))
    return (less + up_to) / (2 * max(len(n_choices), 1))


def mean_shown(found: Candidates, values: Float64[np.ndarray, " items"], k: int) -> Float64[np.ndarray, " queries"]:
    """The mean of items' values over a query's first k candidates; not a number where it has none."""
    first = found.items[:, :k]
    known = first != UNKNOWN
    n_shown = known.sum(axis=1)
    total = np.where(known, values[first], 0.0).sum(axis=1)
    return np.where(n_shown > 0, total / np.maximum(n_shown, 1), np.nan)


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
    both = np.stack([above, below], axis=1)
    tops, bottoms = np.concatenate([draws @ both for draws in _resamples(len(both), rng, n_resamples)]).T
    low, high = np.quantile(tops / np.maximum(bottoms, 1e-12), [0.025, 0.975])
    return Estimate(float(above.sum() / below.sum()), float(low), float(high))


def estimate(values: Float64[np.ndarray, " users"], rng: np.random.Generator, n_resamples: int = 1000) -> Estimate:
    """The mean over users and the percentile interval of its bootstrap distribution."""
    return estimates({"": values}, rng, n_resamples)[""]


def estimates(
    columns: Mapping[Column, Float64[np.ndarray, " users"]], rng: np.random.Generator, n_resamples: int = 1000
) -> dict[Column, Estimate]:
    """The mean of each column over the users it is a number for, with its interval; 0 where there are none.

    All columns are resampled together, so that differences of their bounds mean something.
    """
    values = np.stack(list(columns.values()), axis=1)
    counts = ~np.isnan(values)
    if not counts.any():
        return dict.fromkeys(columns, Estimate(0.0, 0.0, 0.0))
    values, drawn = np.where(counts, values, 0.0), []
    for draws in _resamples(len(values), rng, n_resamples):
        present = draws @ counts
        drawn.append(np.divide(draws @ values, present, out=np.full_like(present, np.nan), where=present > 0))
    means, resampled = values.sum(axis=0) / np.maximum(counts.sum(axis=0), 1), np.concatenate(drawn)
    return {name: _around(means[place], resampled[:, place]) for place, name in enumerate(columns)}


def _resamples(
    n_users: int, rng: np.random.Generator, n_resamples: int
) -> Iterator[Float64[np.ndarray, "resamples users"]]:
    """How often each user is drawn in each resample, some resamples at once."""
    for start in range(0, n_resamples, CHUNK):
        size = min(CHUNK, n_resamples - start)
        yield rng.multinomial(n_users, np.full(n_users, 1 / n_users), size=size).astype(np.float64)


def _around(mean: float, resampled: Float64[np.ndarray, " resamples"]) -> Estimate:
    """The interval of a mean; a resample without any user that counts says nothing."""
    known = resampled[~np.isnan(resampled)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (mean, mean)
    return Estimate(float(mean), float(low), float(high))
