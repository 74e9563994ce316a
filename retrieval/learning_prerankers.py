"""What each head's preranker learns from: the pairs of days that the towers have not seen."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, Float64, Int32

from retrieval.co_engagement import Together
from retrieval.domain import Candidates, Dataset, Ragged
from retrieval.index import ExactIndex
from retrieval.metrics import hits
from retrieval.preranking import Preranker, learnt
from retrieval.queries import ask_about
from retrieval.retrievers.mtmh import MtmhConfig
from retrieval.spaces import Placed, Space
from retrieval.teacher import Teacher

N_TRIGGERS = 1500
"""Triggers learnt from, at most: a handful of weights needs no more."""
FEWEST = 50
"""Triggers with a target among the candidates, at least: fewer say nothing."""
DEPTH = 500
"""Candidates looked at: the first of all items by the score that the towers were trained with."""
BLOCK = 128


def learn_prerankers(
    dataset: Dataset,
    config: MtmhConfig,
    pairs: Together,
    spaces: Mapping[str, Space],
    worth: Float32[np.ndarray, " items"],
    trained: Mapping[str, Preranker],
    rng: np.random.Generator,
) -> dict[str, Preranker]:
    """A preranker for each head that has enough to learn from; `trained` are the scores that the towers learnt by.

    The engagement head's wants the targets. The relevance head's wants what its two losses want: the targets, and by
    the weight of the distillation what the teacher finds alike.
    """
    triggers, targets = pairs.by_trigger()
    chosen = np.sort(rng.permutation(len(triggers))[:N_TRIGGERS])
    triggers, targets = triggers[chosen], targets.take(chosen)
    if len(triggers) < FEWEST:
        return {}
    heads = {name: space.targets for name, space in spaces.items()}
    asked = {name: Placed.exactly(space).triggers[triggers] for name, space in spaces.items()}
    queries, found = ask_about(dataset, triggers), {}
    for name in spaces:
        index = ExactIndex(trained[name].of_items(heads, worth))
        questions = trained[name].of_questions(asked)
        candidates = index.answer(questions, queries, min(DEPTH, len(dataset.catalogue)))
        wanted = _wanted(dataset, config, name, triggers, targets, candidates)
        has_some = wanted.sum(axis=1) > 0.5
        if has_some.sum() >= FEWEST:
            given = features(candidates.items, asked, heads, worth)
            found[name] = Preranker(learnt(given[has_some], wanted[has_some]))
    return found


def features(
    items: Int32[np.ndarray, "queries k"],
    asked: Mapping[str, np.ndarray],
    heads: Mapping[str, np.ndarray],
    worth: Float32[np.ndarray, " items"],
) -> Float32[np.ndarray, "queries k features"]:
    """What prerankers weigh: each head's similarity to the query, and the items' worth."""
    known = np.maximum(items, 0)
    alike = [_alike(known, asked[name], vectors) for name, vectors in heads.items()]
    return np.stack([*alike, worth[known]], axis=2).astype(np.float32)


def _alike(items: np.ndarray, asked: np.ndarray, vectors: np.ndarray) -> Float32[np.ndarray, "queries k"]:
    """Inner products, some queries at a time: the vectors of all candidates at once would be large."""
    blocks = (slice(start, start + BLOCK) for start in range(0, len(items), BLOCK))
    return np.concatenate([np.matmul(vectors[items[part]], asked[part][:, :, None])[:, :, 0] for part in blocks])


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
    teacher, shares = Teacher.of(dataset, config.teacher_topics), np.empty(candidates.items.shape, np.float32)
    for row, (trigger, items) in enumerate(zip(triggers, candidates.items, strict=True)):
        asked, found = teacher.vectors(np.array([trigger]), np.maximum(items, 0))
        alike = found @ asked[0] / config.teacher_temperature
        odds = np.where(items >= 0, np.exp(alike - alike.max()), 0)
        shares[row] = odds / odds.sum()
    return shares
