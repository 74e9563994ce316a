"""How much being chosen a lot lately adds to what a user's and an item's factors say: an offset an item."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64
from pydantic import Field

from retrieval.domain import DAY, Dataset, Histories, Queries, Ragged
from retrieval.interactions import binary_matrix, decayed
from retrieval.queries import ask
from retrieval.rules import FrozenModel
from retrieval.search import is_in
from retrieval.seeds import generator

PAIRS_AT_ONCE = 1 << 18
"""Pairs of user and item that are scored at once."""


class TrendConfig(FrozenModel):
    """Popularity as an offset of items, and from what it is learnt how much it weighs beside their factors."""

    half_life_days: float | None = Field(default=14.0, gt=0)
    """The age at which a choice counts half in an item's popularity; without it there is no offset."""
    days: int = Field(default=7, ge=1)
    """Newest days whose choices tell the weight. The factors have been learnt from them too and explain more of them
    than of days to come, so the weight comes out somewhat low."""
    pairs: Literal["new", "all"] = "new"
    """Whether to learn from what users chose for the first time, or from everything they chose."""
    max_users: int = Field(default=5000, ge=1)
    """More users than this are sampled."""


def learn_offset(
    config: TrendConfig,
    dataset: Dataset,
    factors: Float32[np.ndarray, "items dim"],
    users_of: Callable[[Queries], np.ndarray],
    seed: int,
) -> Float32[np.ndarray, " items"]:
    """Each item's popularity times what it weighed for the newest days' choices of users who were there before.

    `users_of` makes factors of queries, which are asked as those days began.
    """
    n_items = len(dataset.catalogue)
    if config.half_life_days is None:
        return np.zeros(n_items, np.float32)
    positives, start = dataset.histories.positives(), dataset.day - config.days
    is_before = positives.times < start * DAY
    before, after = positives.where(is_before), positives.where(~is_before)
    users = np.flatnonzero((np.diff(before.offsets) > 0) & (np.diff(after.offsets) > 0))
    users = np.sort(generator(seed, "offset").permutation(users)[: config.max_users])
    asked = ask(replace(dataset, day=start, histories=before), users)
    seen = _pairs_of(before.take(users), n_items) if config.pairs == "new" else Ragged.empty(len(users))
    popular = partial(popularity, n_items=n_items, half_life_days=config.half_life_days)
    weight = offset_weight(
        users_of(asked), factors, popular(before, day=start), _pairs_of(after.take(users), n_items), seen
    )
    return np.float32(weight) * popular(positives, day=dataset.day)


def _pairs_of(histories: Histories, n_items: int) -> Ragged:
    """The distinct items of each history, by way of a matrix: sorting pairs takes ten times as long."""
    matrix = binary_matrix(histories, n_items)
    return Ragged(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32))


def popularity(positives: Histories, n_items: int, day: int, half_life_days: float) -> Float32[np.ndarray, " items"]:
    """The logarithm of 1 + an item's decayed count as a day begins."""
    recent = decayed(positives, day, half_life_days)
    return np.log1p(np.bincount(recent.items, recent.weights, minlength=n_items)).astype(np.float32)


def offset_weight(
    users: Float32[np.ndarray, "users dim"],
    factors: Float32[np.ndarray, "items dim"],
    popular: Float32[np.ndarray, " items"],
    chosen: Ragged,
    left_out: Ragged,
) -> float:
    """What popularity weighs beside <u, v>, by least squares: b / a of the fit y = a <u, v> + b popularity + c.

    y is 1 for the pairs of each user's `chosen` items and 0 for all others; pairs in `left_out` do not count. No pair
    but these is looked at: sums over all pairs come from U'U, V'V and sums of rows. 0 where popularity adds nothing,
    or the factors say nothing.
    """
    gram = _moments(users, factors, popular)
    for regressors in _regressors(left_out, users, factors, popular):
        gram -= regressors.T @ regressors
    found = np.zeros(3)
    for regressors in _regressors(without(chosen, left_out, len(factors)), users, factors, popular):
        found += regressors.sum(axis=0)
    of_factors, of_popularity, _ = np.linalg.lstsq(gram, found, rcond=1e-12)[0]
    return float(max(of_popularity, 0) / of_factors) if of_factors > 0 else 0.0


def without(rows: Ragged, others: Ragged, n_items: int) -> Ragged:
    """Each row without the items of the other row of the same number."""
    owners = rows.owners()
    keep = ~is_in(owners, rows.values, others, n_items)
    return Ragged.from_owners(owners[keep], rows.values[keep], len(rows))


def _moments(
    users: Float32[np.ndarray, "users dim"],
    factors: Float32[np.ndarray, "items dim"],
    popular: Float32[np.ndarray, " items"],
) -> Float64[np.ndarray, "3 3"]:
    """The sums of products of <u, v>, popularity and 1 over all pairs."""
    u, v, p = users.astype(np.float64), factors.astype(np.float64), popular.astype(np.float64)
    n, total = len(u), u.sum(axis=0)
    of_factors = [((u.T @ u) * (v.T @ v)).sum(), total @ (v.T @ p), total @ v.sum(axis=0)]
    return np.array(
        [of_factors, [of_factors[1], n * (p @ p), n * p.sum()], [of_factors[2], n * p.sum(), float(n * len(v))]]
    )


def _regressors(
    pairs: Ragged,
    users: Float32[np.ndarray, "users dim"],
    factors: Float32[np.ndarray, "items dim"],
    popular: Float32[np.ndarray, " items"],
) -> Iterator[Float64[np.ndarray, "pairs 3"]]:
    """<u, v>, popularity and 1 of each pair, a block at a time."""
    owners, items = pairs.owners(), pairs.values
    for start in range(0, len(items), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        scores = np.einsum("ij,ij->i", users[owners[part]], factors[items[part]], dtype=np.float64)
        yield np.column_stack([scores, popular[items[part]], np.ones(len(scores))])
