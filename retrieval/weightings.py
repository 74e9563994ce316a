"""What a user's choice of an item is worth when items are compared: matrices of users by items, reweighted."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float64

from retrieval.domain import Histories
from retrieval.interactions import summed_matrix


def per_user_norm(chosen: sp.csr_array) -> sp.csr_array:
    """Each user's row divided by the root of its sum: a long history says less about each of its pairs."""
    return _scaled(chosen, users=1 / np.sqrt(np.maximum(_row_sums(chosen), 1)))


def tfidf(times_chosen: sp.csr_array) -> sp.csr_array:
    """sqrt(tf) * idf: tf how often the user chose the item, idf = log((1 + items) / (1 + the user's items)).

    Items are the documents and users the terms. Source: Salton and Buckley 1988, with the root of tf.
    """
    n_items, n_chosen = times_chosen.shape[1], np.diff(times_chosen.indptr)
    return _scaled(times_chosen.sqrt(), users=np.log((1 + n_items) / (1 + n_chosen)))


def bm25(times_chosen: sp.csr_array, k1: float, b: float) -> sp.csr_array:
    """idf * tf (k1 + 1) / (tf + k1 (1 - b + b length / mean length)), length how often the item was chosen.

    Items are the documents and users the terms; idf = log(1 + (items - n + 0.5) / (n + 0.5)) of a user with n items.
    Source: Robertson and Zaragoza 2009, equation 3.15, with the idf that is never negative.
    """
    n_items, n_chosen = times_chosen.shape[1], np.diff(times_chosen.indptr)
    lengths = np.asarray(times_chosen.sum(axis=0), np.float64)
    mean_length = max(lengths.sum() / max(np.count_nonzero(lengths), 1), 1e-9)
    damping = k1 * (1 - b + b * lengths / mean_length)
    tf = times_chosen.data.astype(np.float64)
    saturated = times_chosen.copy()
    saturated.data = tf * (k1 + 1) / (tf + damping[times_chosen.indices])
    return _scaled(saturated, users=np.log1p((n_items - n_chosen + 0.5) / (n_chosen + 0.5)))


def centred(histories: Histories, n_items: int) -> sp.csr_array:
    """Each pair's mean weight less the mean weight of all the user's events.

    Source: Sarwar et al., WWW 2001, section 3.1.3, the matrix under the adjusted cosine.
    """
    sums, events = (summed_matrix(part, n_items).astype(np.float64) for part in (histories, histories.counting()))
    means = _row_sums(sums) / np.maximum(_row_sums(events), 1)
    sums.data = sums.data / events.data - np.repeat(means, np.diff(sums.indptr))
    return sums


def unit_columns(weighted: sp.csr_array, shrinkage: float = 0.0) -> sp.csr_array:
    """Each item's column divided by sqrt(its squared length + shrinkage * the mean squared length).

    Inner products of the columns are then cosines, as if each item had been chosen by some further users who chose
    nothing else: what few users say counts less.
    """
    squares = np.asarray(weighted.power(2).sum(axis=0), np.float64)
    mean = squares.sum() / max(np.count_nonzero(squares), 1)
    lengths = np.sqrt(squares + shrinkage * mean)
    return _scaled(weighted, items=1 / np.where(lengths > 0, lengths, 1))


def _row_sums(matrix: sp.csr_array) -> Float64[np.ndarray, " users"]:
    return np.asarray(matrix.sum(axis=1), np.float64)


def _scaled(matrix: sp.csr_array, *, users: np.ndarray | None = None, items: np.ndarray | None = None) -> sp.csr_array:
    """The same pairs in float64, times a factor a user or an item."""
    data = matrix.data.astype(np.float64)
    if users is not None:
        data *= np.repeat(users, np.diff(matrix.indptr))
    if items is not None:
        data *= items[matrix.indices]
    return sp.csr_array((data, matrix.indices, matrix.indptr), matrix.shape)
