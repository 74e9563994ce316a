"""Two towers that meet in an inner product: ids, content and trends on one side, histories on the other.

Unknown items are placed by their text, topics and attributes; unknown users by what little they have done, and by their
attributes and context. Ids are dropped at random in training, so that an item without one still has a meaning.
Source: candidate-generation seed, "The two-tower model"; losses and sampling in `retrieval/losses.py`.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import onnxruntime as ort
from jaxtyping import Float32
from pydantic import Field, PositiveFloat

from retrieval.domain import Dataset, Queries, Ragged, State
from retrieval.lengths import equally_long, zero_added
from retrieval.queries import ask
from retrieval.retrievers.protocol import FamilyConfig
from retrieval.seeds import generator
from retrieval.sessions import session_of
from retrieval.tastes import ItemFeatures, Tastes, read_tastes
from retrieval.trends import Trends

BATCH = 8192
BALANCE = "balance"
N_BALANCED = 2000


Input = Literal["ids", "content", "trends"]


class TowersConfig(FamilyConfig):
    """Sampled softmax with mixed negatives and log Q, days in order of time."""

    inputs: tuple[Input, ...] = Field(default=("ids", "content", "trends"), min_length=1)
    """What the towers know of an item: who it is; its text, topics and attributes; how often it is chosen lately."""
    dim: int = Field(default=64, ge=4)
    """Numbers that carry taste; trends and worth come on top."""
    pairs: Literal["new", "all"] = "new"
    """Whether to learn what users choose for the first time, or everything they choose."""
    train_days: int = Field(default=180, ge=1)
    """Newest days learnt from when there is no former model; older ones feed histories only."""
    warm_days: int = Field(default=4, ge=1)
    """Newest days learnt from when there is one."""
    warm_scale: float = Field(default=0.15, gt=0)
    """Learning rates of a warm start, as a share of the full ones."""
    learning_rate: float = Field(default=0.002, gt=0)
    """Adam, for towers and, on touched rows only, feature tables."""
    uniform_negatives: int = Field(default=4096, ge=0)
    """Items drawn evenly from the catalogue beside the batch's own."""
    temperature: float = Field(default=0.1, ge=0.01)
    """Where the learnt temperature starts."""
    log_q: float = Field(default=1.0, ge=-1, le=1)
    """How much of log Q is taken off a sampled score: 1 is right, 0 leaves popular items punished; -1, the sign that
    is easily got wrong, is here to be measured."""
    epochs: int = Field(default=1, ge=1)
    """Passes over the days, when there is no former model."""
    max_pairs: int = Field(default=8192, ge=1)
    """Pairs of one step, about: days with more are learnt in several."""
    history_dropout: float = Field(default=0.0, ge=0, lt=1)
    """How often a user's whole history is hidden in training, so that attributes and context alone have a meaning."""
    min_history: int = Field(default=20, ge=0)
    """Users with fewer events before the day are not learnt from."""
    user_damping: float = Field(default=0.5, ge=0, le=1)
    """A user's n choices of a day count n to the power of 1 less this."""
    history_half_lives_days: tuple[PositiveFloat, ...] = Field(default=(90.0, 10.0), min_length=1)
    """Histories are read once over each, long first."""
    trend_half_lives_days: tuple[PositiveFloat, ...] = Field(default=(1.0, 3.0, 7.0, 28.0, 120.0), min_length=1)
    """Items' rates of choice are read over each."""

    def looks_at(self, what: Input) -> bool:
        """Whether the towers know this of an item."""
        return what in self.inputs

    def fit(self, dataset: Dataset, *, seed: int, warm: State | None = None) -> "TwoTower":
        from retrieval.training import fit_two_tower  # torch: only where something is trained

        state = fit_two_tower(dataset, self, seed=seed, warm=warm)
        return self.restore(_balanced(self.restore(state), dataset, seed))

    def restore(self, state: State) -> "TwoTower":
        return TwoTower(self, state)


class TwoTowerConfig(TowersConfig):
    """Towers that know an item by its id, by its content and by how it has been doing."""

    kind: Literal["two_tower"] = "two_tower"
    item_learning_rate: float = Field(default=0.05, gt=0)
    """Adagrad, for the item tables, on touched rows only."""
    id_dropout: float = Field(default=0.3, ge=0, lt=1)
    """How often an item is shown without its id."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the numbers that a user's items add up to which are left out in training."""


class ContentTwoTowerConfig(TowersConfig):
    """The same towers without ids: an item is what it says of itself, from its first day on."""

    kind: Literal["content_two_tower"] = "content_two_tower"
    inputs: tuple[Literal["content", "trends"], ...] = Field(default=("content",), min_length=1)
    """What the towers know of an item: its text, topics and attributes; how often it is chosen lately."""


