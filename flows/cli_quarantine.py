"""`lamplighter quarantine`: look at rows that were set aside, take them out, let mended ones in."""

import datetime as dt
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flows import console
from flows.options import Json, Lake, Landing, RecipeOption
from flows.settings import Settings

if TYPE_CHECKING:
    from storage.logs.quarantine import Wanted

quarantine_app = typer.Typer(no_args_is_help=True, help="Look at rows that were set aside, and let mended ones in.")
KindOption = Annotated[
    Literal["events", "items", "users"] | None, typer.Option("--kind", help="Only rows of this kind")
]
DayOption = Annotated[
    dt.datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="Only rows that landed for this day")
]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Only rows with this reason")]


@quarantine_app.command(name="list")
def list_rows(
    kind: KindOption = None, day: DayOption = None, reason: ReasonOption = None, lake: Lake = None, json: Json = False
) -> None:
    """How many rows of each landed file are set aside, and why."""
    from storage.logs import open_logs

    with open_logs(Settings.given(lake=lake).place.logs, read_only=True) as logs:
        found = wanted(kind, day, reason).counts(logs)
    if json:
        console.print_json(found)
        return
    columns = ("day", "kind", "file", "reason", "rows")
    console.print_table("Rows set aside", columns, [[entry[name] for name in columns] for entry in found])


@quarantine_app.command()
def show(
    kind: KindOption = None,
    day: DayOption = None,
    reason: ReasonOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many rows")] = 10,
    lake: Lake = None,
    json: Json = False,
) -> None:
    """The rows themselves, whole, as they landed."""
    from storage.logs import open_logs

    with open_logs(Settings.given(lake=lake).place.logs, read_only=True) as logs:
        found = wanted(kind, day, reason).rows(logs, limit)
    if json:
        console.print_json(found)
        return
    for entry in found:
        console.out.print(
            f"{entry['day']} {entry['kind']} {entry['file']} line {entry['line']}", style="bold", markup=False
        )
        console.out.print(f"  {', '.join(entry['reasons'])}", markup=False)
        console.out.print(f"  {dumps(entry['row'], ensure_ascii=False)}", markup=False, soft_wrap=True)
    if not found:
        console.out.print("No such row is set aside.")


@quarantine_app.command()
def export(
    to: Annotated[Path | None, typer.Option(help="File, .jsonl or .parquet [default: in <lake>/exports]")] = None,
    kind: KindOption = None,
    day: DayOption = None,
    reason: ReasonOption = None,
    lake: Lake = None,
    json: Json = False,
) -> None:
    """Write rows that were set aside to a file; one kept in the lake's exports is reached by `forget`."""
    from storage.logs import open_logs

    place = Settings.given(lake=lake).place
    name = "-".join(["quarantine", *[str(part) for part in (kind, day and day.date(), reason) if part]])
    target = to or place.exports / f"{name}.jsonl"
    with open_logs(place.logs, read_only=True) as logs:
        n_rows = wanted(kind, day, reason).export(logs, target)
    found = {"file": str(target), "rows": n_rows}
    console.print_json(found) if json else console.out.print(f"{n_rows:,} rows in {target}", soft_wrap=True)


@quarantine_app.command()
def replay(
    kind: KindOption = None,
    day: DayOption = None,
    reason: ReasonOption = None,
    recipe: RecipeOption = None,
    lake: Lake = None,
    landing: Landing = None,
    json: Json = False,
) -> None:
    """Judge the partitions of such rows again, after the rules or the files were mended; good rows move to the logs."""
    from tasks.replay import replay as run

    settings = Settings.given(recipe=recipe, lake=lake, landing=landing)
    chosen = settings.read_recipe()
    asked, now = wanted(kind, day, reason), dt.datetime.now(dt.UTC)
    done = run(settings.place, settings.landing_uri, asked, chosen.rules, chosen.actions, at=now)
    if json:
        console.print_json([asdict(entry) for entry in done])
    else:
        columns = ("day", "kind", "source", "moved", "left")
        console.print_table("Judged again", columns, [[getattr(entry, name) for name in columns] for entry in done])
        for entry in done:
            if entry.problem:
                console.complain("refused", f"{entry.kind} of {entry.day}: {entry.problem}")
    if any(entry.problem for entry in done):
        raise typer.Exit(1)


def wanted(kind: Literal["events", "items", "users"] | None, day: dt.datetime | None, reason: str | None) -> "Wanted":
    """The rows that the options ask for.

    Raises:
        UnknownId: for a reason that no row can have.
    """
    from retrieval.errors import UnknownId
    from storage.logs.quarantine import Wanted
    from validation.reasons import REASONS

    if reason is not None and reason not in REASONS:
        raise UnknownId(f"no row has the reason {reason!r}. Choose one of: {', '.join(REASONS)}.")
    return Wanted(kind, day.date() if day else None, reason)
