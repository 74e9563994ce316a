"""MTMH: items that are chosen together and items that are alike, in two heads over one trunk.

Source: MTMH, arXiv 2506.06239 (`Optimizing Recall or Relevance?`); hyper-parameters that it does not give are ours.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import numpy as np
import onnxruntime as ort
from jaxtyping import Float32
from pydantic import Field, PositiveFloat, field_validator, model_validator

from retrieval.domain import Dataset, Ragged, State
from retrieval.preranking import Preranker
from retrieval.retrievers.heads import HeadNames, JoinedHeads, by_head, ranked_by
from retrieval.retrievers.protocol import FamilyConfig
from retrieval.rules import Share
from retrieval.sessions import session_of
from retrieval.spaces import Placed, Space
from retrieval.tastes import ItemFeatures
from retrieval.trends import Trends

BATCH = 8192


class MtmhConfig(FamilyConfig):
    """Trigger to target, learnt from what users choose together and from what the content encoder finds alike."""

    kind: Literal["mtmh"] = "mtmh"
    heads: tuple[HeadNames, ...] = Field(default=("engagement", "relevance"), min_length=1)
    """`engagement` learns from co-engagement alone, `relevance` from both losses. One head alone is the single-head
    model that papers compare with: co-engagement, or multi-task."""
    alpha: float = Field(default=50.0, ge=0, le=100)
    """The engagement head's share of the places in percent; readers may ask for another."""
    dim: int = Field(default=64, ge=4)
    window_days: float = Field(default=14.0, gt=0)
    """How far apart what goes together may be chosen."""
    triggers_per_target: int = Field(default=2, ge=1)
    """Pairs drawn for each event."""
    batch_size: int = Field(default=2048, ge=2)
    """Pairs of one step."""
    step_days: int = Field(default=1, ge=1)
    """Days whose pairs are learnt together: more where few choose anything on one."""
    epochs: int = Field(default=1, ge=1)
    """Passes over the days, when there is no former model."""
    train_days: int = Field(default=120, ge=1)
    """Newest days learnt from when there is no former model."""
    warm_days: int = Field(default=4, ge=1)
    """Newest days learnt from when there is one."""
    warm_scale: float = Field(default=0.5, gt=0)
    """Learning rates of a warm start, as a share of the full ones."""
    learning_rate: float = Field(default=0.01, gt=0)
    """Adagrad, for the layers."""
    table_learning_rate: float = Field(default=0.05, gt=0)
    """Row-wise Adagrad, for the tables, on touched rows only."""
    relevance_weight: float = Field(default=0.5, ge=0)
    """w_r: how much the relevance head's distillation counts beside its co-engagement."""
    engagement_weight: float = Field(default=1.0, ge=0)
    """How much co-engagement counts for the relevance head; 0 leaves it the content alone."""
    temperature: float = Field(default=0.1, ge=0.01)
    """Where the heads' learnt temperatures start."""
    teacher_temperature: float = Field(default=0.1, ge=0.01)
    """Of the teacher's similarities: lower looks at the nearest alone."""
    teacher_topics: float = Field(default=0.0, ge=0, le=1)
    """How much of the teacher's similarity is the topics that two items share, the rest being that of their texts.
    More than 0 where texts do not tell topics, as plots do not tell genres."""
    uniform_negatives: int = Field(default=1024, ge=0)
    """Items drawn evenly from the catalogue beside the batch's own targets: without them an item that is never chosen
    is never pushed away, nor is it taught what it is like."""
    id_dropout: float = Field(default=0.3, ge=0, lt=1)
    """How often an item is shown without its id, so that one without a past still has a place."""
    towers: Literal["shared", "apart"] = "shared"
    """Whether an item is the same as trigger and as target."""
    trend_half_lives_days: tuple[PositiveFloat, ...] = Field(default=(3.0, 14.0, 60.0), min_length=1)
    """Items' rates of choice, which the trunk and the prerankers read, are taken over each."""
    prerank_days: int = Field(default=2, ge=0)
    """Newest days whose pairs the prerankers learn from before the towers do; 0 keeps what the towers learnt."""
    worth_share: dict[HeadNames, Share] = Field(default={})
    """How much counts, by head, of the worth that prerankers learn, which is how often an item is chosen at all: all of
    it, as of a head that is not named, ranks for recall alone; less lets in what is particular to the trigger."""
    history_half_life_days: float = Field(default=7.0, gt=0)
    """The age at which an event of an asking user counts half."""

    @field_validator("heads")
    @classmethod
    def _heads_differ(cls, heads: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(heads)) < len(heads):
            raise ValueError(f"heads are {list(heads)}: name each once")
        return heads

    @model_validator(mode="after")
    def _relevance_learns_something(self) -> Self:
        if "relevance" in self.heads and not (self.engagement_weight or self.relevance_weight):
            raise ValueError("engagement_weight and relevance_weight are both 0: the relevance head learns nothing")
        return self

    def fit(self, dataset: Dataset, *, seed: int, warm: State | None = None) -> "Mtmh":
        from retrieval.training_mtmh import fit_mtmh  # torch: only where something is trained

        return self.restore(fit_mtmh(dataset, self, seed=seed, warm=warm))

    def restore(self, state: State) -> "Mtmh":
        return Mtmh(self, state)


