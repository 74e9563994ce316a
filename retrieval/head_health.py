"""Whether a family's heads stay apart: two that say the same are one, paid for twice."""

from itertools import combinations

import numpy as np
from jaxtyping import Float, Float64

from retrieval import metrics
from retrieval.domain import Candidates, Queries, Ragged
from retrieval.retrievers.protocol import AnswersByVectors

K = 100
"""Answers that overlap is counted over."""
SAMPLE = 4096
"""Items whose vectors are compared, at most: evenly spaced rows of the catalogue."""


def overlap(one: Candidates, other: Candidates, n_items: int) -> Float64[np.ndarray, " queries"]:
    """Share of the first answers of one that the other gives too; 0 where there are none."""
    lists = [np.where(found.top(K).items >= 0, found.top(K).items, n_items) for found in (one, other)]
    n = np.maximum((lists[0] < n_items).sum(axis=1), 1)
    named = np.sort(lists[1], axis=1)
    held = Ragged(np.arange(len(named) + 1, dtype=np.int64) * named.shape[1], named.ravel().astype(np.int32))
    hit = metrics.hits(Candidates(lists[0].astype(np.int32), one.top(K).scores), held, n_items + 1)
    return np.asarray((hit & (lists[0] < n_items)).sum(axis=1) / n)


def linear_cka(one: Float[np.ndarray, "items one"], other: Float[np.ndarray, "items other"]) -> float:
    """How alike two spaces are but for turns and scale: 1 the same, 0 nothing in common.

    |Y'X|² / (|X'X| |Y'Y|) in Frobenius norms, X and Y with their means taken off.
    Source: Kornblith et al., ICML 2019, equation 5.
    """
    x, y = (np.asarray(part, np.float64) - np.asarray(part, np.float64).mean(axis=0) for part in (one, other))
    shared = np.linalg.norm(y.T @ x) ** 2
    own = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(shared / own) if own > 0 else 1.0


def greatest_overlap(source: AnswersByVectors, items: np.ndarray, queries: Queries) -> float:
    """The mean overlap of the two heads that overlap most, on what is like these items."""
    found = {head: source.similar(items, queries, K, head=head) for head in source.spaces()}
    return max(float(overlap(found[a], found[b], source.n_items).mean()) for a, b in combinations(found, 2))


def greatest_cka(source: AnswersByVectors) -> float:
    """The linear CKA of the two heads whose vectors are most alike."""
    rows = np.unique(np.linspace(0, source.n_items - 1, min(SAMPLE, source.n_items)).astype(np.int64))
    vectors = {head: np.asarray(held[rows]) for head, held in source.vectors().items()}
    return max(linear_cka(vectors[a], vectors[b]) for a, b in combinations(vectors, 2))
