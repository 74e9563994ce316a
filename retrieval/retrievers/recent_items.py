"""What goes with what the user touched last: the intent of the moment, through any item-to-item family."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import Field

from retrieval.domain import DAY, Candidates, Dataset, Queries, State
from retrieval.index import ExactIndex, VectorIndex
from retrieval.interactions import last_steps, steps_ago
from retrieval.retrievers.ease import EaseConfig
from retrieval.retrievers.heads import JoinedHeads
from retrieval.retrievers.item_knn import ItemKnnConfig
from retrieval.retrievers.mtmh import Mtmh, MtmhConfig
from retrieval.retrievers.protocol import FamilyConfig, Retriever
from retrieval.retrievers.sequential_linear import SequentialLinearConfig
from retrieval.spaces import Placed, Space

Value = TypeVar("Value")
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

    def _recent(self, through: Retriever | Mtmh) -> "RecentItems | RecentOfHeads":
        if isinstance(through, Mtmh):
            return RecentOfHeads(through, self.last, self.decay)
        return RecentItems(through, self.last, self.decay)


@dataclass(frozen=True, slots=True)
class RecentItems:
    """Asks its family about the newest positives of each query, as if they had just happened."""

    through: Retriever
    last: int
    decay: float

    @property
    def n_items(self) -> int:
        return self.through.n_items

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        return self.through.retrieve(just_now(queries, self.last, self.decay), k)

    def state(self) -> State:
        return _outer(self.through.state())


def just_now(queries: Queries, last: int, decay: float) -> Queries:
    """Histories of their newest steps alone: a second apart, the last just before the day, the earlier the lighter."""
    recent = last_steps(queries.histories.positives(), last)
    ago = steps_ago(recent)
    weights = (recent.weights * decay**ago).astype(np.float32)
    return replace(queries, histories=replace(recent, weights=weights, times=queries.day * DAY - 1 - ago))


@dataclass(frozen=True, slots=True)
class RecentOfHeads:
    """The same through a family with heads, which answers when it has its indexes."""

    through: Mtmh
    last: int
    decay: float

    @property
    def n_items(self) -> int:
        return self.through.n_items

    @property
    def heads(self) -> tuple[str, ...]:
        return self.through.heads

    def embed_heads(self, dataset: Dataset) -> dict[str, Space]:
        return self.through.embed_heads(dataset)

    def join(self, placed: dict[str, Placed]) -> "RecentByHeads":
        """What answers, of the heads' spaces."""
        return RecentByHeads(self.through.join(placed), self.last, self.decay)

    def state(self) -> State:
        return _outer(self.through.state())


@dataclass(frozen=True, slots=True)
class RecentByHeads:
    """What answers of it: histories by their newest steps; what is like an item as the family says."""

    through: JoinedHeads
    last: int
    decay: float

    @property
    def n_items(self) -> int:
        return self.through.n_items

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        return self.through.retrieve(just_now(queries, self.last, self.decay), k)

    def similar(
        self, items: np.ndarray, queries: Queries, k: int, *, alpha: float | None = None, head: str | None = None
    ) -> Candidates:
        return self.through.similar(items, queries, k, alpha=alpha, head=head)

    def spaces(self) -> Mapping[str, VectorIndex | ExactIndex]:
        return self.through.spaces()

    def asked(self, queries: Queries) -> Mapping[str, np.ndarray]:
        return self.through.asked(just_now(queries, self.last, self.decay))

    def embedded(self, dataset: Dataset) -> Mapping[str, np.ndarray]:
        return self.through.embedded(dataset)

    def exact(self) -> "RecentByHeads":
        return replace(self, through=self.through.exact())

    def state(self) -> State:
        return _outer(self.through.state())


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
