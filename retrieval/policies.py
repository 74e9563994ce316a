"""What a shop wants of a list beyond what is likely to be chosen: boosts, caps and diversity, after the blend."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float32, Int32
from pydantic import Field, model_validator

from retrieval.domain import NEVER, UNKNOWN, Candidates, Catalogue, Dataset
from retrieval.errors import RecipeError, UnknownId
from retrieval.rearranging import boosted, chosen, chosen_for_diversity
from retrieval.rules import FrozenModel


class BoostConfig(FrozenModel):
    """Items of a feature or a topic rank higher, or lower."""

    feature: str = Field(min_length=1)
    """A feature such as `brand=Private`, or the name of a topic."""
    factor: float = Field(gt=0, allow_inf_nan=False)
    """What the blended score is multiplied by; below 1 it lowers."""


class CapConfig(FrozenModel):
    """No value of a field may fill the list."""

    field: str = Field(min_length=1)
    """An attribute's key such as `brand`, or topic1, topic2 and so on; items without it are not bounded."""
    most: int = Field(ge=1)
    """Items of one value that a list may hold."""


class DiversityConfig(FrozenModel):
    """Items whose texts say what the list has said already give way to others."""

    relevance: float = Field(default=0.8, ge=0, le=1)
    """Lambda: 1 ranks by the blended score alone, 0 only by how unlike the items are."""


class PolicyConfig(FrozenModel):
    """What is done to the blend of every list for a user; lists of similar items and searches keep their order."""

    require: tuple[str, ...] = ()
    """Features or topics that an item must all have to be shown at all, anywhere."""
    boosts: tuple[BoostConfig, ...] = ()
    caps: tuple[CapConfig, ...] = ()
    diversity: DiversityConfig | None = None
    over_fetch: int = Field(default=3, ge=1)
    """Blended candidates that the policies choose from, for each item shown; caps that need more look deeper."""

    @model_validator(mode="after")
    def _each_is_named_once(self) -> Self:
        names = [boost.feature for boost in self.boosts], [cap.field for cap in self.caps]
        twice = sorted({name for group in names for name in group if group.count(name) > 1})
        if twice:
            raise ValueError(f"policy names {twice} more than once: keep one of each")
        return self

    def of(self, dataset: Dataset) -> "Policies":
        """The policies over a catalogue.

        Raises:
            RecipeError: for a feature or a field that no item has; it names what there is.
        """
        catalogue = dataset.catalogue
        boosts = tuple(
            Boost(f"boost {boost.feature}", boost.factor, items_with(catalogue, boost.feature, "policy.boosts"))
            for boost in self.boosts
        )
        caps = tuple(Cap(f"cap {cap.field}", cap.most, values_of(catalogue, cap.field)) for cap in self.caps)
        return Policies(boosts, caps, self._diversity(dataset), self.over_fetch)

    def _diversity(self, dataset: Dataset) -> "Diversity | None":
        if self.diversity is None:
            return None
        if dataset.text_vectors is None:
            raise RecipeError("policy.diversity compares text vectors, and the data set has none. Encode its texts.")
        return Diversity("diversity", self.diversity.relevance, dataset.catalogue.text_rows, dataset.text_vectors)


@dataclass(frozen=True, slots=True)
class Boost:
    """Scores of some items are multiplied."""

    name: str
    factor: float
    has_feature: Bool[np.ndarray, " items"]


@dataclass(frozen=True, slots=True)
class Cap:
    """A list holds at most so many items of one value."""

    name: str
    most: int
    values: Int32[np.ndarray, " items"]
    """Each item's value; unknown where it has none."""

    def room(self, eligible: Bool[np.ndarray, " items"]) -> int:
        """How many of the eligible items one list can hold: those without a value, and `most` of each value."""
        n_without, *n_of_value = np.bincount(self.values[eligible] - UNKNOWN, minlength=1)
        return int(n_without + np.minimum(n_of_value, self.most).sum())


