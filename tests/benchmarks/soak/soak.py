"""Thirty nights on a live server with the cause of every alert, two backfills from the page and a rollback.

`make soak` runs it and prints the timeline; it fails where an alert is missing, comes twice, or stays.
"""

import argparse
import datetime as dt
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "support")]

from places import landed, settings_of  # noqa: E402
from receivers import receivers  # noqa: E402
from soak_days import CAUSES, LENIENT, N_HISTORY, N_NIGHTS, RECIPE, Cause  # noqa: E402
from soak_server import Soak  # noqa: E402
from upped import upped  # noqa: E402

from flows.backfill import run_backfill  # noqa: E402
from flows.span import Span  # noqa: E402
from retrieval.synthetic import planted_world  # noqa: E402

NOTHING = Cause("")


@dataclass(frozen=True)
class Row:
    """One night of the timeline."""

    night: int
    day: str
    cause: str
    run: str
    live: str
    opened: tuple[str, ...]
    resolved: tuple[str, ...]
    seconds: float


def soak(n_nights: int, folder: Path) -> list[Row]:
    """Run the nights, oldest first; what happened in each."""
    today = dt.datetime.now(dt.UTC).date()
    landings = tuple(range(N_HISTORY, N_HISTORY + n_nights, 3))
    world = planted_world(
        n_users=80, n_items=160, n_fresh=6, n_days=N_HISTORY + n_nights, landings=landings,
        first_day=today - dt.timedelta(N_HISTORY + n_nights),
    )  # fmt: skip
    place = landed(folder, world)
    place.recipe_file.write_text(RECIPE + LENIENT)
    days = world.days
    run_backfill(Span(start=days[0], end=days[N_HISTORY - 1]), settings_of(place))
    rows = []
    with receivers() as received, upped(place, folder / "home", **received.environment) as up:
        up.up()
        one = Soak(up, received, folder)
        one.settle()
        for night in range(1, n_nights + 1):
            rows.append(_night(one, night, days[N_HISTORY + night - 1], CAUSES.get(night, NOTHING)))
            print(json.dumps(asdict(rows[-1])), flush=True)
        status = up.lamplighter("status", *place.options[:2])
        print(status.stdout, flush=True)
        assert status.returncode == 0, "it does not end healthy"
        incidents = json.loads(up.lamplighter("incidents", "--json", *place.options[:2]).stdout)
        assert incidents["open"] == []
    return rows


def _night(one: Soak, night: int, day: dt.date, cause: Cause) -> Row:
    start = time.perf_counter()
    cause.before(one, day)
    midnight = dt.datetime.combine(day + dt.timedelta(1), dt.time(), dt.UTC)
    run: dict[str, Any] = {"state": {"name": "not scheduled"}}
    if cause.runs:
        run = one.run("nightly", midnight.replace(hour=2), kill=cause.kill)
    look = {"min_free_gib": cause.min_free_gib}
    one.run("watch", midnight.replace(hour=6, minute=30), at=midnight.replace(hour=18).isoformat(), **look)
    told = one.told()
    opened = {f"{hook['kind']}" for hook in told if hook["state"] == "opened"}
    assert cause.opens <= opened, f"night {night}: {cause.what} was to be told, {told} was"
    cause.after(one, day)
    if cause.after is not NOTHING.after:
        one.run("watch", midnight.replace(hour=7), at=midnight.replace(hour=19).isoformat(), min_free_gib=0)
        told += one.told()
    names = {state: tuple(hook["kind"] for hook in told if hook["state"] == state) for state in ("opened", "resolved")}
    return Row(
        night, str(day), cause.what, run["state"]["name"], one.live(), names["opened"], names["resolved"],
        round(time.perf_counter() - start, 1),
    )  # fmt: skip


def timeline(rows: list[Row]) -> str:
    """The rows as a table in Markdown."""
    lines = [
        "| night | what was done to it | run | live after it | opened | resolved | s |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = (
            row.night,
            row.cause or "–",
            row.run,
            row.live,
            ", ".join(row.opened),
            ", ".join(row.resolved),
            row.seconds,
        )
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run it, print the timeline, keep rows and pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=N_NIGHTS)
    parser.add_argument("--folder", type=Path, default=None, help="where everything is kept; a new one if not given")
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="lamplighter-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    rows = soak(asked.nights, folder)
    (folder / "timeline.json").write_text(json.dumps([asdict(row) for row in rows], indent=1))
    print(timeline(rows))
    print(f"pictures and everything else: {folder}")


if __name__ == "__main__":
    main()
