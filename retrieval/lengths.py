"""Vectors of unequal length made equally long, so that a graph built for angles finds the order by inner product."""

import numpy as np
from jaxtyping import Float32


def equally_long(vectors: Float32[np.ndarray, "items dim"]) -> Float32[np.ndarray, "items dim_plus_1"]:
    """The same vectors with one more number, which makes up what each is short of the longest: sqrt(M^2 - |v|^2).

    Source: Bachrach et al., RecSys 2014, the reduction of inner products to angles.
    """
    squares = (vectors.astype(np.float64) ** 2).sum(axis=1)
    missing = np.sqrt(squares.max(initial=0.0) - squares)
    return np.concatenate([vectors, missing[:, None]], axis=1).astype(np.float32)


def zero_added(queries: Float32[np.ndarray, "queries dim"]) -> Float32[np.ndarray, "queries dim_plus_1"]:
    """The queries that go with `equally_long` items: their inner products are those without the added number."""
    return np.concatenate([queries, np.zeros((len(queries), 1), np.float32)], axis=1).astype(np.float32)
