"""Factors of users and items as vectors of one index, and users made of what they chose.

Users whom a model has never met have no factors, so a query's vector is always made of its history; items that nobody
has chosen have none either, and stand behind all others.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import scipy.linalg
import scipy.sparse as sp
from jaxtyping import Bool, Float32

from retrieval.dataset import day_of
from retrieval.domain import UNKNOWN, Dataset, State
from retrieval.errors import ModelError
from retrieval.layout import asking, lay_out, seeking
from retrieval.vocabulary import Vocabulary

LEAST_SHARE = 1e-4
"""The least that users are taken to ask for in any direction, as a share of the mean."""


def has_factors(factors: Float32[np.ndarray, "items dim"]) -> Bool[np.ndarray, " items"]:
    """Which items have been learnt about: the vectors of the others are zero."""
    return np.asarray((factors != 0).any(axis=1))


@dataclass(frozen=True, slots=True)
class FactorSpace:
    """Items' factors with their offsets, and how they and the queries lie in one index.

    Items are v L and queries u L^-T, with L L' the mean of u u' over users: the inner product stays the same, and items
    are as near to each other as users' scores of them are. Without it a graph over groceries found .83 of the nearest
    instead of .99, because users differ much in few directions.
    """

    factors: Float32[np.ndarray, "items dim"]
    offset: Float32[np.ndarray, " items"]
    balance: Float32[np.ndarray, "dim_plus_1 dim_plus_1"]
    """L, lower triangular."""

    def items(self) -> Float32[np.ndarray, "items width"]:
        """Vectors of equal length whose inner products with `queries` are <u, v> + b, b the item's offset.

        Items without factors come behind all others.
        """
        balanced = np.column_stack([self.factors, self.offset]) @ self.balance
        return lay_out(balanced.astype(np.float32), has_factors(self.factors))

    def queries(self, users: Float32[np.ndarray, "queries dim"]) -> Float32[np.ndarray, "queries width"]:
        """The vectors of users: a 1 meets the offset."""
        balanced = scipy.linalg.solve_triangular(self.balance, with_one(users).T, lower=True).T
        return asking(np.asarray(balanced, np.float32))

    def seeds(self, vectors: Float32[np.ndarray, "seeds width"]) -> Float32[np.ndarray, "seeds width"]:
        """The queries that ask for what is like the items of these vectors: what users score most nearly alike.

        The number that makes vectors equally long counts too: factors alone would find the longest, which are popular.
        """
        return seeking(vectors[:, : len(self.balance)], vectors[:, -1])


def balance_of(users: Float32[np.ndarray, "users dim"]) -> Float32[np.ndarray, "dim_plus_1 dim_plus_1"]:
    """The lower triangular L with L L' = mean of u u' over users, each with the 1 that meets an offset behind it."""
    exact = with_one(users).astype(np.float64)
    moment = exact.T @ exact / len(exact)
    least = LEAST_SHARE * np.trace(moment) / len(moment)
    return np.asarray(np.linalg.cholesky(moment + least * np.eye(len(moment))), np.float32)


def with_one(users: Float32[np.ndarray, "queries dim"]) -> Float32[np.ndarray, "queries dim_plus_1"]:
    """Users with the 1 that meets the items' offset."""
    return np.concatenate([users, np.ones((len(users), 1), np.float32)], axis=1).astype(np.float32)


def normalised_sums(
    chosen: sp.csr_array, factors: Float32[np.ndarray, "items dim"]
) -> Float32[np.ndarray, "queries dim"]:
    """What a history adds up to: |N|^-1/2 sum of v_j over its items, with weights (sum of w)^-1/2 sum of w v_j.

    Source: Koren, KDD 2008, equation 15 (SVD++), where the items' implicit factors y_j stand for v_j.
    """
    total = np.maximum(np.asarray(chosen.sum(axis=1)), np.finfo(np.float32).tiny)
    return np.asarray((chosen @ factors) / np.sqrt(total)[:, None], np.float32)


def user_side(
    chosen: sp.csr_array, users: Float32[np.ndarray, "users dim"], items: Float32[np.ndarray, "items dim"], ridge: float
) -> dict[str, np.ndarray]:
    """What makes users of histories and balances the index, from the users who chose something.

    `history_map` leads from `normalised_sums` of a history to the user, `mean_user` stands for who has none.
    """
    active = np.diff(chosen.indptr) > 0
    met = users[active]
    return {
        "balance": balance_of(met),
        "mean_user": met.mean(axis=0, dtype=np.float64).astype(np.float32),
        "history_map": ridge_map(normalised_sums(chosen, items)[active], met, ridge),
    }


def ridge_map(
    inputs: Float32[np.ndarray, "rows dim"], targets: Float32[np.ndarray, "rows width"], ridge: float
) -> Float32[np.ndarray, "dim width"]:
    """The matrix W with the least |inputs W - targets|^2 + ridge * n * s |W|^2, s the inputs' mean square.

    In closed form: (X'X + ridge * trace(X'X) / dim * I)^-1 X'Y.
    """
    exact = inputs.astype(np.float64)
    gram = exact.T @ exact
    damped = gram + ridge * max(float(np.trace(gram)), 1e-12) / len(gram) * np.eye(len(gram))
    return np.asarray(scipy.linalg.solve(damped, exact.T @ targets, assume_a="pos"), np.float32)


def carried_over(
    start: Float32[np.ndarray, "rows dim"], ids: Vocabulary, former: np.ndarray, former_ids: pa.StringArray
) -> Float32[np.ndarray, "rows dim"]:
    """A start for training: the former rows of ids that had factors, the given ones of all others."""
    rows = Vocabulary(former_ids, ids.what).rows(ids.ids)
    found = (rows != UNKNOWN) & has_factors(former)[rows]
    return np.where(found[:, None], former[rows], start).astype(np.float32)


def is_of_width(warm: State | None, name: str, dim: int) -> bool:
    """Whether a former state holds factors as wide as the recipe now asks for."""
    return warm is not None and name in warm.arrays and warm.arrays[name].shape[1:] == (dim,)


def refuse_empty(matrix: sp.csr_array, dataset: Dataset, kind: str) -> None:
    """Nothing can be factorised where nobody has chosen anything.

    Raises:
        ModelError: when there is no positive event.
    """
    if not matrix.nnz:
        raise ModelError(
            f"{kind}: there is no positive event before {day_of(dataset.day)} to learn from. "
            f"Land at least one earlier day; it is loaded with the night."
        )
