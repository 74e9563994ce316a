"""A head's own last word on its candidates: one linear score of what all heads say and how often an item is chosen.

Each head's preranker learns from that head's own aim, on that head's own candidates: one that learnt from engagement
alone would push out what the relevance head found.
Source: MTMH, arXiv 2506.06239, section 3.4; the form is ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Float32, Float64, Int32
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from retrieval.domain import UNKNOWN, Candidates
from retrieval.spaces import Space

RIDGE = 1e-3
"""Pull of the weights towards none, so that features that say the same share what they say."""


@dataclass(frozen=True, slots=True)
class Preranker:
    """Weights of each head's similarity, in the order of the heads, and last of the items' rates."""

    weights: Float64[np.ndarray, " features"]

    def rank(self, found: Candidates, asked: Mapping[str, np.ndarray], spaces: Mapping[str, Space]) -> Candidates:
        """The candidates of a head in its preranker's order; ties keep the head's."""
        if not self.weights.any():
            return found
        scores = (features(found.items, asked, spaces) @ self.weights).astype(np.float32)
        scores[found.items == UNKNOWN] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")
        return Candidates(np.take_along_axis(found.items, order, 1), np.take_along_axis(scores, order, 1))

    @classmethod
    def none(cls, n_heads: int) -> Self:
        """Leaves the order as it is."""
        return cls(np.zeros(n_heads + 1))

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray], head: str) -> Self:
        return cls(np.asarray(arrays[key_of(head)], np.float64))


def key_of(head: str) -> str:
    """The name of a head's preranker among a state's arrays."""
    return f"preranker.{head}"


def features(
    items: Int32[np.ndarray, "queries k"], asked: Mapping[str, np.ndarray], spaces: Mapping[str, Space]
) -> Float32[np.ndarray, "queries k features"]:
    """What prerankers look at: each head's similarity to the query, and the logarithm of the item's rate."""
    known = np.maximum(items, 0)
    alike = [
        np.matmul(np.asarray(space.targets[known]), asked[name][:, :, None])[:, :, 0] for name, space in spaces.items()
    ]
    worth = next(iter(spaces.values())).worth
    assert worth is not None
    return np.stack([*alike, worth[known]], axis=2).astype(np.float32)


def learnt(
    given: Float[np.ndarray, "queries k features"], wanted: Float[np.ndarray, "queries k"]
) -> Float64[np.ndarray, " features"]:
    """The weights that put most where it is wanted: the mean of -sum wanted log softmax(features . weights).

    `wanted` sums to 1 in each row. The function is convex, so that it has one lowest point.
    """
    shape, flat = wanted.shape, given.reshape(-1, given.shape[2]).astype(np.float64)
    spread = flat.std(axis=0) + 1e-6
    flat /= spread

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = (flat @ weights).reshape(shape)
        scores -= scores.max(axis=1, keepdims=True)
        odds = np.exp(scores)
        total = odds.sum(axis=1, keepdims=True)
        value = -(wanted * (scores - np.log(total))).sum() / shape[0] + RIDGE * (weights**2).sum()
        slope = (odds / total - wanted).ravel() @ flat / shape[0] + 2 * RIDGE * weights
        return float(value), slope

    with threadpool_limits(1, "blas"):  # many products of a few columns: threads would only wait for each other
        found = minimize(loss, np.zeros(flat.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 100})
    return np.asarray(found.x / spread)
