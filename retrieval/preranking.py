"""A head's own last word: one linear score of what all heads say and how often an item is chosen, as an inner product.

Each head's preranker learns from that head's own aim: one that learnt from engagement alone would push out what the
relevance head found. Being linear, its score is itself an inner product of two longer vectors, so that the head's
index ranks by it, and nothing has to be put in order afterwards.
Source: MTMH, arXiv 2506.06239, section 3.4; the form is ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Float32, Float64
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from retrieval.lengths import equally_long, zero_added

RIDGE = 1e-3
"""Pull of the weights towards none, so that features that say the same share what they say."""


@dataclass(frozen=True, slots=True)
class Preranker:
    """Weights of each head's similarity, in the order of the heads, and last of the items' worth.

    score = sum over heads h of w_h <q_h, x_h> + w_last worth(x). Both sides carry the roots of the weights, so that an
    item is as near to another as it is to a question about that other: graphs are built on that. All items are made
    equally long: in a graph by inner products nothing leads to short vectors.
    """

    weights: Float64[np.ndarray, " features"]

    def of_items(
        self, heads: Mapping[str, np.ndarray], worth: Float32[np.ndarray, " items"]
    ) -> Float32[np.ndarray, "items width"]:
        """What an index ranks by: the items' vectors head after head, their worth, and what makes them one length."""
        parts = [*heads.values(), worth[:, None]]
        roots = np.sqrt(np.abs(self.weights)).astype(np.float32)
        weighed = [root * np.asarray(part) for root, part in zip(roots, parts, strict=True)]
        return equally_long(np.concatenate(weighed, axis=1, dtype=np.float32))

    def of_questions(self, asked: Mapping[str, np.ndarray]) -> Float32[np.ndarray, "queries width"]:
        """What such an index is asked with, of the heads' own questions."""
        one = np.ones((len(next(iter(asked.values()))), 1), np.float32)
        roots = np.sign(self.weights) * np.sqrt(np.abs(self.weights))
        weighed = [root * part for root, part in zip(roots, [*asked.values(), one], strict=True)]
        return zero_added(np.concatenate(weighed, axis=1, dtype=np.float32))

    def with_worth(self, share: float) -> Self:
        """The same with so much of the weight of worth."""
        return type(self)(np.append(self.weights[:-1], share * self.weights[-1]))

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray], head: str) -> Self:
        return cls(np.asarray(arrays[key_of(head)], np.float64))


def key_of(head: str) -> str:
    """The name of a head's preranker among a state's arrays."""
    return f"preranker.{head}"


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
