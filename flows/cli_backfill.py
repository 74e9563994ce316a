"""The command that does a span of days again."""

import datetime as dt
from typing import Annotated

import typer

from flows import console
from flows.options import Day, Json, Lake, Landing, RecipeOption, Releases
from flows.settings import Settings
from flows.span import MOST_DAYS, UTMOST_DAYS, Span
from retrieval.backlog import Mode, Steps
from retrieval.progress import advance

backfill_app = typer.Typer()


@backfill_app.command()
def backfill(
    start: Day,
    end: Day,
    mode: Annotated[
        Mode, typer.Option(help="Which days: not done yet; refused or not usable; every landed day again")
    ] = Mode.missing,
    steps: Annotated[
        Steps, typer.Option(help="How far: load the logs; train models too; evaluate and keep a release too")
    ] = Steps.logs,
    promote: Annotated[bool, typer.Option("--promote", help="With evaluate: let releases become live")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be done, and change nothing")] = False,
    max_days: Annotated[
        int, typer.Option(min=1, max=UTMOST_DAYS, help="Refuse a span of more days than this")
    ] = MOST_DAYS,
    recipe: RecipeOption = None,
    lake: Lake = None,
    landing: Landing = None,
    releases: Releases = None,
    json: Json = False,
) -> None:
    """Load the days of a span that are not in the logs; train or release each; go on after what failed."""
    asked = {"mode": mode, "steps": steps, "promote": promote, "dry_run": dry_run, "max_days": max_days}
    span = Span(start=start.date(), end=end.date(), **asked)
    settings = Settings.given(recipe=recipe, lake=lake, landing=landing, releases=releases)
    settings.read_recipe()  # what is wrong with it or with the span is said before a server is started
    span.require_sensible(today=dt.datetime.now(dt.UTC).date())
    from flows.backfill import run_backfill
    from flows.nightly import START
    from flows.show_backfill import backfill_as_json, show_backfill

    with console.progress_shown(quiet=json):
        advance(START, 0, 1)
        result = run_backfill(span, settings)
    console.print_json(backfill_as_json(result)) if json else show_backfill(result)
    if result.failed:
        raise typer.Exit(1)
