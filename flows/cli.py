"""The command `lamplighter`: libraries are imported where they are used, so no answer waits for an orchestrator."""

import atexit
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows import console
from flows.cli_alerts import alerts_app, watching_app
from flows.cli_answers import answers_app
from flows.cli_backfill import backfill_app
from flows.cli_compare import compare_app
from flows.cli_health import health_app
from flows.cli_logs import logs_app
from flows.cli_quarantine import quarantine_app
from flows.cli_releases import releases_app
from flows.cli_up import up_app
from flows.options import Day, Json, Lake, Landing, RecipeOption, Releases
from flows.settings import Settings
from retrieval.errors import LamplighterError
from retrieval.progress import advance

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Keeps a recommender's retrieval index fresh and honest, every night.",
)
app.add_typer(answers_app)
app.add_typer(watching_app)
app.add_typer(alerts_app, name="alerts")
app.add_typer(backfill_app)
app.add_typer(compare_app)
app.add_typer(up_app)
app.add_typer(health_app)
app.add_typer(logs_app, name="logs")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(releases_app, name="releases")


@app.command()
def demo(lake: Lake = None, landing: Landing = None, releases: Releases = None, json: Json = False) -> None:
    """A year of real grocery baskets: nine months of history, then three nights in a row."""
    from flows.demo import demo as run
    from flows.show_demo import demo_as_json, show_demo

    with console.progress_shown(quiet=json):
        result = run(Settings.given(lake=lake, landing=landing, releases=releases))
    console.print_json(demo_as_json(result)) if json else show_demo(result)


@app.command()
def nightly(
    day: Day,
    recipe: RecipeOption = None,
    lake: Lake = None,
    landing: Landing = None,
    releases: Releases = None,
    promote: bool = True,
    approve: Annotated[bool, typer.Option("--approve", help="Make it live also where the gate holds it")] = False,
    ask: Annotated[bool, typer.Option("--ask", help="Pause where the gate holds it, until a person decides")] = False,
    json: Json = False,
) -> None:
    """Take in a landed day, retrain, re-embed, rebuild, prove it beside the live release, publish."""
    settings = Settings.given(recipe=recipe, lake=lake, landing=landing, releases=releases)
    settings.read_recipe()  # what is wrong with it is said before a server is started
    from flows.approval import require_server
    from flows.nightly import START
    from flows.nightly import nightly as run
    from flows.show import night_as_json, show_night

    if ask:
        require_server()

    with console.progress_shown(quiet=json):
        advance(START, 0, 1)
        where = (settings.recipe, str(settings.place.root), settings.landing)
        result = run(day.date(), *where, promote, settings.releases, approve=approve, ask=ask)
    console.print_json(night_as_json(result)) if json else show_night(result)
    if result.release.decision == "refuse":
        raise typer.Exit(1)


@app.command(name="import")
def import_(
    dataset: Annotated[str, typer.Argument(help="complete-journey, movielens-100k, online-retail, …")],
    to: Annotated[str | None, typer.Option(help="Landing zone [default: the lake's]")] = None,
    source: Annotated[Path | None, typer.Option(help="Folder of the raw files")] = None,
    lake: Lake = None,
    landing: Landing = None,
    json: Json = False,
) -> None:
    """Turn a public data set into a landing zone, day by day."""
    from dataclasses import asdict

    from storage.datasets import import_dataset

    target = to or Settings.given(lake=lake, landing=landing).landing_uri

    def tell(done: int, total: int, what: str) -> None:
        advance(f"import {dataset}", done, total)

    with console.progress_shown(quiet=json):
        summary = asdict(import_dataset(dataset, landing=target, source=source, progress=tell))
    if json:
        console.print_json(summary)
    else:
        console.print_facts(summary)
        console.out.print(
            f"Next: lamplighter nightly --day {summary['last_day']} --landing {target} --recipe {dataset}"
            + (f" --lake {lake}" if lake else ""),
            soft_wrap=True,
        )


@app.command()
def forget(
    user: Annotated[str, typer.Option(help="The user's id")],
    lake: Lake = None,
    releases: Releases = None,
    json: Json = False,
) -> None:
    """Take a user out of logs, quarantine, artifacts and exports, and keep them out; the next release has no trace."""
    import datetime as dt
    from dataclasses import asdict

    from tasks.forget import forget_user

    settings = Settings.given(lake=lake, releases=releases)
    done = forget_user(settings.place, user, at=dt.datetime.now(dt.UTC), releases=settings.releases_uri)
    if json:
        console.print_json(asdict(done))
        return
    console.print_facts(asdict(done))
    console.out.print("Run the newest night again for a release without them: lamplighter nightly --day D")


@app.command()
def convergence(lake: Lake = None, json: Json = False) -> None:
    """Whether fresh items' vectors settle: the newest curve and verdict of every cohort."""
    from flows.settled import show_convergence
    from storage.convergence import History

    found = History(Settings.given(lake=lake).place.convergence).newest()
    console.print_json(found) if json else show_convergence(found)


def run(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code: 1, and one sentence, for what a user or their data can cause."""
    # The person at the terminal gets progress and one sentence; the run's own log is in the Prefect UI.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    if "PREFECT_API_URL" not in os.environ:  # a temporary server ends with the command, and its logs with it
        os.environ.setdefault("PREFECT_LOGGING_TO_API_ENABLED", "false")
    try:
        app(arguments)
    except LamplighterError as error:
        console.complain("error:", str(error))
        return 1
    except OSError as error:
        where = error.filename or "the lake, the landing or a file"
        console.complain("error:", f"{where} cannot be used ({error.strerror or error}). Name another, or mend it.")
        return 1
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def main() -> None:
    """The console script."""
    _leave(run())


def _leave(code: int) -> None:
    """End after everybody's exit handlers, but without tearing the interpreter down: DuckDB's bindings would complain
    on standard error of references that Prefect's engine still holds."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
