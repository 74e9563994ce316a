"""The nearest items of every item: implicit's product of sparse matrices, which keeps only the best of each row."""

import numpy as np
import scipy.sparse as sp
import threadpoolctl
from jaxtyping import Bool, Int, Int64

from retrieval.domain import UNKNOWN, Ragged
from retrieval.search import best_entries, is_in

THREADS = 0
"""Of the product; 0 takes all cores. The result is the same on any number."""
OVER_FETCH = 1.5
"""Pairs found for each that is kept: some have too few users in common."""
ROWS_AT_ONCE = 16_384
"""Items whose neighbours are put in order at once."""
ENTRIES_AT_ONCE = 1 << 22
"""Users of items that are looked up at once."""


def nearest_items(weighted: sp.csr_array, n: int, min_users: int) -> sp.csr_array:
    """The n items of largest positive inner product with each item's column of users, best first; not the item itself.

    Pairs with fewer than `min_users` users in common are left out, after 1.5 n + 1 were found by their product alone:
    an item with many such pairs may keep fewer than n. Memory: about 50 bytes for each of these.
    Source: docs/decisions/0012-implicit.md.
    """
    n_items = weighted.shape[1]
    users_of = _columns(weighted)
    found = _product(_without(weighted, users_of.lengths < min_users), int(OVER_FETCH * n) + 1)
    items, others = np.repeat(np.arange(n_items, dtype=np.int32), np.diff(found.indptr)), found.indices
    keep = (items != others) & (found.data > 0)
    items, others, products = items[keep], others[keep], found.data[keep]
    enough = _have_enough_users(weighted, users_of, items, others, products, min_users)
    return _best(items[enough], others[enough], products[enough], n_items, n)


def shared_users(
    users_of: Ragged, n_users: int, one: Int[np.ndarray, " pairs"], other: Int[np.ndarray, " pairs"]
) -> Int64[np.ndarray, " pairs"]:
    """How many users chose both items of each pair: those of the less chosen one, looked up among the other's."""
    lengths = users_of.lengths
    is_longer = lengths[one] > lengths[other]
    short, long = np.where(is_longer, other, one), np.where(is_longer, one, other)
    order = np.argsort(long, kind="stable")
    entries_until = np.cumsum(lengths[short[order]])
    cuts = np.searchsorted(entries_until, np.arange(ENTRIES_AT_ONCE, entries_until[-1:].sum(), ENTRIES_AT_ONCE))
    counts = np.empty(len(one), np.int64)
    for part in np.split(order, cuts):
        distinct, rows = np.unique(long[part], return_inverse=True)
        users = users_of.take(short[part])
        owners = users.owners()
        shared = is_in(rows[owners], users.values, users_of.take(distinct), n_users)
        counts[part] = np.bincount(owners[shared], minlength=len(part))
    return counts


def _have_enough_users(
    weighted: sp.csr_array,
    users_of: Ragged,
    one: np.ndarray,
    other: np.ndarray,
    products: np.ndarray,
    min_users: int,
) -> Bool[np.ndarray, " pairs"]:
    """Whether each pair has `min_users` users in common; only those whose product leaves it open are counted.

    Fewer users than m give a product of at most (m - 1) times the largest numbers of both columns.
    """
    peaks = np.zeros(weighted.shape[1])
    np.maximum.at(peaks, weighted.indices, np.abs(weighted.data))
    most = (min_users - 1) * peaks[one] * peaks[other]
    open_pairs = np.flatnonzero(products <= most * (1 + 1e-9))
    enough = np.ones(len(one), bool)
    counts = shared_users(users_of, weighted.shape[0], one[open_pairs], other[open_pairs])
    enough[open_pairs] = counts >= min_users
    return enough


def _product(weighted: sp.csr_array, n: int) -> sp.csr_matrix:
    """The n largest inner products of each column with all columns."""
    from implicit.nearest_neighbours import ItemItemRecommender  # only where something is fitted

    with threadpoolctl.threadpool_limits(1, "blas"):  # implicit warns about more
        model = ItemItemRecommender(K=min(n, weighted.shape[1]), num_threads=THREADS)
        model.fit(_in_its_types(weighted), show_progress=False)
    return model.similarity


def _in_its_types(matrix: sp.csr_array) -> sp.csr_matrix:
    parts = (matrix.data.astype(np.float64), matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32))
    return sp.csr_matrix(parts, matrix.shape)


def _columns(matrix: sp.csr_array) -> Ragged:
    """The users of each item."""
    columns = matrix.tocsc()
    return Ragged(columns.indptr.astype(np.int64), columns.indices.astype(np.int32))


def _without(matrix: sp.csr_array, left_out: Bool[np.ndarray, " items"]) -> sp.csr_array:
    """The matrix with some items' columns empty."""
    keep = ~left_out[matrix.indices]
    running = np.concatenate([[0], np.cumsum(keep)])
    return sp.csr_array((matrix.data[keep], matrix.indices[keep], running[matrix.indptr]), matrix.shape)


def _best(items: np.ndarray, others: np.ndarray, products: np.ndarray, n_items: int, n: int) -> sp.csr_array:
    """The n largest of each item's products, best first, ties to the lower item; items ascend."""
    values, neighbours, lengths = [], [], []
    for start in range(0, n_items, ROWS_AT_ONCE):
        part = slice(*np.searchsorted(items, [start, start + ROWS_AT_ONCE]))
        rows, n_rows = items[part] - start, min(ROWS_AT_ONCE, n_items - start)
        best = best_entries(rows, others[part], products[part].astype(np.float32), n_rows, n)
        found = best.items != UNKNOWN
        values.append(best.scores[found])
        neighbours.append(best.items[found])
        lengths.append(found.sum(axis=1))
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    return sp.csr_array((np.concatenate(values), np.concatenate(neighbours), offsets), (n_items, n_items))
