"""Users solved from what they chose against fixed items: many small systems at once, in blocks of bounded memory."""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float32, Int64

from retrieval.domain import Ragged

NUMBERS_AT_ONCE = 1 << 20
"""Numbers of chosen items' factors and of systems that a block may hold: 4 MiB, which stay in the cache."""


def fold_in(
    extra: sp.csr_array,
    factors: Float32[np.ndarray, "items dim"],
    gram: Float32[np.ndarray, "dim dim"],
    regularization: float,
) -> Float32[np.ndarray, "queries dim"]:
    """Each row's u with the least sum over items of c (p - <u, v>)^2 + regularization |u|^2.

    `extra` holds c - 1 of the chosen items, whose preference p is 1; all others have p = 0 and c = 1; `gram` is V'V. So
    (V'V + V'(C - 1)V + regularization I) u = sum of c v over the chosen items.
    Source: Hu, Koren, Volinsky, ICDM 2008, equation 4.
    """
    dim = factors.shape[1]
    base = gram + regularization * np.eye(dim, dtype=np.float32)
    rows = Ragged(extra.indptr.astype(np.int64), extra.indices.astype(np.int32))
    users = np.empty((len(rows), dim), np.float32)
    for part in _blocks(rows.lengths, dim):
        items, weights = _padded(rows.take(part), extra.data, rows.offsets[part])
        vectors = factors[items]
        systems = base + (vectors * weights[:, :, None]).transpose(0, 2, 1) @ vectors
        wanted = np.where(weights > 0, 1 + weights, 0)[:, None, :] @ vectors
        # scipy's Cholesky calls Python for every system, and takes as long.
        users[part] = np.linalg.solve(systems, wanted.transpose(0, 2, 1))[:, :, 0]
    return users


def _blocks(lengths: Int64[np.ndarray, " rows"], dim: int) -> Iterator[Int64[np.ndarray, " block"]]:
    """Rows by falling length, as many at once as their padded histories and systems leave room for."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        stop = start + max(1, NUMBERS_AT_ONCE // ((longest + dim) * dim))
        yield order[start:stop]
        start = stop


def _padded(
    rows: Ragged, weights: Float32[np.ndarray, " entries"], starts: Int64[np.ndarray, " block"]
) -> tuple[Int64[np.ndarray, "block longest"], Float32[np.ndarray, "block longest"]]:
    """Items and weights of a block of rows as one rectangle: where a row is shorter, item 0 weighs nothing."""
    lengths, owners = rows.lengths, rows.owners()
    places = np.arange(len(owners)) - rows.offsets[owners]
    items = np.zeros((len(rows), int(lengths.max(initial=0))), np.int64)
    weighed = np.zeros(items.shape, np.float32)
    items[owners, places] = rows.values
    weighed[owners, places] = weights[starts[owners] + places]
    return items, weighed
