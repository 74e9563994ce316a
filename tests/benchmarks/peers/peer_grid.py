"""Which families run with which settings: as many trials for each, theirs and ours, by one rule."""

import itertools
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal, Self

from peer_worker import ADAPTERS
from pydantic import Field, ValidationError, model_validator

from retrieval.errors import RecipeError
from retrieval.rules import FrozenModel
from retrieval.seeds import generator

Settings = dict[str, Any]
GRID = Path(__file__).with_name("grid.toml")
NOTHING = "none"
"""What stands for no value in a grid, since TOML has no word for it."""


class Model(FrozenModel):
    """One family of one library."""

    library: str
    family: str

    @property
    def name(self) -> str:
        """How tables call it."""
        return f"{self.library} {self.family}"


class Entrant(Model):
    """A model with the settings that it is timed with."""

    settings: Settings = Field(default_factory=dict)


class Race(FrozenModel):
    """Fits of like models with like settings, in turns, whose times are compared."""

    name: str
    ours: Entrant
    theirs: tuple[Entrant, ...]

    @model_validator(mode="after")
    def _libraries_differ(self) -> Self:
        libraries = [self.ours.library, *(entrant.library for entrant in self.theirs)]
        if len(set(libraries)) < len(libraries):
            raise ValueError(f"race {self.name!r} has two entrants of a library: {libraries}")
        return self


class OfSet(FrozenModel):
    """What a set needs otherwise, so that a run of it ends within hours on two cores."""

    n_trials: int | None = Field(default=None, ge=1)
    without: tuple[str, ...] = ()
    """Models, as tables call them, that are not fitted there."""
    reason: str = ""


class Grid(FrozenModel):
    """What a run compares."""

    n_trials: int = Field(ge=1)
    """Settings tried for each family, fewer where it has fewer combinations."""
    seed: int
    """Draws the trials, and seeds every fit."""
    select_by: Literal["recall_at_10", "recall_at_100", "ndcg_at_10"]
    """What decides, on the validation window, which settings go to the test windows."""
    k: int
    threads: int
    limit_seconds: float
    """A job that takes longer is stopped and counted as failed."""
    n_laps: int = Field(ge=1)
    """Fits of each entrant of a race; the median counts."""
    families: dict[str, dict[str, dict[str, list[Any]]]]
    """By library and family: the values of each setting, the usual one first."""
    slow: tuple[str, ...] = ()
    """Models, as tables call them, that a quick run leaves out."""
    races: tuple[Race, ...] = ()
    sets: dict[str, OfSet] = Field(default_factory=dict)
    """By set: what is otherwise there."""

    @model_validator(mode="after")
    def _libraries_are_known(self) -> Self:
        unknown = sorted(set(self.families) - set(ADAPTERS))
        if unknown:
            raise ValueError(f"no worker knows {unknown}: libraries are {sorted(ADAPTERS)}")
        return self

    @classmethod
    def read(cls, path: Path = GRID) -> Self:
        """The grid of a TOML file.

        Raises:
            RecipeError: for a file that is no grid.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text()))
        except (tomllib.TOMLDecodeError, ValidationError) as error:
            raise RecipeError(f"{path} is no grid: {error}. Mend what is named.") from error

    def of_set(self, name: str) -> Self:
        """This grid as it is for one set."""
        otherwise = self.sets.get(name, OfSet())
        families = {
            library: {f: options for f, options in listed.items() if f"{library} {f}" not in otherwise.without}
            for library, listed in self.families.items()
        }
        return self.model_copy(update={"n_trials": otherwise.n_trials or self.n_trials, "families": families})

    def models(self, patterns: list[str]) -> list[Model]:
        """The families whose `library.family` fits a pattern, all without patterns; libraries take turns."""
        of_library = [
            [Model(library=library, family=family) for family in families]
            for library, families in self.families.items()
        ]
        in_turns = [model for turn in itertools.zip_longest(*of_library) for model in turn if model is not None]
        return [m for m in in_turns if not patterns or any(fnmatch(f"{m.library}.{m.family}", p) for p in patterns)]

    def trials(self, model: Model) -> list[Settings]:
        """The usual settings, then others drawn evenly from all combinations, none twice."""
        options = self.families[model.library][model.family]
        values = [[None if value == NOTHING else value for value in listed] for listed in options.values()]
        combinations = [dict(zip(options, chosen, strict=True)) for chosen in itertools.product(*values)]
        rng = generator(self.seed, model.library, model.family)
        others = 1 + rng.permutation(len(combinations) - 1)[: self.n_trials - 1]
        return [combinations[row] for row in (0, *others)]
