"""A planted world landed in a folder, and a recipe quick enough to run a night in seconds."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows.settings import Settings
from retrieval.recipe import Recipe
from retrieval.synthetic import World
from storage.layout import Lake

QUICK_RECIPE = """
name = "quick"
seed = 5
[actions]
purchase = { sign = "+" }
return = { sign = "-" }
[history]
days = 60
context_keys = ["store"]
crosses = [["topic1", "brand"]]
[text]
encoder = "hashed"
[index]
links = 8
probe_queries = 50
[sources.popular]
kind = "popular"
[sources.item_knn]
kind = "item_knn"
neighbours = 20
[sources.two_tower]
kind = "two_tower"
dim = 8
min_history = 2
uniform_negatives = 32
train_days = 8
warm_days = 2
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A lake with a landed world beside it, and the recipe to run its nights by."""

    world: World
    lake: Lake
    landing: Path
    recipe_file: Path

    @property
    def recipe(self) -> Recipe:
        return Recipe.read(self.recipe_file)

    @property
    def last_day(self) -> dt.date:
        return self.world.days[-1]

    @property
    def options(self) -> list[str]:
        """What the command line needs to know."""
        return ["--lake", str(self.lake.root), "--landing", str(self.landing), "--recipe", str(self.recipe_file)]

    def events_file(self, day: dt.date) -> Path:
        return self.landing / "events" / f"day={day}" / "part-0.parquet"

    def releases(self) -> list[str]:
        return sorted(path.parent.name for path in self.lake.releases.glob("*/manifest.json"))


def land(folder: Path, kind: str, day: dt.date, table: pa.Table) -> None:
    """Write one partition."""
    target = folder / kind / f"day={day}"
    target.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, target / "part-0.parquet")


def settings_of(place: Place) -> Settings:
    """What the commands take from their options."""
    return Settings(lake=place.lake.root, landing=str(place.landing), recipe=str(place.recipe_file))


def landed(root: Path, world: World) -> Place:
    """A world of which everything has landed and nothing is loaded."""
    landing, recipe = root / "landing", root / "quick.toml"
    land(landing, "users", world.days[0], world.users)
    for day in world.days:
        land(landing, "events", day, world.events(day))
        items = world.landed_items(day)
        if items.num_rows:
            land(landing, "items", day, items)
    recipe.write_text(QUICK_RECIPE)
    return Place(world, Lake(root / "lake"), landing, recipe)