@dataclass(frozen=True, slots=True)
class Diversity:
    """Maximal marginal relevance over the cosine of text vectors."""

    name: str
    relevance: float
    text_rows: Int32[np.ndarray, " items"]
    vectors: Float32[np.ndarray, "texts dim"]


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies over one catalogue: boosts first, then caps and diversity, which choose place after place."""

    boosts: tuple[Boost, ...] = ()
    caps: tuple[Cap, ...] = ()
    diversity: Diversity | None = None
    over_fetch: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        names = [boost.name for boost in self.boosts] + [cap.name for cap in self.caps]
        return (*names, self.diversity.name) if self.diversity else tuple(names)

    def without(self, name: str) -> Self:
        """All but one."""
        return replace(
            self,
            boosts=tuple(boost for boost in self.boosts if boost.name != name),
            caps=tuple(cap for cap in self.caps if cap.name != name),
            diversity=None if self.diversity and self.diversity.name == name else self.diversity,
        )

    def pool(self, k: int) -> int:
        """How many blended candidates k items are chosen from."""
        return k * self.over_fetch if self.names else k

    def room(self, eligible: Bool[np.ndarray, " items"]) -> int:
        """How many of the eligible items a list can hold at most: what the tightest cap allows by itself."""
        return min([int(eligible.sum()), *(cap.room(eligible) for cap in self.caps)])

    def apply(self, ranked: Candidates, k: int) -> Candidates:
        """The k items to show of a longer ranking, with their boosted scores: after diversity these need not fall."""
        for boost in self.boosts:
            ranked = boosted(ranked, boost.has_feature, boost.factor)
        caps = [(cap.values, cap.most) for cap in self.caps]
        if self.diversity is not None:
            texts = self.diversity.text_rows, self.diversity.vectors
            return chosen_for_diversity(ranked, caps, *texts, self.diversity.relevance, k)
        return chosen(ranked, caps, k) if caps else ranked.top(k)


def items_with(catalogue: Catalogue, name: str, key: str) -> Bool[np.ndarray, " items"]:
    """Which items have a feature or a topic of this name.

    Raises:
        RecipeError: naming the recipe's key, when no item has it.
    """
    values, row = catalogue.features, int(catalogue.feature_names.rows([name])[0])
    if row == UNKNOWN:
        names = catalogue.feature_names if "=" in name else catalogue.topic_names
        try:
            values, row = catalogue.topics, names.row(name, suggest=True)
        except UnknownId as error:
            raise RecipeError(f"{key}: {error}") from None
    has_it = np.zeros(len(catalogue), bool)
    has_it[values.owners()[values.values == row]] = True
    return has_it


def values_of(catalogue: Catalogue, field: str) -> Int32[np.ndarray, " items"]:
    """Which of a field's values each item has, as rows of the feature names; unknown where it has none.

    Raises:
        RecipeError: when no item has the field; it names those there are.
    """
    names = catalogue.feature_names.ids
    is_field = np.asarray(pc.starts_with(names, f"{field}="), dtype=bool)
    if not is_field.any():
        keys = pc.list_element(pc.split_pattern(names, "=", max_splits=1), 0)
        known = ", ".join(sorted(pa.array(pc.unique(keys)).to_pylist()))
        raise RecipeError(f"policy.caps names field {field!r}, which no item has. Name one of: {known}.")
    entries = np.flatnonzero(is_field[catalogue.features.values])
    values = np.full(len(catalogue), UNKNOWN, np.int32)
    values[catalogue.features.owners()[entries]] = catalogue.features.values[entries]
    return values


def requiring(catalogue: Catalogue, features: Sequence[str]) -> Catalogue:
    """The same catalogue, in which items without all of these features are never available.

    Raises:
        RecipeError: for a feature that no item has.
    """
    allowed = np.ones(len(catalogue), bool)
    for feature in features:
        allowed &= items_with(catalogue, feature, "policy.require")
    return replace(catalogue, available_until=np.where(allowed, catalogue.available_until, NEVER).astype(np.int32))
