"""`lamplighter logs`: look through the logs, make them again, make them smaller."""

import datetime as dt
from dataclasses import asdict
from typing import Annotated

import typer

from flows import console
from flows.options import Json, Lake, Landing, RecipeOption
from flows.settings import Settings

logs_app = typer.Typer(no_args_is_help=True, help="Look through the logs, make them again, make them smaller.")


@logs_app.command()
def days(lake: Lake = None, json: Json = False) -> None:
    """Every landed partition: what became of its rows."""
    from storage.logs import open_logs

    with open_logs(Settings.given(lake=lake).place.logs, read_only=True) as logs:
        found = [
            asdict(entry.counts)
            | {"day": entry.counts.day.isoformat(), "correction_refused": entry.refused_correction is not None}
            for entry in logs.recorded()
        ]
        reopened = {entry.day.isoformat(): asdict(entry) for entry in logs.reopened()}
    for entry in found:
        again = reopened.get(entry["day"]) if entry["kind"] == "events" else None
        entry["reopened_by"] = again["taken_up"] + again["waiting"] if again else 0
    found.sort(key=lambda entry: (entry["day"], entry["kind"]))
    if json:
        console.print_json(found)
        return
    rows = ("landed", "loaded", "quarantined", "duplicates", "forgotten", "late")
    names = ("day", "kind", *rows, "is_refused", "correction_refused", "reopened_by")
    console.print_table("Landed partitions", names, [[entry[name] for name in names] for entry in found])


@logs_app.command()
def check(lake: Lake = None, json: Json = False) -> None:
    """Count and sum up every row of the logs, and compare with what was loaded."""
    from storage.logs import open_logs
    from storage.logs.upkeep import problems

    with open_logs(Settings.given(lake=lake).place.logs, read_only=True) as logs:
        found, digest = problems(logs), logs.digest(dt.date.max)
    if json:
        console.print_json({"digest": digest, "problems": found})
    else:
        for problem in found:
            console.complain("problem", problem)
        console.out.print("The logs are in order." if not found else "Make them again: lamplighter logs rebuild")
        console.out.print(f"digest    {digest}")
    if found:
        raise typer.Exit(1)


@logs_app.command()
def rebuild(
    recipe: RecipeOption = None,
    lake: Lake = None,
    landing: Landing = None,
    accept_loss: Annotated[
        bool,
        typer.Option(
            help="Go on when rows would be lost that cannot be loaded any more, or the list of forgotten users"
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Make the logs again from the landing zone, compare, and put them in the place of the former ones."""
    from tasks.rebuild import rebuild as run

    settings = Settings.given(recipe=recipe, lake=lake, landing=landing)
    chosen, now = settings.read_recipe(), dt.datetime.now(dt.UTC)
    with console.progress_shown(quiet=json):
        made = run(settings.place, settings.landing_uri, chosen.rules, chosen.actions, accept_loss=accept_loss, at=now)
    if json:
        refused = {day.isoformat(): why for day, why in made.refused.items()}
        console.print_json(asdict(made) | {"is_same": made.is_same, "refused": refused})
        return
    if made.is_same:
        console.out.print("Made again; every day holds the rows it held before.")
    elif not made.had_former:
        console.out.print("Made; there were no logs that could be read, to compare with.")
    else:
        columns = ("kind", "day", "rows", "rows before")
        rows = [(entry.kind, entry.day, entry.rows, entry.rows_before) for entry in made.differences]
        console.print_table("Made again; these hold other rows than before", columns, rows)
    console.out.print(f"digest    {made.digest}")
    for day, why in made.refused.items():
        console.complain("refused", f"{day}: {why}")


@logs_app.command()
def vacuum(lake: Lake = None, json: Json = False) -> None:
    """Write the file of the logs again without the bytes that deleted rows left in it."""
    from storage.logs.upkeep import vacuum as run

    path = Settings.given(lake=lake).place.logs
    before, after = run(path)
    found = {"file": str(path), "bytes_before": before, "bytes": after}
    console.print_json(found) if json else console.out.print(
        f"{path}: {before:,} bytes before, {after:,} now.", soft_wrap=True
    )


@logs_app.command()
def audit(lake: Lake = None, json: Json = False) -> None:
    """What people had done to the logs: replays, erasures, rebuilds."""
    from storage.logs import open_logs

    with open_logs(Settings.given(lake=lake).place.logs, read_only=True) as logs:
        found = logs.audit()
    if json:
        console.print_json(found)
        return
    rows = [
        (e["at"], e["action"], ", ".join(f"{k} {v}" for k, v in e.items() if k not in ("at", "action"))) for e in found
    ]
    console.print_table("Done to the logs", ("at", "what", "how much"), rows)