@dataclass(frozen=True)
class TwoTower:
    """The fitted towers in ONNX Runtime, their tables as arrays."""

    config: TowersConfig
    fitted: State

    @property
    def n_items(self) -> int:
        return len(self.fitted.arrays["features.offsets"]) - 1

    def embed_items(self, dataset: Dataset) -> Float32[np.ndarray, "items width"]:
        """Vectors of equal length, whose order by inner product a graph built for angles finds.

        Each number is scaled by what queries make of it, and queries by the inverse: without that the trends, which
        differ much and weigh little, would rule the graph (recall at 300 of .97 instead of .998).
        """
        trends, parts = self._trends(dataset), []
        for start in range(0, len(dataset.catalogue), BATCH):
            part = slice(start, min(start + BATCH, len(dataset.catalogue)))
            parts.append(self._item_tower.run(None, self._feed_of_items(dataset, trends, part))[0])
        return equally_long(np.concatenate(parts) * self._table(BALANCE))

    def embed_queries(self, queries: Queries) -> Float32[np.ndarray, "queries width"]:
        tastes = self._read(queries)
        bag = tastes.profile @ self._table("tables.user_feature.weight")
        for span, chosen in enumerate(tastes.features):
            bag = bag + chosen @ self._table(f"tables.chosen_feature.{span}.weight")
        feed = {
            "bag": bag.astype(np.float32),
            "counts": tastes.counts,
            "weekday": np.full(len(queries), queries.day % 7, np.int64),
        }
        if self.config.looks_at("ids"):
            items = tastes.items @ self._table("tables.chosen_item.weight")
            feed["items"] = items.reshape(len(tastes.features), len(queries), self.config.dim).astype(np.float32)
        return zero_added(self._user_tower.run(None, feed)[0] / self._table(BALANCE))

    def embed_seeds(self, vectors: Float32[np.ndarray, "seeds width"]) -> Float32[np.ndarray, "seeds width"]:
        """Taste alone: an item is not like another for being as popular."""
        seeds, taste = np.zeros_like(vectors), slice(0, self.config.dim)
        seeds[:, taste] = vectors[:, taste] / self._table(BALANCE)[taste] ** 2
        return seeds

    def state(self) -> State:
        return self.fitted

    def _trends(self, dataset: Dataset) -> Float32[np.ndarray, "items trends"] | None:
        if not self.config.looks_at("trends"):
            return None
        return Trends.of(dataset, self.config.trend_half_lives_days, dataset.day).features()

    def _feed_of_items(self, dataset: Dataset, trends: np.ndarray | None, part: slice) -> dict[str, np.ndarray]:
        """What the item tower wants of some items."""
        bag = np.zeros((part.stop - part.start, self.config.dim), np.float32)
        feed = {"bag": bag}
        if self.config.looks_at("ids"):
            bag += self._table("tables.item.weight")[part]
        if self.config.looks_at("content"):
            assert dataset.text_vectors is not None
            bag += self._features.matrix[part] @ self._table("tables.item_feature.weight")
            feed["text"] = np.asarray(dataset.text_vectors)[dataset.catalogue.text_rows[part]]
        if trends is not None:
            feed["trends"] = trends[part]
        return feed

    def _read(self, queries: Queries) -> Tastes:
        n_users, spans = len(self._table("tables.user_feature.weight")), self.config.history_half_lives_days
        return read_tastes(queries.histories.positives(), queries.features, self._features, n_users, queries.day, spans)

    @cached_property
    def _features(self) -> ItemFeatures:
        """The features of the catalogue that histories point into."""
        arrays = self.fitted.arrays
        rows = Ragged(arrays["features.offsets"], arrays["features.values"])
        fields = np.resize(arrays["features.fields"], len(self._table("tables.item_feature.weight")))
        return ItemFeatures.of(rows, fields)  # a table has one row at least, even where items have no features

    def _table(self, name: str) -> np.ndarray:
        return self.fitted.arrays[name]

    @cached_property
    def _item_tower(self) -> ort.InferenceSession:
        return session_of(self.fitted.graphs["item_tower"])

    @cached_property
    def _user_tower(self) -> ort.InferenceSession:
        return session_of(self.fitted.graphs["user_tower"])


def _balanced(model: TwoTower, dataset: Dataset, seed: int) -> State:
    """The model's state with the root mean square that each number has in the queries of users who are there."""
    active = np.flatnonzero(np.diff(dataset.histories.offsets))
    users = np.sort(generator(seed, "balance").permutation(active)[:N_BALANCED])
    queries = model.embed_queries(ask(dataset, users))[:, :-1]
    scale = np.sqrt((queries.astype(np.float64) ** 2).mean(axis=0)) + 1e-6
    state = model.fitted
    return replace(state, arrays=state.arrays | {BALANCE: scale.astype(np.float32)})
