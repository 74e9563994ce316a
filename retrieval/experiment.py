"""An experiment: one recipe in several variants, each with several seeds, measured on the same nights and items."""

import copy
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Float64
from pydantic import Field, ValidationError, field_validator

from retrieval import metrics
from retrieval.errors import RecipeError
from retrieval.metrics import Estimate
from retrieval.recipe import Recipe
from retrieval.rules import FrozenModel
from retrieval.seeds import generator
from retrieval.settling import Settling

FIGURES = (
    "recall_at_10",
    "recall_at_100",
    "recall_at_500",
    "narrow_at_100",
    "broad_at_100",
    "teacher_at_100",
    "novelty_at_100",
    "fresh_at_100",
    "fresh_recall_at_100",
)
Columns = Mapping[str, Float64[np.ndarray, " triggers"]]


class Experiment(FrozenModel):
    """What is compared: `deployments/experiments/*.toml`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    question: str
    """What it is to answer, for the page."""
    recipe: str
    """The name of the recipe that variants change."""
    source: str
    """The recipe's source that is trained and asked about items."""
    seeds: tuple[int, ...] = Field(default=(1, 2, 3), min_length=1)
    nights: int = Field(default=1, ge=1)
    """Nights in a row up to the day, each trained from the one before."""
    ahead_days: int = Field(default=1, ge=1)
    """Days from each night's own that are asked about: more where few choose anything on one."""
    baseline: str
    """The way to answer that the others are compared with: `variant head`, or `variant head α=50`."""
    ways: tuple[str, ...] = ()
    """Ends of the ways that are shown, such as `merged α=50`; all where none is named."""
    variants: dict[str, dict[str, Any]] = Field(min_length=1)
    """By name: the recipe's keys that differ, as `sources.recent.through.heads`."""

    @field_validator("variants")
    @classmethod
    def _names_are_file_names(cls, variants: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name in variants:
            if not re.fullmatch(r"[\w .=-]+", name):
                raise ValueError(f"variant {name!r} is no name: use letters, digits, spaces and any of . = - _")
        return variants

    @classmethod
    def read(cls, path: Path) -> Self:
        """The experiment of a TOML file.

        Raises:
            RecipeError: naming the file and what is wrong.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text()))
        except FileNotFoundError:
            raise RecipeError(
                f"there is no experiment {path}. Name a file, or one of deployments/experiments."
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
            raise RecipeError(f"{path} is no experiment: {error}. Mend what is named.") from error

    def recipe_of(self, base: Recipe, variant: str, seed: int) -> Recipe:
        """The recipe of a variant: the base with what differs, the experiment's source alone, and the seed.

        Raises:
            RecipeError: for a source the recipe does not have, or a change that makes no recipe.
        """
        if self.source not in base.sources:
            raise RecipeError(
                f"experiment {self.name} asks source {self.source!r}; recipe {base.name} has {sorted(base.sources)}."
            )
        plain = json.loads(base.model_dump_json(exclude={"blend"}))
        plain |= {"seed": seed, "sources": {self.source: plain["sources"][self.source]}, "batch": {}}
        for key, value in self.variants[variant].items():
            _set(plain, key.split("."), value)
        try:
            return Recipe.model_validate(plain)
        except ValidationError as error:
            raise RecipeError(f"variant {variant!r} of experiment {self.name} makes no recipe: {error}.") from error


def _set(plain: dict[str, Any], path: Sequence[str], value: Any) -> None:
    held = plain
    for key in path[:-1]:
        held = held.setdefault(key, {})
    held[path[-1]] = copy.deepcopy(value)


@dataclass(frozen=True, slots=True)
class Row:
    """One way to answer, over all seeds and nights."""

    name: str
    figures: dict[str, Estimate]
    """Means over triggers of the means over seeds, with intervals over triggers."""
    spread: dict[str, float]
    """The standard deviation of each figure from seed to seed."""
    change: dict[str, Estimate]
    """The paired difference from the baseline, as a share of the baseline's mean."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What an experiment found."""

    experiment: str
    n_seeds: int
    n_nights: int
    n_triggers: int
    rows: tuple[Row, ...]
    seconds: dict[str, float]
    """Of training, the mean over seeds and nights of each variant."""
    settling: dict[str, Settling]
    """By variant and head: how soon fresh items are where they stay; nothing where the nights are few."""


def compare(
    experiment: Experiment,
    found: Mapping[str, Sequence[Columns]],
    seconds: Mapping[str, float],
    settled: Mapping[str, Settling],
) -> Comparison:
    """The rows of an experiment from each way's columns, one entry a seed with all nights' triggers in one order.

    Raises:
        RecipeError: when the baseline is not among the ways.
    """
    if experiment.baseline not in found:
        raise RecipeError(
            f"experiment {experiment.name} compares with {experiment.baseline!r}, but there are {', '.join(found)}."
        )
    shown = [name for name in found if not experiment.ways or name.endswith(experiment.ways)]
    names = list(dict.fromkeys([experiment.baseline, *shown]))
    means = {name: {f: np.mean([of[f] for of in found[name]], axis=0) for f in FIGURES} for name in names}
    base = means[experiment.baseline]
    rows = tuple(_row(name, means[name], base, found[name], experiment) for name in names)
    n_triggers = len(base[FIGURES[0]])
    return Comparison(
        experiment.name, len(experiment.seeds), experiment.nights, n_triggers, rows, dict(seconds), dict(settled)
    )


def _row(name: str, own: Columns, base: Columns, by_seed: Sequence[Columns], experiment: Experiment) -> Row:
    rng = generator(experiment.seeds[0], "experiment")
    figures = metrics.estimates(dict(own), rng)
    change = {f: found for f in FIGURES if (found := _change(own[f], base[f], rng)) is not None}
    spread = {f: float(np.std([np.nanmean(of[f]) for of in by_seed])) for f in change}
    return Row(name, figures, spread, change)


def _change(own: np.ndarray, base: np.ndarray, rng: np.random.Generator) -> Estimate | None:
    """The ratio of both means, less 1, of the triggers that have the figure; None where the baseline has none of it."""
    known = ~(np.isnan(own) | np.isnan(base))
    found = metrics.ratio(own[known], base[known], rng)
    return None if found is None else Estimate(found.mean - 1, found.low - 1, found.high - 1)
