"""Several of our sources asked at once and blended, as one entrant among the families."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import Field

from retrieval.blend import BLEND, AnyBlend, RankFusionConfig
from retrieval.domain import Candidates, Dataset, Queries
from retrieval.index import ExactIndex
from retrieval.merging import Merge, answer
from retrieval.retrievers import AnyFamily
from retrieval.retrievers.indexed import IndexedRetriever
from retrieval.retrievers.protocol import Encoder, FamilyConfig, Retriever
from retrieval.rules import FrozenModel


class FanOutConfig(FrozenModel):
    """The sources of a recipe and its blend."""

    sources: dict[str, AnyFamily] = Field(min_length=1)
    blend: AnyBlend = RankFusionConfig()

    def fit(self, fitted: Callable[[FamilyConfig], "Fitted"]) -> "FanOut":
        """Ask `fitted` for each source; what the fits took is added up, those made for another entrant too."""
        sources = {name: fitted(config) for name, config in self.sources.items()}
        wall, cpu = (sum(source.took[clock] for source in sources.values()) for clock in (0, 1))
        return FanOut({name: source.model for name, source in sources.items()}, Merge(self.blend), (wall, cpu))


@dataclass(frozen=True, slots=True)
class Fitted:
    """A family that answers."""

    model: Retriever
    took: tuple[float, float]
    """Seconds of its fit, by the clock and of all threads."""

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        return self.model.retrieve(queries, k)


@dataclass(slots=True)
class Shelf:
    """The towers fitted on one split: a fan-out takes them from here, whoever fitted them, since each takes minutes."""

    held: dict[tuple[str, int], Fitted] = field(default_factory=dict)

    def fit(self, config: FamilyConfig, dataset: Dataset, seed: int) -> Fitted:
        """Fit anew and keep what is worth keeping."""
        began, began_cpu = time.perf_counter(), time.process_time()
        model = fit_exact(config, dataset, seed)
        fitted = Fitted(model, (time.perf_counter() - began, time.process_time() - began_cpu))
        if "tower" in config.kind:
            self.held[config.model_dump_json(), seed] = fitted
        return fitted

    def taken(self, config: FamilyConfig, dataset: Dataset, seed: int) -> Fitted:
        """What is held, or a new fit."""
        return self.held.get((config.model_dump_json(), seed)) or self.fit(config, dataset, seed)


@dataclass(frozen=True, slots=True)
class FanOut:
    """Fitted sources and how their lists become one."""

    sources: dict[str, Retriever]
    merge: Merge
    took: tuple[float, float]

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        return answer(self.sources, self.merge, queries, k)[BLEND]


def fit_exact(config: FamilyConfig, dataset: Dataset, seed: int) -> Retriever:
    """A fitted family that answers; vectors are part of what a night makes, and compared without a graph."""
    fitted = config.fit(dataset, seed=seed)
    if isinstance(fitted, Encoder):
        return IndexedRetriever(fitted, ExactIndex(fitted.embed_items(dataset)))
    return fitted