@dataclass(frozen=True)
class Mtmh:
    """The fitted towers in ONNX Runtime: places items in every head's space; what answers is joined of the indexes."""

    config: MtmhConfig
    fitted: State

    @property
    def n_items(self) -> int:
        return len(self.fitted.arrays["features.offsets"]) - 1

    def embed_heads(self, dataset: Dataset) -> dict[str, Space]:
        """Every item of the catalogue, those unknown at training time included, in each head's space."""
        trends = Trends.of(dataset, self.config.trend_half_lives_days, dataset.day)
        towers = [self._vectors(side, dataset, trends.features()) for side in range(len(self.fitted.graphs))]
        return ranked_by(self._prerankers, by_head(towers, self.config.heads), trends.worth())

    @property
    def heads(self) -> tuple[str, ...]:
        return self.config.heads

    def join(self, placed: dict[str, Placed]) -> JoinedHeads:
        """What answers, of the heads' spaces."""
        return JoinedHeads(placed, self._prerankers, self.config.alpha, self.config.history_half_life_days, self)

    def state(self) -> State:
        return self.fitted

    @property
    def _prerankers(self) -> dict[str, Preranker]:
        held = {name: Preranker.restored(self.fitted.arrays, name) for name in self.config.heads}
        shares = self.config.worth_share
        return {name: preranker.with_worth(shares.get(name, 1.0)) for name, preranker in held.items()}

    def _vectors(self, side: int, dataset: Dataset, dense: np.ndarray) -> Float32[np.ndarray, "items width"]:
        parts, n = [], len(dataset.catalogue)
        for start in range(0, n, BATCH):
            part = slice(start, min(start + BATCH, n))
            parts.append(self._sessions[side].run(None, self._feed(side, dataset, dense, part))[0])
        return np.concatenate(parts)

    def _feed(self, side: int, dataset: Dataset, dense: np.ndarray, part: slice) -> dict[str, np.ndarray]:
        assert dataset.text_vectors is not None
        arrays = self.fitted.arrays
        bag = arrays[f"tables.{side}.item.weight"][part]
        bag = bag + self._features.matrix[part] @ arrays[f"tables.{side}.item_feature.weight"]
        text = np.asarray(dataset.text_vectors)[dataset.catalogue.text_rows[part]]
        return {"bag": bag.astype(np.float32), "text": text, "dense": dense[part]}

    @cached_property
    def _features(self) -> ItemFeatures:
        arrays = self.fitted.arrays
        rows = Ragged(arrays["features.offsets"], arrays["features.values"])
        return ItemFeatures.of(rows, np.zeros(len(arrays["tables.0.item_feature.weight"]), np.int32))

    @cached_property
    def _sessions(self) -> list[ort.InferenceSession]:
        return [session_of(self.fitted.graphs[name]) for name in sorted(self.fitted.graphs)]
