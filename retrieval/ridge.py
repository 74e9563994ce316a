"""Ridge regressions between items in closed form: dense algebra in single precision, in place, on all cores."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float32, Int, Int32
from scipy.linalg import lapack

from retrieval.domain import Histories
from retrieval.errors import ModelError

ROWS_AT_ONCE = 1024
"""Rows of a product of sparse matrices that are held before they are added to the dense one."""


def most_chosen(histories: Histories, n_items: int, n: int) -> Int32[np.ndarray, " chosen"]:
    """The rows of the n items with most events, ascending; ties to the lower row, none without events."""
    counts = np.bincount(histories.items, minlength=n_items)
    best = np.argsort(-counts, kind="stable")[:n]
    return np.sort(best[counts[best] > 0]).astype(np.int32)


def places_of(items: Int32[np.ndarray, " chosen"], n_items: int) -> Int[np.ndarray, " items"]:
    """The place of each item of the catalogue among the chosen; -1 for the others."""
    places = np.full(n_items, -1)
    places[items] = np.arange(len(items))
    return places


def only(histories: Histories, items: Int32[np.ndarray, " chosen"], n_items: int) -> Histories:
    """The events with the chosen items, which are numbered by their places."""
    places = places_of(items, n_items)[histories.items]
    known = histories.where(places >= 0)
    return Histories(known.offsets, places[places >= 0].astype(np.int32), known.weights, known.times)


def add_product(total: Float32[np.ndarray, "left right"], left: sp.csr_array, right: sp.csr_array) -> None:
    """Add left' right to a dense matrix."""
    columns = left.T.tocsr()
    for start in range(0, len(total), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        total[part] += (columns[part] @ right).toarray()


def inverse(gram: Float32[np.ndarray, "n n"]) -> Float32[np.ndarray, "n n"]:
    """The inverse of a symmetric positive definite matrix, which is overwritten: Cholesky, n^3 operations.

    Raises:
        ModelError: where it is not positive definite in single precision.
    """
    if not len(gram):
        return gram  # which LAPACK refuses
    factor = _cholesky(gram)
    inverted, _ = lapack.spotri(factor, lower=True, overwrite_c=True)
    for start in range(0, len(inverted), ROWS_AT_ONCE):  # only one half is written
        part = slice(start, start + ROWS_AT_ONCE)
        block = inverted[part, part]
        block[:] = np.tril(block) + np.tril(block, -1).T
        inverted[part, part.stop :] = inverted[part.stop :, part].T
    return inverted


def solve(gram: Float32[np.ndarray, "n n"], moments: Float32[np.ndarray, "n m"]) -> Float32[np.ndarray, "n m"]:
    """The W of gram W = moments, of whose gram the upper half is read and which is overwritten.

    Raises:
        ModelError: where it is not positive definite in single precision.
    """
    if not len(gram):
        return moments  # which LAPACK refuses
    solution, _ = lapack.spotrs(_cholesky(gram), np.asfortranarray(moments), lower=True, overwrite_b=True)
    return np.ascontiguousarray(solution)


def _cholesky(gram: Float32[np.ndarray, "n n"]) -> Float32[np.ndarray, "n n"]:
    factor, failed = lapack.spotrf(gram.T, lower=True, overwrite_a=True, clean=False)  # .T: in Fortran's order already
    if failed:
        raise ModelError(
            f"the items' products are not positive definite: row {failed} of {len(gram)} depends on those before it. "
            "Raise the ridge, or lower max_items."
        )
    return factor
