"""An experiment: one recipe in several variants, each with several seeds, measured on the same nights and items."""

import copy
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from jaxtyping import Float64
from pydantic import Field, ValidationError, field_validator

from retrieval import metrics
from retrieval.convergence import Curve, Positions
from retrieval.errors import RecipeError
from retrieval.metrics import Estimate
from retrieval.recipe import Recipe
from retrieval.rules import FrozenModel
from retrieval.seeds import generator
from retrieval.settling import Settling, curves_of, settling
from retrieval.similarity import HeadHealth

FIGURES = {
    "recall_at_10": "recall@10",
    "recall_at_100": "recall@100",
    "recall_at_500": "recall@500",
    "narrow_at_100": "all topics",
    "broad_at_100": "a topic",
    "teacher_at_100": "text",
    "novelty_at_100": "new topic",
    "fresh_at_100": "fresh",
    "fresh_recall_at_100": "fresh recall@100",
}
"""What is compared, and what tables call it."""
BY_AGE = "by_age"
"""The column of recall among targets of each age, a row an age."""
AGES = range(8)
"""Ages in days of targets that count as fresh."""
FEWEST_NIGHTS = 4
"""With fewer nights nothing is said of how fresh items settle."""
Columns = Mapping[str, Float64[np.ndarray, "*ages triggers"]]


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
    front: Literal["shares", "variants"] = "shares"
    """What a line of the chart runs over: the shares of a variant's merge, or the variants of one way."""
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
class Answered:
    """What a variant with one seed gave on one night."""

    columns: Mapping[str, Columns]
    """Each trigger's figures, by way to answer."""
    positions: Mapping[str, Positions]
    """Where fresh and some established items were, by head."""
    seconds: float
    """Of training."""
    heads: HeadHealth | None = None
    """How far apart the variant's heads are; None where it has one."""


Walks = Mapping[str, Sequence[Sequence[Answered]]]
"""By variant and by seed: night after night."""


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
class AgeRecall:
    """Recall@100 among targets of one age."""

    mean: float
    low: float
    high: float
    n: int
    """Triggers that have such a target."""


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
    fresh_by_age: dict[str, list[AgeRecall]]
    """By row, a figure a day of age."""
    heads: dict[str, list[HeadHealth]]
    """By variant of several heads, how far apart these are: a figure a seed, on the last night."""


def compare(experiment: Experiment, walks: Walks, settled_days: int) -> Comparison:
    """The rows of an experiment: all nights' triggers in one order, the same for every way and seed.

    Raises:
        RecipeError: when the baseline is not among the ways.
    """
    found = _by_way(walks)
    if experiment.baseline not in found:
        raise RecipeError(
            f"experiment {experiment.name} compares with {experiment.baseline!r}, but there are {', '.join(found)}."
        )
    shown = [name for name in found if not experiment.ways or name.endswith(experiment.ways)]
    names = list(dict.fromkeys([experiment.baseline, *shown]))
    means = {name: {f: np.mean([of[f] for of in found[name]], axis=0) for f in (*FIGURES, BY_AGE)} for name in names}
    base = means[experiment.baseline]
    return Comparison(
        experiment=experiment.name,
        n_seeds=len(experiment.seeds),
        n_nights=experiment.nights,
        n_triggers=base[BY_AGE].shape[1],
        rows=tuple(_row(name, means[name], base, found[name], experiment) for name in names),
        seconds={name: float(np.mean([night.seconds for s in seeds for night in s])) for name, seeds in walks.items()},
        settling=_settled(experiment, walks, settled_days),
        heads=_heads(walks),
        fresh_by_age={name: [_at_age(ages) for ages in means[name][BY_AGE]] for name in names},
    )


def _heads(walks: Walks) -> dict[str, list[HeadHealth]]:
    by_variant = {name: [s[-1].heads for s in seeds if s[-1].heads is not None] for name, seeds in walks.items()}
    return {name: apart for name, apart in by_variant.items() if apart}


def _by_way(walks: Walks) -> dict[str, list[Columns]]:
    """By variant and way, a seed after the other: all nights' triggers in one row."""
    found: dict[str, list[Columns]] = {}
    for variant, seeds in walks.items():
        for nights in seeds:
            for way in nights[0].columns:
                joined = {
                    f: np.concatenate([night.columns[way][f] for night in nights], axis=-1) for f in (*FIGURES, BY_AGE)
                }
                found.setdefault(f"{variant} {way}".strip(), []).append(joined)
    return found


def _settled(experiment: Experiment, walks: Walks, settled_days: int) -> dict[str, Settling]:
    """By variant and head, over all seeds: the cohorts that were followed for half of the nights or more."""
    if experiment.nights < FEWEST_NIGHTS:
        return {}
    least, cohorts = experiment.nights // 2, dict[str, list[Curve]]()
    for variant, seeds in walks.items():
        for nights in seeds:
            for head in nights[0].positions:
                lineage = [night.positions[head] for night in nights]
                curves = curves_of(lineage, lineage[-1].ids, settled_days, least)  # all items count as chosen
                cohorts.setdefault(f"{variant} {head}".strip(), []).extend(curves)
    found = {name: settling(curves, least) for name, curves in cohorts.items()}
    return {name: way for name, way in found.items() if way is not None}


def _at_age(values: Float64[np.ndarray, " triggers"]) -> AgeRecall:
    found = metrics.estimate(values, generator(1, "age"))
    return AgeRecall(found.mean, found.low, found.high, int(np.isfinite(values).sum()))


def _row(name: str, own: Columns, base: Columns, by_seed: Sequence[Columns], experiment: Experiment) -> Row:
    rng = generator(experiment.seeds[0], "experiment")
    figures = metrics.estimates({f: own[f] for f in FIGURES}, rng)
    change = {f: found for f in FIGURES if (found := _change(own[f], base[f], rng)) is not None}
    spread = {f: float(np.std([np.nanmean(of[f]) for of in by_seed])) for f in change}
    return Row(name, figures, spread, change)


def _change(own: np.ndarray, base: np.ndarray, rng: np.random.Generator) -> Estimate | None:
    """The ratio of both means, less 1, of the triggers that have the figure; None where the baseline has none of it."""
    known = ~(np.isnan(own) | np.isnan(base))
    found = metrics.ratio(own[known], base[known], rng)
    return None if found is None else Estimate(found.mean - 1, found.low - 1, found.high - 1)
