"""Several of our sources asked at once and blended, as one entrant among the families."""

from dataclasses import dataclass

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

    def fit(self, dataset: Dataset, *, seed: int) -> "FanOut":
        fitted = {name: fit_exact(config, dataset, seed) for name, config in self.sources.items()}
        return FanOut(fitted, Merge(self.blend))


@dataclass(frozen=True, slots=True)
class FanOut:
    """Fitted sources and how their lists become one."""

    sources: dict[str, Retriever]
    merge: Merge

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        return answer(self.sources, self.merge, queries, k)[BLEND]


def fit_exact(config: FamilyConfig, dataset: Dataset, seed: int) -> Retriever:
    """A fitted family that answers; vectors are part of what a night makes, and compared without a graph."""
    fitted = config.fit(dataset, seed=seed)
    if isinstance(fitted, Encoder):
        return IndexedRetriever(fitted, ExactIndex(fitted.embed_items(dataset)))
    return fitted
