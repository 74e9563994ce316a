"""How items, queries and seeds lie in one index when of some items nothing is known: these come last, for everybody.

All vectors have the same numbers: what is known, N_APART that only spread the items, one that holds unknown items
behind, and the one that makes items equally long.
"""

import numpy as np
from jaxtyping import Bool, Float32

from retrieval.lengths import equally_long
from retrieval.seeds import generator

BEHIND = 0.1
"""How far off the others unknown items lie, as a share of the longest vector."""
N_APART, APART = 8, 0.5
"""Directions in which items are moved apart, and how far, as a share of their mean length."""


def lay_out(
    vectors: Float32[np.ndarray, "items dim"], is_known: Bool[np.ndarray, " items"]
) -> Float32[np.ndarray, "items width"]:
    """Items of equal length; nothing of what stands for an unknown one is read.

    A zero vector would score 0, above every item that a query speaks against. So unknown items get BEHIND times the
    longest length M in a number of their own, which queries q weigh by -|q| / BEHIND: -|q| M in all, and nothing can
    score less. All items are moved apart in a few random directions that queries do not look in, because a graph
    links near-equal vectors, as those of items that one user alone chose, with each other alone: .99 of the nearest
    instead of .4.
    """
    known = np.where(is_known[:, None], vectors, np.float32(0))
    lengths = np.linalg.norm(known, axis=1)
    apart = generator(0, "apart").standard_normal((len(known), N_APART))
    apart *= APART * lengths.mean() / np.linalg.norm(apart, axis=1, keepdims=True)
    behind = ~is_known * BEHIND * lengths.max(initial=0.0)
    return equally_long(np.column_stack([known, apart, behind]).astype(np.float32))


def asking(queries: Float32[np.ndarray, "queries dim"]) -> Float32[np.ndarray, "queries width"]:
    """The queries that go with `lay_out`: the same inner products with known items, and none lower with others."""
    return _joined(queries, -np.linalg.norm(queries, axis=1) / BEHIND, np.zeros(len(queries), np.float32))


def seeking(
    likeness: Float32[np.ndarray, "seeds dim"], missing: Float32[np.ndarray, " seeds"]
) -> Float32[np.ndarray, "seeds width"]:
    """The queries that ask for what is like something, by the number that makes items equally long too.

    Unknown items come last: as that number is below 2 M, 3 lengths of the query times M outweigh it.
    """
    behind = -3 * np.linalg.norm(np.column_stack([likeness, missing]), axis=1) / BEHIND
    return _joined(likeness, behind, missing)


def _joined(
    known: Float32[np.ndarray, "queries dim"],
    behind: Float32[np.ndarray, " queries"],
    missing: Float32[np.ndarray, " queries"],
) -> Float32[np.ndarray, "queries width"]:
    nowhere = np.zeros((len(known), N_APART), np.float32)
    return np.column_stack([known, nowhere, behind, missing]).astype(np.float32)
