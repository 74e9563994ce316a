"""What is wrong, who is told, and whether messages arrive."""

import datetime as dt
from typing import Annotated

import typer

from flows import console
from flows.options import Json, Lake, Releases
from flows.settings import Settings

watching_app = typer.Typer()
alerts_app = typer.Typer(no_args_is_help=True, help="Channels and automations: who is told of what is wrong.")

ExpectedBy = Annotated[
    dt.datetime, typer.Option(formats=["%H:%M"], help="Until when the night of the day before has to be done, UTC")
]


@watching_app.command()
def watch(
    lake: Lake = None,
    releases: Releases = None,
    expected_by: ExpectedBy = dt.datetime(1900, 1, 1, 6),
    max_index_hours: Annotated[float, typer.Option(help="How old the live release may be")] = 36,
    min_free_gib: Annotated[float, typer.Option(help="How much room there has to be")] = 5,
    window_days: Annotated[int, typer.Option(help="How far back refused days are told of")] = 14,
    json: Json = False,
) -> None:
    """Look once at the lake: what is wrong, what has begun, what is over; 1 when anything is open."""
    from flows.automations import teller
    from tasks.watch import watch as look
    from validation.incidents import Limits

    settings = Settings.given(lake=lake, releases=releases)
    limits = Limits(
        expected_by=expected_by.time(),
        max_index_hours=max_index_hours,
        min_free_gib=min_free_gib,
        window_days=window_days,
    )
    found = look(settings.place, settings.store, limits, dt.datetime.now(dt.UTC), tell=teller())
    if json:
        console.print_json(found.as_plain())
    else:
        _show_open([entry.incident | {"opened_at": entry.opened_at} for entry in found.open])
        for incident in found.resolved:
            console.out.print(f"over           {incident.id}", soft_wrap=True)
        for kind, why in found.unseen.items():
            console.complain("not judged:", f"{kind}: {why}")
    if found.open or found.unseen:
        raise typer.Exit(1)


@watching_app.command()
def incidents(
    lake: Lake = None,
    past: Annotated[bool, typer.Option("--past", help="Those that are over, too, newest first")] = False,
    json: Json = False,
) -> None:
    """What is open, from when on; with --past, what was."""
    from dataclasses import asdict

    from tasks.watch import open_and_past

    book = open_and_past(Settings.given(lake=lake).place)
    if json:
        shown = {"watched": book.watched, "open": [asdict(entry) for entry in book.open]}
        console.print_json(shown | ({"past": [asdict(entry) for entry in book.past[::-1]]} if past else {}))
        return
    _show_open([entry.incident | {"opened_at": entry.opened_at} for entry in book.open])
    if past:
        rows = [
            (entry.id, entry.incident["day"], entry.opened_at[:16], str(entry.resolved_at)[:16], entry.incident["rule"])
            for entry in book.past[::-1]
        ]
        console.print_table("Incidents that are over", ("incident", "day", "from", "to", "rule"), rows)


@alerts_app.command()
def deploy(json: Json = False) -> None:
    """Put the channels of the environment and the automations of deployments/automations on the server."""
    from dataclasses import asdict

    from flows.automations import deploy_automations, required_server

    done = deploy_automations(required_server(), drop=True)
    if json:
        console.print_json(asdict(done))
        return
    console.print_facts(
        {
            "automations": ", ".join(done.automations),
            "removed": ", ".join(done.removed) or "none",
            "channels": ", ".join(done.channels)
            or "none: nobody is told of anything; docs/alerts.md says how to set one",
        }
    )


@alerts_app.command()
def test(json: Json = False) -> None:
    """Send a message through every channel, the way that alerts go, and say what became of each."""
    from dataclasses import asdict

    from flows.automations import AlertSettings, try_channels

    sent, asked = try_channels(), AlertSettings().channels
    silent = [name for name in asked if name not in {entry.channel for entry in sent}]
    if json:
        console.print_json({"sent": [asdict(entry) for entry in sent], "silent": silent})
    else:
        rows = [(entry.channel, "yes" if entry.arrived else "no", entry.found, entry.cure) for entry in sent]
        rows += [(name, "no", "the server has said nothing of it", "Look at the server's log.") for name in silent]
        console.print_table("Messages", ("channel", "arrived", "found", "cure"), rows)
    if silent or not all(entry.arrived for entry in sent):
        raise typer.Exit(1)


def _show_open(found: list[dict[str, object]]) -> None:
    """One incident after the other, with all that a tired person needs."""
    if not found:
        console.out.print("Nothing is wrong.")
    for incident in found:
        console.out.print(f"[bold]{console.cell(incident['kind'])}[/] since {str(incident['opened_at'])[:16]}")
        names = ("meaning", "rule", "observed", "expected", "cure", "link")
        console.print_facts(
            {name: incident[name] for name in names} | {"runbook": f"docs/runbook.md#alert-{incident['kind']}"}
        )
