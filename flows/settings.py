"""WHERE things are: from options or the environment alike."""

import datetime as dt
import getpass
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from retrieval.errors import RecipeError
from retrieval.recipe import Recipe
from storage.layout import Lake

if TYPE_CHECKING:
    from storage.releases import ReleaseStore
    from tasks.run import Night

RECIPES = Path(__file__).parent.parent / "deployments" / "recipes"
EXPERIMENTS = RECIPES.parent / "experiments"


class Settings(BaseSettings):
    """Each field is an option of the command line and an environment variable, `LAMPLIGHTER_` before its name."""

    model_config = SettingsConfigDict(env_prefix="LAMPLIGHTER_", extra="ignore", frozen=True)

    lake: Path = Field(default=Path("lake"), description="root folder of logs, artifacts and releases")
    landing: str | None = Field(default=None, description="folder or URI where days land; <lake>/landing if not set")
    releases: str | None = Field(
        default=None, description="folder, or s3://bucket/prefix, of the releases; <lake>/releases if not set"
    )
    recipe: str = Field(
        default="complete-journey", description="a recipe's file, or the name of one in deployments/recipes"
    )

    @classmethod
    def given(cls, **options: object) -> "Settings":
        """The settings with the options that were given; the environment and the defaults fill the rest."""
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        return cls(**given)

    @property
    def place(self) -> Lake:
        return Lake(self.lake.expanduser().absolute())

    @property
    def landing_uri(self) -> str:
        return self.landing or str(self.place.landing)

    @property
    def releases_uri(self) -> str:
        return self.releases or str(self.place.releases)

    @property
    def store(self) -> "ReleaseStore":
        from storage.releases import ReleaseStore

        return ReleaseStore(self.releases_uri, self.place.release_copies)

    def night(self, day: dt.date) -> "Night":
        """The order of one day's night."""
        from tasks.run import Night

        return Night(day, self.read_recipe(), self.place, self.landing_uri, self.releases_uri)

    def read_recipe(self) -> Recipe:
        """The recipe of a path or of a name.

        Raises:
            RecipeError: naming the recipes there are.
        """
        if self.recipe.endswith(".toml") or Path(self.recipe).is_file():
            return Recipe.read(Path(self.recipe).expanduser())
        path = RECIPES / f"{self.recipe}.toml"
        if not path.is_file():
            names = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
            raise RecipeError(f"there is no recipe named {self.recipe!r}. Name a .toml file, or one of: {names}.")
        return Recipe.read(path)


def who_runs() -> str:
    """Who gives the command, for the trail of changes."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = f"user {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
