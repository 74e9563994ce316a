"""Two towers whose user side reads the order of choices: what was chosen last, what before it, and so on.

The item side is one vector an item and what it is worth to anybody; both meet in an inner product.
Source: candidate-generation seed, "The two-tower model": a network over the user's recent history on one side. The loss
is in `retrieval/losses.py`, the network in `retrieval/nets/sequence.py`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import onnxruntime as ort
from jaxtyping import Bool, Float32, Int64
from pydantic import Field

from retrieval.domain import Dataset, Histories, Queries, State
from retrieval.factors import has_factors
from retrieval.layout import asking, lay_out, seeking
from retrieval.retrievers.protocol import FamilyConfig
from retrieval.sessions import session_of

ITEMS, WORTH, TOWER = "items", "worth", "tower"
QUERIES_AT_ONCE = 512


class SequenceTowerConfig(FamilyConfig):
    """Every choice of every user is predicted from those before it, and the next few with it.

    Items that nobody had chosen at training time have no vector: they come last for everybody, nothing is like them,
    and other sources have to find them. Choices of one second keep the order of the log.
    """

    kind: Literal["sequence_tower"] = "sequence_tower"
    dim: int = Field(default=64, ge=4)
    """Numbers a vector."""
    length: int = Field(default=50, ge=1)
    """Choices that one kernel reaches back over."""
    n_blocks: int = Field(default=1, ge=1, le=4)
    """Kernels one after another: each reaches that much further back."""
    ahead: int = Field(default=4, ge=1)
    """Choices foretold from each place: the next one, and those that follow it."""
    ahead_decay: float = Field(default=0.5, gt=0, le=1)
    """Each choice further ahead counts that much less."""
    max_history: int = Field(default=200, ge=2)
    """The newest choices of a user that are learnt."""
    epochs: int = Field(default=10, ge=1)
    """Passes over all users, when there is no former model."""
    warm_epochs: int = Field(default=1, ge=1)
    """Passes when there is one."""
    learning_rate: float = Field(default=0.002, gt=0)
    """Adam; rises over the first hundredth and falls to nothing. On tables it moves the rows of a step alone."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    places_per_step: int = Field(default=8192, ge=16)
    """Choices predicted in one step, about."""
    uniform_negatives: int = Field(default=8192, ge=1)
    """Items drawn evenly beside the step's own; a catalogue that is no larger is compared whole."""

    def fit(self, dataset: Dataset, *, seed: int, warm: State | None = None) -> "SequenceRetriever":
        from retrieval.training_sequences import fit_sequence_tower  # torch: only where something is trained

        return self.restore(fit_sequence_tower(dataset, self, seed=seed, warm=warm))

    def restore(self, state: State) -> "SequenceRetriever":
        return SequenceRetriever(self, state)

    @property
    def reach(self) -> int:
        """Choices that an answer depends on."""
        return self.n_blocks * (self.length - 1) + 1


@dataclass(frozen=True)
class SequenceRetriever:
    """The fitted tower in ONNX Runtime, item vectors as an array."""

    config: SequenceTowerConfig
    fitted: State

    @property
    def n_items(self) -> int:
        return len(self._vectors)

    def embed_items(self, dataset: Dataset) -> Float32[np.ndarray, "items width"]:
        """Each item's vector and worth; items without a vector come behind all others."""
        worth = self.fitted.arrays[WORTH]
        return lay_out(np.concatenate([self._vectors, worth[:, None]], axis=1), has_factors(self._vectors))

    def embed_queries(self, queries: Queries) -> Float32[np.ndarray, "queries width"]:
        histories, parts = queries.histories.positives().last(self.config.reach), []
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            rows = np.arange(start, min(start + QUERIES_AT_ONCE, len(queries)))
            parts.append(self._read(histories.take(rows)))
        vectors = np.concatenate([np.zeros((0, self.config.dim), np.float32), *parts])
        ones = np.ones((len(vectors), 1), np.float32)
        return asking(np.concatenate([vectors, ones], axis=1))

    def embed_seeds(self, vectors: Float32[np.ndarray, "seeds width"]) -> Float32[np.ndarray, "seeds width"]:
        """The direction of the vector alone: an item is not like another for being as popular.

        An item without a vector lies nearest to the shortest ones, so it asks by the number that lengths are short of.
        """
        own = vectors[:, : self.config.dim]
        lengths = np.linalg.norm(own, axis=1, keepdims=True)
        no_worth = np.zeros_like(lengths)
        missing = np.where(has_factors(own), np.float32(0), vectors[:, -1])
        return seeking(np.concatenate([own / np.maximum(lengths, 1e-9), no_worth], axis=1), missing)

    def state(self) -> State:
        return self.fitted

    def _read(self, histories: Histories) -> Float32[np.ndarray, "users dim"]:
        items, is_choice = last_places(histories, self.config.reach)
        places = self._vectors[items] * is_choice[..., None]
        feed = {"places": places, "is_choice": is_choice[..., None].astype(np.float32)}
        return np.asarray(self._tower.run(None, feed)[0])

    @property
    def _vectors(self) -> Float32[np.ndarray, "items dim"]:
        return self.fitted.arrays[ITEMS]

    @cached_property
    def _tower(self) -> ort.InferenceSession:
        return session_of(self.fitted.graphs[TOWER])


def last_places(
    histories: Histories, n_places: int
) -> tuple[Int64[np.ndarray, "users places"], Bool[np.ndarray, "users places"]]:
    """Each user's newest items in a table that ends with the newest one; where there are fewer it begins empty."""
    back = np.arange(n_places, 0, -1)
    entries = histories.offsets[1:, None] - back
    is_choice = entries >= histories.offsets[:-1, None]
    items = np.concatenate([histories.items, [0]]).astype(np.int64)
    return items[np.where(is_choice, entries, -1)], is_choice
