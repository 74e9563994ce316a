"""Whether all is well, and whether the environment is fit for nights."""

import datetime as dt
from typing import Annotated

import typer

from flows import console
from flows.options import Json, Lake, Landing, RecipeOption, Releases
from flows.settings import Settings

health_app = typer.Typer()
MinFree = Annotated[float, typer.Option(min=0, help="How much room the lake's disk must have")]


@health_app.command()
def status(
    lake: Lake = None,
    landing: Landing = None,
    releases: Releases = None,
    max_age_hours: Annotated[
        float, typer.Option(min=0, help="How long ago the live release's day may have ended")
    ] = 36,
    min_free_gib: MinFree = 5,
    json: Json = False,
) -> None:
    """Whether all is well, in ten lines: what is live, what waits, what to do; exit code 1 where something is wrong."""
    from flows.status import show_status
    from tasks.status import status_of

    settings = Settings.given(lake=lake, landing=landing, releases=releases)
    where, now = (settings.place, settings.store, settings.landing_uri), dt.datetime.now(dt.UTC)
    found = status_of(*where, now, max_age_hours=max_age_hours, min_free_gib=min_free_gib)
    console.print_json(found) if json else show_status(found)
    if not found["is_well"]:
        raise typer.Exit(1)


@health_app.command()
def doctor(
    recipe: RecipeOption = None,
    lake: Lake = None,
    landing: Landing = None,
    releases: Releases = None,
    min_free_gib: MinFree = 5,
    thorough: Annotated[bool, typer.Option("--thorough", help="Count every row, compare every byte")] = False,
    json: Json = False,
) -> None:
    """Whether the environment is fit for nights, and the cure for what is not; exit code 1 where something is wrong."""
    from flows.doctor import as_plain, examined, is_fit, show

    settings = Settings.given(recipe=recipe, lake=lake, landing=landing, releases=releases)
    found = examined(settings, min_free_gib=min_free_gib, thorough=thorough)
    console.print_json(as_plain(found)) if json else show(found)
    if not is_fit(found):
        raise typer.Exit(1)
