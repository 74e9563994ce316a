"""What each head's preranker learns from: the pairs of days that the towers have not seen."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, Float64, Int32

from retrieval.co_engagement import Together
from retrieval.domain import Candidates, Dataset, Ragged
from retrieval.index import ExactIndex
from retrieval.metrics import hits
from retrieval.preranking import Preranker, features, learnt
from retrieval.queries import ask_about
from retrieval.retrievers.mtmh import MtmhConfig
from retrieval.spaces import Placed, Space

N_TRIGGERS = 1500
"""Triggers learnt from, at most: a handful of weights needs no more."""
FEWEST = 50
"""Triggers with a target among the candidates, at least: fewer say nothing."""
DEPTH = 200
"""Candidates that are ranked anew."""


def learn_prerankers(
    dataset: Dataset, config: MtmhConfig, pairs: Together, spaces: Mapping[str, Space], rng: np.random.Generator
) -> dict[str, Preranker]:
    """A preranker for each head that has enough to learn from.

    The engagement head's wants the targets. The relevance head's wants what its two losses want: the targets, and by
    the weight of the distillation what the teacher finds alike.
    """
    triggers, targets = pairs.by_trigger()
    chosen = np.sort(rng.permutation(len(triggers))[:N_TRIGGERS])
    triggers, targets = triggers[chosen], targets.take(chosen)
    if len(triggers) < FEWEST:
        return {}
    placed = {name: Placed(ExactIndex(space.targets), space) for name, space in spaces.items()}
    asked = {name: np.ascontiguousarray(head.triggers[triggers]) for name, head in placed.items()}
    queries, found = ask_about(dataset, triggers), {}
    for name, head in placed.items():
        candidates = head.index.answer(asked[name], queries, min(DEPTH, len(dataset.catalogue)))
        wanted = _wanted(dataset, config, name, triggers, targets, candidates)
        has_some = wanted.sum(axis=1) > 0.5
        if has_some.sum() >= FEWEST:
            given = features(candidates.items, asked, spaces)
            found[name] = Preranker(learnt(given[has_some], wanted[has_some]))
    return found


def _wanted(
    dataset: Dataset,
    config: MtmhConfig,
    name: str,
    triggers: Int32[np.ndarray, " triggers"],
    targets: Ragged,
    candidates: Candidates,
) -> Float64[np.ndarray, "triggers k"]:
    """What a head wants of each candidate; each row sums to 1, or to 0 where there is nothing to want."""
    hit = hits(candidates, targets, len(dataset.catalogue)).astype(np.float64)
    engaged = hit / np.maximum(hit.sum(axis=1, keepdims=True), 1)
    if name == "engagement" or not config.relevance_weight:
        return engaged
    both = config.engagement_weight * engaged + config.relevance_weight * _taught(dataset, config, triggers, candidates)
    total = both.sum(axis=1, keepdims=True)
    return np.asarray(both / np.maximum(total, 1e-12))


def _taught(
    dataset: Dataset, config: MtmhConfig, triggers: Int32[np.ndarray, " triggers"], candidates: Candidates
) -> Float32[np.ndarray, "triggers k"]:
    """The teacher's shares of the candidates."""
    assert dataset.text_vectors is not None
    vectors, rows = np.asarray(dataset.text_vectors, np.float32), dataset.catalogue.text_rows
    shares = np.empty(candidates.items.shape, np.float32)
    for row, (trigger, items) in enumerate(zip(triggers, candidates.items, strict=True)):
        alike = vectors[rows[np.maximum(items, 0)]] @ vectors[rows[trigger]] / config.teacher_temperature
        odds = np.where(items >= 0, np.exp(alike - alike.max()), 0)
        shares[row] = odds / odds.sum()
    return shares
