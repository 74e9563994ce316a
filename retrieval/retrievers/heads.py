"""Several vector spaces over the same items, each with an index and a preranker, dealt into one answer by quota.

Source: MTMH, arXiv 2506.06239, section 3.4: candidates of each head, preranked apart, merged by the quota alpha.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from retrieval.dealing import deal
from retrieval.domain import Candidates, Dataset, Queries, State
from retrieval.index import ExactIndex, VectorIndex
from retrieval.interactions import decayed, summed_matrix
from retrieval.preranking import Preranker
from retrieval.search import BLOCK, concatenate

HeadNames = Literal["engagement", "relevance"]
MERGED = "merged"
"""What is dealt from all heads."""


@dataclass(frozen=True, slots=True)
class Space:
    """Where one head places the items of a catalogue."""

    targets: Float32[np.ndarray, "items dim"]
    triggers: Float32[np.ndarray, "items dim"] | None
    """Items as what is asked about; None where they are the same."""
    worth: Float32[np.ndarray, " items"]
    """What prerankers know of an item besides: the logarithm of its rate of choices."""


def by_head(
    towers: Sequence[Float32[np.ndarray, "items width"]], heads: Sequence[str], worth: Float32[np.ndarray, " items"]
) -> dict[str, Space]:
    """The spaces of towers whose vectors stand head after head: one tower for both roles, or triggers and targets."""
    dim, spaces = towers[0].shape[1] // len(heads), {}
    for number, name in enumerate(heads):
        own = [np.ascontiguousarray(tower[:, number * dim : (number + 1) * dim]) for tower in towers]
        spaces[name] = Space(own[-1], own[0] if len(own) > 1 else None, worth)
    return spaces


@dataclass(frozen=True, slots=True)
class Indexed:
    """One head's space with its index."""

    index: VectorIndex | ExactIndex
    triggers: Float32[np.ndarray, "items dim"]
    worth: Float32[np.ndarray, " items"]

    @property
    def targets(self) -> Float32[np.ndarray, "items dim"]:
        return self.index.vectors

    def exact(self) -> "Indexed":
        return replace(self, index=ExactIndex(self.index.vectors))

    @classmethod
    def scanned(cls, space: Space) -> "Indexed":
        """A space that is searched by comparing with every item."""
        triggers = space.targets if space.triggers is None else space.triggers
        return cls(ExactIndex(space.targets), triggers, space.worth)


@runtime_checkable
class MultiHead(Protocol):
    """A fitted family whose items have a place in each of several spaces."""

    @property
    def n_items(self) -> int:
        """Items of the catalogue that it was fitted on."""
        ...

    def embed_heads(self, dataset: Dataset) -> dict[str, Space]:
        """Every item of the catalogue in each head's space."""
        ...

    def join(self, indexes: dict[str, Indexed]) -> "AnswersByHead":
        """What answers, of the heads' indexes."""
        ...

    def state(self) -> State: ...


@runtime_checkable
class AnswersByHead(Protocol):
    """A retriever that says what is like an item by each of its heads, or by all of them."""

    @property
    def n_items(self) -> int: ...

    @property
    def heads(self) -> tuple[str, ...]:
        """The names of its heads."""
        ...

    def retrieve(self, queries: Queries, k: int) -> Candidates: ...

    def similar(
        self, items: np.ndarray, queries: Queries, k: int, *, alpha: float | None = None, head: str = MERGED
    ) -> Candidates:
        """What goes with each of the items."""
        ...

    def exact(self) -> "AnswersByHead":
        """The same, comparing with every item instead of asking graphs."""
        ...

    def state(self) -> State: ...


@dataclass(frozen=True, slots=True)
class JoinedHeads:
    """Asks every head about the query's own items, preranks each head's candidates apart, deals places by quota."""

    indexes: Mapping[str, Indexed]
    prerankers: Mapping[str, Preranker]
    alpha: float
    overfetch: int
    half_life_days: float
    fitted: MultiHead

    @property
    def n_items(self) -> int:
        return self.fitted.n_items

    @property
    def heads(self) -> tuple[str, ...]:
        return tuple(self.indexes)

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        """What goes with the positives of each history, the newer the more; nothing for an empty one."""
        return self._answer(queries, k, self.alpha, MERGED)

    def similar(
        self, items: np.ndarray, queries: Queries, k: int, *, alpha: float | None = None, head: str = MERGED
    ) -> Candidates:
        """What goes with each of the items, which are the histories of the queries."""
        return self._answer(queries, k, self.alpha if alpha is None else alpha, head)

    def exact(self) -> "JoinedHeads":
        return replace(self, indexes={name: index.exact() for name, index in self.indexes.items()})

    def state(self) -> State:
        return self.fitted.state()

    def _answer(self, queries: Queries, k: int, alpha: float, head: str) -> Candidates:
        parts = []
        for start in range(0, len(queries), BLOCK):
            block = queries.take(np.arange(start, min(start + BLOCK, len(queries))))
            parts.append(self._answer_block(block, k, alpha, head))
        return concatenate(parts, k)

    def _answer_block(self, queries: Queries, k: int, alpha: float, head: str) -> Candidates:
        recent = decayed(queries.histories.positives(), queries.day, self.half_life_days)
        weights = summed_matrix(recent, self.n_items)
        asked = {name: _of_length_1(weights @ index.triggers) for name, index in self.indexes.items()}
        has_history = np.diff(weights.indptr) > 0
        names = self.heads if head == MERGED else (head,)
        found = {name: self._of_head(name, asked, queries, k, has_history) for name in names}
        if len(found) == 1:
            return next(iter(found.values()))
        shares = {name: alpha if name == "engagement" else 100 - alpha for name in found}
        return deal(found, shares, k)

    def _of_head(
        self, name: str, asked: Mapping[str, np.ndarray], queries: Queries, k: int, has_history: np.ndarray
    ) -> Candidates:
        """One head's candidates, ranked by its own preranker."""
        found = self.indexes[name].index.answer(asked[name], queries, min(self.overfetch * k, self.n_items))
        found.items[~has_history], found.scores[~has_history] = -1, -np.inf
        return self.prerankers[name].rank(found, name, asked, self.indexes).top(k)


def _of_length_1(vectors: np.ndarray) -> Float32[np.ndarray, "queries dim"]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors / np.maximum(lengths, 1e-9), dtype=np.float32)
