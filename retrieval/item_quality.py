"""How good item-to-item answers are: what is chosen next beside the trigger, and how far they mean what it means.

Source: MTMH, arXiv 2506.06239, section 4.1: recall of the next co-engaged items, semantic relevance by topics.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32, Int64

from retrieval import metrics
from retrieval.co_engagement import CoEngagement
from retrieval.domain import UNKNOWN, Candidates, Catalogue, Dataset, Histories, Queries, Ragged
from retrieval.metrics import Estimate
from retrieval.queries import ask_about
from retrieval.recommender import with_day
from retrieval.seeds import generator

DEPTHS = (10, 100, 500)
DEPTH = max(DEPTHS)
JUDGED = 100
"""Candidates whose meaning is judged."""


@dataclass(frozen=True, slots=True)
class ItemHoldout:
    """Triggers of the newest day as questions, with what was chosen after or with each: one query a trigger."""

    queries: Queries
    triggers: Int32[np.ndarray, " triggers"]
    targets: Ragged
    users: Int64[np.ndarray, " triggers"]
    """One of those who chose it, drawn evenly: for whom answers are new or not."""

    @classmethod
    def of(
        cls, dataset: Dataset, held_out: Histories, window_days: float, max_triggers: int, seed: int
    ) -> "ItemHoldout":
        """What went together with a choice of the newest day: triggers up to a window before it."""
        rng = generator(seed, "triggers")
        together = CoEngagement.of(with_day(dataset.histories, held_out), window_days)
        pairs = together.all_of(together.events_of(dataset.day, int(np.iinfo(np.int32).max)))
        pairs = pairs.take(np.flatnonzero(dataset.catalogue.eligible(dataset.day)[pairs.targets]))
        pairs = pairs.take(rng.permutation(len(pairs)))
        triggers, targets = pairs.by_trigger()
        _, first = np.unique(pairs.triggers, return_index=True)
        chosen = np.sort(rng.permutation(len(triggers))[:max_triggers])
        asked = ask_about(dataset, triggers[chosen])
        return cls(asked, triggers[chosen], targets.take(chosen), pairs.users[first][chosen])

    def __len__(self) -> int:
        return len(self.triggers)


@dataclass(frozen=True, slots=True)
class ItemScore:
    """What one way to answer is worth; means are over triggers. docs/evaluation.md has the formulas."""

    source: str
    head: str
    alpha: float | None
    n_triggers: int
    n_targets: int
    recall_at_10: Estimate
    recall_at_100: Estimate
    recall_at_500: Estimate
    broad_at_100: Estimate
    """Share of answers that share a topic with the trigger."""
    narrow_at_100: Estimate
    """Share of answers that have all of the trigger's topics."""
    teacher_at_100: Estimate
    """Mean cosine of the texts of trigger and answers, by the content encoder."""
    novelty_at_100: Estimate
    """Share of answers with a narrowest topic that the user never chose from."""
    fresh_at_100: Estimate
    """Share of answers first seen within the week before the day."""


