"""What everybody has been choosing lately: the floor that every other family has to beat."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32
from pydantic import Field

from retrieval.domain import DAY, Candidates, Dataset, Queries, State
from retrieval.retrievers.protocol import FamilyConfig
from retrieval.search import rank_alike


class PopularConfig(FamilyConfig):
    """Counts of positives over a window, halved in weight by age."""

    kind: Literal["popular"] = "popular"
    window_days: int = Field(default=90, ge=1)
    """How far back an event still counts."""
    half_life_days: float = Field(default=14.0, gt=0)
    """The age at which an event counts half."""

    def fit(self, dataset: Dataset, *, seed: int, warm: State | None = None) -> "Popular":
        positives = dataset.histories.positives()
        age_days = (dataset.day * DAY - positives.times) / DAY
        weights = np.where(
            age_days <= self.window_days, positives.weights * 0.5 ** (age_days / self.half_life_days), 0.0
        )
        counts = np.bincount(positives.items, weights, minlength=len(dataset.catalogue))
        return Popular(counts.astype(np.float32))

    def restore(self, state: State) -> "Popular":
        return Popular(np.asarray(state.arrays["counts"]))


@dataclass(frozen=True, slots=True)
class Popular:
    """Every query gets the same ranking, less what it excludes."""

    counts: Float32[np.ndarray, " items"]

    @property
    def n_items(self) -> int:
        return len(self.counts)

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        return rank_alike(np.where(self.counts > 0, self.counts, -np.inf).astype(np.float32), queries, k)

    def state(self) -> State:
        return State(arrays={"counts": self.counts})
