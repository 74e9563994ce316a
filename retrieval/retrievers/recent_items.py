"""What goes with what the user touched last: the intent of the moment, through any item-to-item family."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Generic, Literal, TypeVar

import numpy as np
from pydantic import Field

from retrieval.domain import DAY, Candidates, Dataset, Queries, State
from retrieval.index import ExactIndex, VectorIndex
from retrieval.interactions import last_steps, steps_ago
from retrieval.retrievers.ease import EaseConfig
from retrieval.retrievers.item_knn import ItemKnnConfig
from retrieval.retrievers.mtmh import MtmhConfig
from retrieval.retrievers.protocol import AnswersByVectors, FamilyConfig, MultiHead, Retriever
from retrieval.retrievers.sequential_linear import SequentialLinearConfig
from retrieval.spaces import Placed, Space

Value = TypeVar("Value")
Through = TypeVar("Through", bound=Retriever | MultiHead)
THROUGH = "through."
"""Before the names of the item-to-item family's own state."""

ItemToItem = Annotated[ItemKnnConfig | EaseConfig | SequentialLinearConfig | MtmhConfig, Field(discriminator="kind")]


class RecentItemsConfig(FamilyConfig):
    """A history's last steps alone, asked of an item-to-item family; all done at the same second is one step."""

    kind: Literal["recent_items"] = "recent_items"
    last: int = Field(default=3, ge=1)
    """Steps that count; older ones are not read."""
    decay: float = Field(default=0.7, gt=0, le=1)
    """How much less each step counts than the one after it; its age in days makes no difference.

    `sequential_linear` goes by the order of steps and has decays of its own."""
    through: ItemToItem = ItemKnnConfig()
    """The family that answers, with its own hyper-parameters."""

    def fit(self, dataset: Dataset, *, seed: int, warm: State | None = None) -> "RecentItems | RecentOfHeads":
        inner = None if warm is None else _inner(warm)
        return self._recent(self.through.fit(dataset, seed=seed, warm=inner))

    def restore(self, state: State) -> "RecentItems | RecentOfHeads":
        return self._recent(self.through.restore(_inner(state)))

    def _recent(self, through: Retriever | MultiHead) -> "RecentItems | RecentOfHeads":
        if isinstance(through, MultiHead):
            return RecentOfHeads(through, self.last, self.decay)
        return RecentItems(through, self.last, self.decay)


@dataclass(frozen=True, slots=True)
class _Recent(Generic[Through]):
    """An item-to-item family, and which steps it is asked about."""

    through: Through
    last: int
    decay: float

    @property
    def n_items(self) -> int:
        return self.through.n_items

    def state(self) -> State:
        return _outer(self.through.state())

    def just_now(self, queries: Queries) -> Queries:
        """Histories of the newest steps alone: a second apart, the last just before the day, earlier ones lighter."""
        recent = last_steps(queries.histories.positives(), self.last)
        ago = steps_ago(recent)
        weights = (recent.weights * self.decay**ago).astype(np.float32)
        return replace(queries, histories=replace(recent, weights=weights, times=queries.day * DAY - 1 - ago))


@dataclass(frozen=True, slots=True)
class RecentItems(_Recent[Retriever]):
    """Asks its family about the newest positives of each query, as if they had just happened."""

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        return self.through.retrieve(self.just_now(queries), k)


@dataclass(frozen=True, slots=True)
class RecentOfHeads(_Recent[MultiHead]):
    """The same through a family with heads, which answers when it has its indexes."""

    @property
    def heads(self) -> tuple[str, ...]:
        return self.through.heads

    def embed_heads(self, dataset: Dataset) -> dict[str, Space]:
        return self.through.embed_heads(dataset)

    def join(self, placed: dict[str, Placed]) -> "RecentByHeads":
        """What answers, of the heads' spaces."""
        joined = self.through.join(placed)
        assert isinstance(joined, AnswersByVectors)
        return RecentByHeads(joined, self.last, self.decay)


@dataclass(frozen=True, slots=True)
class RecentByHeads(_Recent[AnswersByVectors]):
    """What answers of it: histories by their newest steps; what is like an item as the family says."""

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        return self.through.retrieve(self.just_now(queries), k)

    def similar(
        self, items: np.ndarray, queries: Queries, k: int, *, alpha: float | None = None, head: str | None = None
    ) -> Candidates:
        return self.through.similar(items, queries, k, alpha=alpha, head=head)

    def spaces(self) -> Mapping[str, VectorIndex | ExactIndex]:
        return self.through.spaces()

    def asked(self, queries: Queries) -> Mapping[str, np.ndarray]:
        return self.through.asked(self.just_now(queries))

    def vectors(self) -> Mapping[str, np.ndarray]:
        return self.through.vectors()

    def embedded(self, dataset: Dataset) -> Mapping[str, np.ndarray]:
        return self.through.embedded(dataset)

    def exact(self) -> "RecentByHeads":
        return replace(self, through=self.through.exact())


def _outer(inner: State) -> State:
    return State(
        arrays={THROUGH + name: array for name, array in inner.arrays.items()},
        facts={THROUGH + name: fact for name, fact in inner.facts.items()},
        graphs={THROUGH + name: graph for name, graph in inner.graphs.items()},
        strings={THROUGH + name: strings for name, strings in inner.strings.items()},
    )


def _inner(state: State) -> State:
    return State(_own(state.arrays), _own(state.facts), _own(state.graphs), _own(state.strings))


def _own(named: Mapping[str, Value]) -> dict[str, Value]:
    return {name.removeprefix(THROUGH): value for name, value in named.items()}
