"""Several vector spaces over the same items, each with an index and a preranker, dealt into one answer by quota.

Source: MTMH, arXiv 2506.06239, section 3.4: candidates of each head, preranked apart, merged by the quota alpha.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float32

from retrieval.dealing import deal
from retrieval.domain import UNKNOWN, Candidates, Dataset, Queries, State
from retrieval.index import ExactIndex, VectorIndex
from retrieval.interactions import decayed, summed_matrix
from retrieval.preranking import Preranker
from retrieval.retrievers.protocol import MERGED, MultiHead
from retrieval.search import BLOCK, concatenate, padded
from retrieval.spaces import Placed, Space

HeadNames = Literal["engagement", "relevance"]


def by_head(towers: Sequence[Float32[np.ndarray, "items width"]], heads: Sequence[str]) -> dict[str, Space]:
    """The spaces of towers whose vectors stand head after head: one tower for both roles, or triggers and targets."""
    dim, spaces = towers[0].shape[1] // len(heads), {}
    for number, name in enumerate(heads):
        own = [np.ascontiguousarray(tower[:, number * dim : (number + 1) * dim]) for tower in towers]
        spaces[name] = Space(own[-1], own[0] if len(own) > 1 else None)
    return spaces


def ranked_by(
    prerankers: Mapping[str, Preranker], spaces: Mapping[str, Space], worth: Float32[np.ndarray, " items"]
) -> dict[str, Space]:
    """The same spaces with what each head's preranker ranks by."""
    targets = {name: space.targets for name, space in spaces.items()}
    return {name: replace(space, ranked=prerankers[name].of_items(targets, worth)) for name, space in spaces.items()}


def merged(found: Mapping[str, Candidates], alpha: float, k: int) -> Candidates:
    """The heads' answers dealt with this share of the engagement head, in percent."""
    return deal(found, {name: alpha if name == "engagement" else 100 - alpha for name in found}, k)


@dataclass(frozen=True, slots=True)
class JoinedHeads:
    """Asks every head about the query's own items, by its own preranker's score, and deals places by quota."""

    placed: Mapping[str, Placed]
    prerankers: Mapping[str, Preranker]
    alpha: float
    half_life_days: float
    fitted: MultiHead

    @property
    def n_items(self) -> int:
        return self.fitted.n_items

    @property
    def heads(self) -> tuple[str, ...]:
        return tuple(self.placed)

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        """What goes with each history; nothing for an empty one."""
        return self._answer(queries, k, self.alpha, MERGED)

    def similar(
        self, items: np.ndarray, queries: Queries, k: int, *, alpha: float | None = None, head: str | None = None
    ) -> Candidates:
        """What goes with each of the items, which are the histories of the queries."""
        return self._answer(queries, k, self.alpha if alpha is None else alpha, head or MERGED)

    def spaces(self) -> Mapping[str, VectorIndex | ExactIndex]:
        return {name: placed.index for name, placed in self.placed.items()}

    def asked(self, queries: Queries) -> Mapping[str, Float32[np.ndarray, "queries dim"]]:
        """What each head's index is asked with, as its preranker has it."""
        own = self._own(queries)
        return {name: self.prerankers[name].of_questions(own) for name in self.placed}

    def _own(self, queries: Queries) -> dict[str, Float32[np.ndarray, "queries dim"]]:
        """What goes with the positives of each history, the newer the more: their triggers added up, of length 1."""
        recent = decayed(queries.histories.positives(), queries.day, self.half_life_days)
        weights = summed_matrix(recent, self.n_items)
        return {name: _of_length_1(weights @ placed.triggers) for name, placed in self.placed.items()}

    def vectors(self) -> Mapping[str, Float32[np.ndarray, "items dim"]]:
        return {name: placed.space.targets for name, placed in self.placed.items()}

    def embedded(self, dataset: Dataset) -> Mapping[str, Float32[np.ndarray, "items dim"]]:
        return {name: space.targets for name, space in self.fitted.embed_heads(dataset).items()}

    def exact(self) -> "JoinedHeads":
        return replace(self, placed={name: placed.exact() for name, placed in self.placed.items()})

    def state(self) -> State:
        return self.fitted.state()

    def _answer(self, queries: Queries, k: int, alpha: float, head: str) -> Candidates:
        parts = []
        for start in range(0, len(queries), BLOCK):
            block = queries.take(np.arange(start, min(start + BLOCK, len(queries))))
            parts.append(self._answer_block(block, k, alpha, head))
        return concatenate(parts, k)

    def _answer_block(self, queries: Queries, k: int, alpha: float, head: str) -> Candidates:
        asked, has_history = self.asked(queries), np.diff(queries.histories.positives().offsets) > 0
        names = self.heads if head == MERGED else (head,)
        found = {name: self._of_head(name, asked, queries, k, has_history) for name in names}
        return merged(found, alpha, k) if len(found) > 1 else found[names[0]]

    def _of_head(
        self, name: str, asked: Mapping[str, np.ndarray], queries: Queries, k: int, has_history: np.ndarray
    ) -> Candidates:
        """One head's candidates, in its own preranker's order."""
        found = self.placed[name].index.answer(asked[name], queries, min(k, self.n_items))
        found.items[~has_history], found.scores[~has_history] = UNKNOWN, -np.inf
        return padded(found.items, found.scores, k)


def _of_length_1(vectors: np.ndarray) -> Float32[np.ndarray, "queries dim"]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors / np.maximum(lengths, 1e-9), dtype=np.float32)
