"""The commands that start and end a server with its worker, and that deploy to one."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows import console
from flows.options import Json, Lake, Landing, RecipeOption, Releases
from flows.server_settings import EVERYWHERE, ServerSettings
from flows.settings import Settings
from retrieval.errors import ServerError

if TYPE_CHECKING:
    import datetime as dt

    from flows.up import Down, Up

up_app = typer.Typer()
Home = Annotated[Path | None, typer.Option(help="Folder of the server [env: LAMPLIGHTER_HOME; default <lake>/prefect]")]


@up_app.command()
def up(
    home: Home = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [default: 4200]", min=1, max=65535)] = None,
    recipe: RecipeOption = None,
    lake: Lake = None,
    landing: Landing = None,
    releases: Releases = None,
    json: Json = False,
) -> None:
    """Start a Prefect server and a worker, deploy the nights to them, and say where they are."""
    settings = Settings.given(recipe=recipe, lake=lake, landing=landing, releases=releases)
    settings.read_recipe()  # what is wrong with it is said before a server is started
    server = ServerSettings.given(home=home, host=host, port=port)
    from flows.up import up as start

    with console.progress_shown(quiet=json):
        result = start(server, settings)
    console.print_json(asdict(result)) if json else _show_up(result, server)


@up_app.command()
def down(
    home: Home = None,
    lake: Lake = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end of runs that are under way")] = False,
    force: Annotated[bool, typer.Option("--force", help="Cut runs off that are under way")] = False,
    json: Json = False,
) -> None:
    """End what `up` started: the worker, then the server."""
    from flows.up import down as stop

    with console.progress_shown(quiet=json):
        result = stop(ServerSettings.given(home=home), Settings.given(lake=lake), force=force, wait=wait)
    console.print_json(asdict(result)) if json else _show_down(result)


@up_app.command()
def deploy(json: Json = False) -> None:
    """Deploy everything to the Prefect server that PREFECT_API_URL names."""
    from flows.deploying import deploy as put
    from flows.deploying import next_night

    api = os.environ.get("PREFECT_API_URL")
    if not api:
        raise ServerError(
            "there is no server to deploy to: PREFECT_API_URL is not set. Set it to your server's address, "
            "or let `lamplighter up` start one."
        )
    with console.progress_shown(quiet=json):
        deployed, night = put(api), next_night(api)
    if json:
        console.print_json(asdict(deployed) | {"api": api, "next_night": night})
    else:
        facts = {"deployed": ", ".join(deployed.deployments), "to": api, "alerts": _told(deployed.channels)}
        console.print_facts(facts | {"next_night": _moment(night)})


def _show_up(result: "Up", server: ServerSettings) -> None:
    out = console.out
    out.print("It runs already; deployed anew." if result.already else "Server and worker run.")
    console.print_facts(
        {
            "pages": result.ui,
            "deployed": ", ".join(result.deployments),
            "alerts": _told(result.channels),
            "next_night": _moment(result.next_night),
            "logs": result.logs,
            "database": result.database,
            "processes": ", ".join(f"{name} {number}" for name, number in result.processes.items()),
        }
    )
    out.print(
        "For other commands of Lamplighter and Prefect to speak to it:",
        f"  export PREFECT_API_URL={result.api}",
        sep="\n",
    )
    if server.host in EVERYWHERE and "PREFECT_SERVER_API_AUTH_STRING" not in os.environ:
        console.complain(
            "open:",
            f"whoever reaches port {server.port} of this machine can run and change everything. Set "
            "PREFECT_SERVER_API_AUTH_STRING and PREFECT_API_AUTH_STRING to user:password, or listen on 127.0.0.1.",
        )


def _told(channels: Sequence[str]) -> str:
    return ", ".join(channels) or "nobody is told; docs/alerts.md says how to set a channel"


def _moment(night: "dt.datetime | None") -> str | None:
    return f"{night:%Y-%m-%d %H:%M} UTC" if night else None


def _show_down(result: "Down") -> None:
    if result.ended:
        console.out.print(
            f"Ended: {', '.join(result.ended)}." + (f" Cut off: {', '.join(result.runs)}." if result.runs else "")
        )
    else:
        console.out.print(f"Nothing of {result.home} runs.", soft_wrap=True)
