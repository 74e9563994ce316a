"""What each step of MTMH is shown: pairs of a day, as that day began, and what stands against their targets."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from retrieval.bags import Bags
from retrieval.co_engagement import CoEngagement, Together
from retrieval.domain import Dataset
from retrieval.retrievers.mtmh import MtmhConfig
from retrieval.sampling import mixed_sample
from retrieval.tastes import ItemFeatures
from retrieval.teacher import Teacher
from retrieval.trends import Trends


@dataclass(frozen=True, slots=True)
class Items:
    """Some items as the towers read them, ascending by row."""

    rows: Int64[np.ndarray, " items"]
    ids: Bags
    is_shown: Float32[np.ndarray, "items 1"]
    """0 where the id is hidden."""
    features: Bags
    text: Float32[np.ndarray, "items text"]
    dense: Float32[np.ndarray, "items dense"]


@dataclass(frozen=True, slots=True)
class PairBatch:
    """One step."""

    done: float
    """Share of all days, of all epochs, that lie behind it."""
    triggers: Items
    candidates: Items
    log_q: Float32[np.ndarray, " candidates"]
    pairs: tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]
    """Rows of triggers, ascending, and of candidates."""
    weights: Float32[np.ndarray, " pairs"]
    own: tuple[Int64[np.ndarray, " hits"], Int64[np.ndarray, " hits"]]
    """Candidates that are the trigger itself: no negatives of it."""
    taught: tuple[Float32[np.ndarray, "triggers taught"], Float32[np.ndarray, "candidates taught"]]
    """What the teacher says: its similarities are inner products of these."""


class PairBatches:
    """The days of a dataset, in order of time; every draw comes from one generator, in one order."""

    def __init__(self, dataset: Dataset, config: MtmhConfig, features: ItemFeatures, rng: np.random.Generator) -> None:
        self.dataset, self.config, self.features, self.rng = dataset, config, features, rng
        self.together = CoEngagement.of(dataset.histories, config.window_days)
        self.teacher = Teacher.of(dataset, config.teacher_topics)

    def trends(self, day: int) -> Trends:
        """How items had been doing when a day began."""
        return Trends.of(self.dataset, self.config.trend_half_lives_days, day)

    def of_days(self, days: list[int], n_epochs: int) -> Iterator[PairBatch]:
        """The steps of all days, again and again."""
        for epoch in range(n_epochs if days else 0):
            trends = self.trends(days[0])
            for index in range(0, len(days), self.config.step_days):
                span = days[index : index + self.config.step_days]
                trends.walk_to(span[0])
                done = (epoch + index / len(days)) / n_epochs
                for pairs in self.steps_of(span):
                    yield self.batch(pairs, trends, done)

    def steps_of(self, span: list[int]) -> Iterator[Together]:
        """The pairs of some days in a row, in no order, cut into steps of nearly equal size."""
        events = self.together.events_of(span[0], span[-1] + 1)
        drawn = self.together.sample(events, self.config.triggers_per_target, self.rng)
        if not len(drawn):
            return
        n_steps = -(-len(drawn) // self.config.batch_size)
        for part in np.array_split(self.rng.permutation(len(drawn)), n_steps):
            yield drawn.take(part)

    def batch(self, pairs: Together, trends: Trends, done: float) -> PairBatch:
        """One step of a day."""
        order = np.argsort(pairs.triggers, kind="stable")
        triggers, rows = np.unique(pairs.triggers[order], return_inverse=True)
        targets = pairs.targets[order]
        sample = mixed_sample(targets, trends.chosen(), self.config.uniform_negatives, self.rng)
        places = np.minimum(np.searchsorted(sample.items, triggers), len(sample.items) - 1)
        is_own = sample.items[places] == triggers
        weights = pairs.weights[order]
        return PairBatch(
            done=done,
            triggers=self.items(triggers, trends, hides=True),
            candidates=self.items(sample.items, trends, hides=True),
            log_q=sample.log_q,
            pairs=(rows.astype(np.int64), np.searchsorted(sample.items, targets).astype(np.int64)),
            weights=(weights / weights.sum()).astype(np.float32),
            own=(np.flatnonzero(is_own), places[is_own].astype(np.int64)),
            taught=self.teacher.vectors(triggers, sample.items),
        )

    def items(self, rows: Int64[np.ndarray, " items"], trends: Trends, *, hides: bool) -> Items:
        """Items as they stood when the day of the trends began; ids are hidden at random in training."""
        catalogue, texts = self.dataset.catalogue, self.dataset.text_vectors
        assert texts is not None
        shown = self.rng.random((len(rows), 1)) >= self.config.id_dropout if hides else np.ones((len(rows), 1))
        return Items(
            rows=rows,
            ids=Bags.one_each(rows),
            is_shown=shown.astype(np.float32),
            features=Bags.of(self.features.matrix[rows]),
            text=np.asarray(texts[catalogue.text_rows[rows]], np.float32),
            dense=trends.features(rows),
        )