@dataclass(frozen=True, slots=True)
class ItemJudge:
    """What answers are judged by."""

    dataset: Dataset
    holdout: ItemHoldout
    seed: int

    def score(self, source: str, found: Candidates, head: str = "", alpha: float | None = None) -> ItemScore:
        """The figures of some answers."""
        means = metrics.estimates(self.columns(found), generator(self.seed, "bootstrap"))
        return ItemScore(source, head, alpha, len(self.holdout), len(self.holdout.targets.values), **means)

    def fresh_recall(self, found: Candidates, ages: range) -> Float64[np.ndarray, " triggers"]:
        """Recall@100 among targets first seen so many days before the day; not a number where a trigger has none."""
        targets = self.holdout.targets
        age = self.dataset.day - self.dataset.catalogue.first_seen[targets.values]
        kept = (age >= ages.start) & (age < ages.stop)
        places = metrics.places(found, targets, len(self.dataset.catalogue))
        reached = places < min(JUDGED, found.items.shape[1])  # the width stands for not found
        return metrics.recall_among(reached, kept, targets)

    def columns_with_age(self, found: Candidates, ages: range) -> dict[str, np.ndarray]:
        """The same figures with recall among fresh targets: of all these ages, and in `by_age` a row an age."""
        each = [self.fresh_recall(found.top(JUDGED), range(age, age + 1)) for age in ages]
        fresh = {"fresh_recall_at_100": self.fresh_recall(found, ages), "by_age": np.stack(each)}
        return self.columns(found) | fresh

    def columns(self, found: Candidates) -> dict[str, Float64[np.ndarray, " triggers"]]:
        """Every trigger's figures, by the names of the score's fields."""
        holdout, catalogue = self.holdout, self.dataset.catalogue
        hit = metrics.hits(found, holdout.targets, len(catalogue))
        columns = {f"recall_at_{k}": metrics.recall(hit, holdout.targets, k) for k in DEPTHS}
        shown = found.top(JUDGED).items
        answers = np.maximum(shown, 0)
        is_shown = shown != UNKNOWN
        n_shared = shared_topics(catalogue, holdout.triggers, answers)
        n_topics = catalogue.topics.lengths[holdout.triggers][:, None]
        fresh = catalogue.first_seen >= self.dataset.day - 7
        judged = {
            "broad_at_100": n_shared > 0,
            "narrow_at_100": (n_shared >= n_topics) & (n_topics > 0),
            "teacher_at_100": self._teacher(answers),
            "novelty_at_100": self._is_new(answers),
            "fresh_at_100": fresh[answers],
        }
        n = np.maximum(is_shown.sum(axis=1), 1)
        return columns | {name: np.where(is_shown, values, 0).sum(axis=1) / n for name, values in judged.items()}

    def _teacher(self, answers: np.ndarray) -> np.ndarray:
        assert self.dataset.text_vectors is not None
        vectors, rows = self.dataset.text_vectors, self.dataset.catalogue.text_rows
        parts = []
        for start in range(0, len(answers), 256):
            part = slice(start, start + 256)
            own = np.asarray(vectors[rows[self.holdout.triggers[part]]], np.float32)
            parts.append(np.matmul(np.asarray(vectors[rows[answers[part]]], np.float32), own[:, :, None])[:, :, 0])
        return np.concatenate(parts) if parts else np.zeros(answers.shape, np.float32)

    def _is_new(self, answers: np.ndarray) -> np.ndarray:
        """Whether an answer's narrowest topic is one that the user never chose from."""
        narrowest = narrowest_topics(self.dataset.catalogue)
        histories = self.dataset.histories.take(self.holdout.users)
        n_topics = len(self.dataset.catalogue.topic_names) + 1
        met = np.unique(histories.owners() * n_topics + narrowest[histories.items] + 1)
        asked = np.arange(len(answers))[:, None] * n_topics + narrowest[answers] + 1
        return ~np.isin(asked, met)


def narrowest_topics(catalogue: Catalogue) -> Int64[np.ndarray, " items"]:
    """Each item's last topic; unknown where it has none."""
    topics = catalogue.topics
    last = np.maximum(topics.offsets[1:] - 1, 0)
    values = topics.values[last] if len(topics.values) else np.zeros(len(last), np.int32)
    return np.where(topics.lengths > 0, values, UNKNOWN).astype(np.int64)


def shared_topics(
    catalogue: Catalogue, triggers: np.ndarray, answers: np.ndarray
) -> Int64[np.ndarray, "triggers answers"]:
    """How many of a trigger's topics each answer has."""
    topics, n_topics = catalogue.topics, len(catalogue.topic_names)
    own = topics.take(triggers)
    if not len(own.values):
        return np.zeros(answers.shape, np.int64)
    wanted = own.owners() * n_topics + own.values
    theirs = topics.take(answers.ravel())
    owners = theirs.owners()
    is_shared = np.isin((owners // answers.shape[1]) * n_topics + theirs.values, wanted)
    return np.bincount(owners[is_shared], minlength=answers.size).reshape(answers.shape)
