"""What goes with what the user touched last: the intent of the moment, through any item-to-item family."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import Field

from retrieval.domain import DAY, Candidates, Dataset, Histories, Queries, State
from retrieval.interactions import last_steps, steps_ago
from retrieval.retrievers.ease import EaseConfig
from retrieval.retrievers.item_knn import ItemKnnConfig
from retrieval.retrievers.protocol import FamilyConfig, Retriever
from retrieval.retrievers.sequential_linear import SequentialLinearConfig

Value = TypeVar("Value")
THROUGH = "through."
"""Before the names of the item-to-item family's own state."""

ItemToItem = Annotated[ItemKnnConfig | EaseConfig | SequentialLinearConfig, Field(discriminator="kind")]


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

    def fit(self, dataset: Dataset, *, seed: int, warm: State | None = None) -> "RecentItems":
        inner = None if warm is None else _inner(warm)
        return RecentItems(self.through.fit(dataset, seed=seed, warm=inner), self.last, self.decay)

    def restore(self, state: State) -> "RecentItems":
        return RecentItems(self.through.restore(_inner(state)), self.last, self.decay)


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
        recent = last_steps(queries.histories.positives(), self.last)
        return self.through.retrieve(replace(queries, histories=self._just_now(recent, queries.day)), k)

    def state(self) -> State:
        inner = self.through.state()
        return State(
            arrays={THROUGH + name: array for name, array in inner.arrays.items()},
            facts={THROUGH + name: fact for name, fact in inner.facts.items()},
            graphs={THROUGH + name: graph for name, graph in inner.graphs.items()},
            strings={THROUGH + name: strings for name, strings in inner.strings.items()},
        )

    def _just_now(self, recent: Histories, day: int) -> Histories:
        """The steps one second apart, the last of them just before the day, weighing less the earlier they were."""
        ago = steps_ago(recent)
        weights = (recent.weights * self.decay**ago).astype(np.float32)
        return replace(recent, weights=weights, times=day * DAY - 1 - ago)


def _inner(state: State) -> State:
    return State(_own(state.arrays), _own(state.facts), _own(state.graphs), _own(state.strings))


def _own(named: Mapping[str, Value]) -> dict[str, Value]:
    return {name.removeprefix(THROUGH): value for name, value in named.items()}
