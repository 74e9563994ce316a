"""What is done to each of the soak's nights, and what people have to be told of it."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
from places import QUICK_RECIPE, land
from soak_server import Soak

N_NIGHTS, N_HISTORY = 30, 12
RECIPE = (
    QUICK_RECIPE.replace('name = "quick"', 'name = "soak"')
    + """
[sources.als]
kind = "als"
dim = 6
"""
)
CONVERGENCE = "[convergence]\nsettled_days = 5\nmin_items = 4\nmin_nights = 3\nfactor = {}\n"
LENIENT, STRICT = CONVERGENCE.format(1000), CONVERGENCE.format(1.01)
IMPOSSIBLE = "[gate.floors]\n'nDCG@10' = 1.0\n"


@dataclass(frozen=True)
class Cause:
    """Something that goes wrong, and what is done about it."""

    what: str
    before: Callable[[Soak, dt.date], None] = lambda soak, day: None
    """Before the night is due."""
    after: Callable[[Soak, dt.date], None] = lambda soak, day: None
    """After the watch has looked at it."""
    runs: bool = True
    """Whether a night is scheduled at all."""
    kill: tuple[str, ...] = ()
    """What is killed with -9 while the night runs."""
    min_free_gib: float = 0.0
    """The room that the watch asks for."""
    opens: frozenset[str] = frozenset()
    """The kinds of incident that have to begin."""


def spoil(soak: Soak, day: dt.date) -> None:
    """A tenth of the rows lose their user."""
    events = soak.place.world.events(day)
    users = pa.array(["" if n % 10 == 0 else user for n, user in enumerate(events["user_id"].to_pylist())])
    at = events.schema.get_field_index("user_id")
    land(soak.place.landing, "events", day, events.set_column(at, "user_id", users))


def mend(soak: Soak, day: dt.date) -> None:
    """The rows as they should have come, and a backfill from the page."""
    land(soak.place.landing, "events", day, soak.place.world.events(day))
    soak.backfill(day, day, which="failed")


def repeat(soak: Soak, day: dt.date) -> None:
    """A third of the rows come twice."""
    events = soak.place.world.events(day)
    land(soak.place.landing, "events", day, pa.concat_tables([events, events.slice(0, events.num_rows // 3)]))


def recipe(*sections: str) -> Callable[[Soak, dt.date], None]:
    def write(soak: Soak, _: dt.date) -> None:
        soak.place.recipe_file.write_text(RECIPE + "".join(sections))

    return write


def catch_up(soak: Soak, day: dt.date) -> None:
    """Both days that no night was scheduled for, from the page."""
    soak.backfill(day - dt.timedelta(1), day, which="missing")


CAUSES = {
    3: Cause("a third of the rows landed twice", repeat, opens=frozenset({"data-quality"})),
    5: Cause(
        "a tenth of the rows without a user; landed again, and a backfill from the page (failed, evaluate, promote)",
        spoil, mend, opens=frozenset({"data-quality"}),
    ),
    7: Cause(
        "a floor that no release reaches", recipe(LENIENT, IMPOSSIBLE), recipe(LENIENT), opens=frozenset({"gate"})
    ),
    9: Cause("its process killed with -9", kill=("run",), opens=frozenset({"night-failed"})),
    11: Cause("server killed with -9", kill=("server",)),
    12: Cause("worker killed with -9", kill=("worker",)),
    14: Cause("the disk nearly full (a limit above what is free)", min_free_gib=1e6, opens=frozenset({"disk"})),
    16: Cause("not scheduled", runs=False, opens=frozenset({"night-missing", "index-age"})),
    17: Cause(
        "not scheduled; a backfill of both days from the page (missing, evaluate, promote)", after=catch_up, runs=False
    ),
    20: Cause(
        "fresh items held to 1.01 times what others move", recipe(STRICT), recipe(LENIENT),
        opens=frozenset({"convergence"}),
    ),
    23: Cause("then rolled back by hand, and held", after=lambda soak, day: soak.command("releases", "rollback")),
    24: Cause("kept, since a person went back; then promoted by hand", after=lambda soak, day: soak.promote(day)),
}  # fmt: skip
"""By night, counted from 1."""
