"""Which items stand against the positives, and how likely each was to be drawn."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

PRIOR = 0.5
"""Choices added to every item's count, so that the first one of an item that nobody chose yet is unlikely and not
impossible: its log Q would outweigh all scores. Source: the prior of Krichevsky and Trofimov, IEEE TIT 1981."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Distinct candidate items with the log of the probability that each is in the sample."""

    items: Int64[np.ndarray, " candidates"]
    log_q: Float32[np.ndarray, " candidates"]


def mixed_sample(
    positives: Int64[np.ndarray, " pairs"],
    counts: Float32[np.ndarray, " items"],
    n_uniform: int,
    rng: np.random.Generator,
) -> Sample:
    """The batch's own positives and `n_uniform` items drawn evenly from the catalogue, each once.

    An item comes in as somebody's positive or as an even draw: Q = 1 - (1 - p)^B (1 - 1/M)^B', with p its share of
    the positives, told from how often each item was chosen before, B the batch and M the catalogue.
    Source: mixed negative sampling, Yang et al., WWW 2020 companion.
    """
    n_items = len(counts)
    drawn = rng.integers(0, n_items, n_uniform)
    items = np.unique(np.concatenate([positives, drawn]))
    share = (counts[items] + PRIOR) / (counts.sum(dtype=np.float64) + PRIOR * n_items)
    log_missed = len(positives) * np.log1p(-np.minimum(share, 0.999)) + n_uniform * np.log1p(-1 / max(n_items, 2))
    return Sample(items, np.log(-np.expm1(np.minimum(log_missed, -1e-12))).astype(np.float32))
