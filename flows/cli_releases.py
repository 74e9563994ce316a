"""`lamplighter releases`: look at releases, compare and check them, choose the live one, keep the store small."""

import datetime as dt
from dataclasses import asdict
from typing import Annotated

import typer

from flows import console
from flows.options import Json, Lake, ReleaseId, Releases
from flows.settings import Settings, who_runs
from retrieval.errors import ReleaseError

releases_app = typer.Typer(no_args_is_help=True, help="Look at releases, check and compare them, choose the live one.")

Id = Annotated[str, typer.Argument(metavar="ID", help="A release's id")]
Why = Annotated[str, typer.Option(help="The reason, for the audit trail")]


@releases_app.command(name="list")
def list_releases(lake: Lake = None, releases: Releases = None, json: Json = False) -> None:
    """Every release, oldest day first."""
    from storage.releases import as_json

    store = Settings.given(lake=lake, releases=releases).store
    live, pinned = store.current_id(), store.pins.all()
    whole, torn = store.releases()
    found = [as_json(release) | {"is_live": release.id == live, "is_pinned": release.id in pinned} for release in whole]
    if json:
        console.print_json(found + [{"id": id_, "torn": why} for id_, why in torn.items()])
        return
    marks = [" ".join(mark for mark in ("live", "pinned") if entry[f"is_{mark}"]) for entry in found]
    rows = [
        (entry["id"], entry["recipe"].split()[0], entry["decision"], f"{entry['n_bytes'] / 2**20:,.1f}", mark)
        for entry, mark in zip(found, marks, strict=True)
    ]
    console.print_table(f"Releases in {store.uri}", ("id", "recipe", "decision", "MiB", ""), rows)
    for id_, why in torn.items():
        console.complain("torn", f"{id_}: {why}")


@releases_app.command()
def show(id: ReleaseId = None, lake: Lake = None, releases: Releases = None, json: Json = False) -> None:
    """One release: what it was made of and how good it is."""
    from flows.status import release_as_json, show_release
    from storage.bundle import BATCH

    store = Settings.given(lake=lake, releases=releases).store
    release = store.get(id) if id else store.current()
    found = release_as_json(release, store.fetch(release.id, without=BATCH), is_live=release.id == store.current_id())
    console.print_json(found) if json else show_release(found)


@releases_app.command()
def diff(a: Id, b: Id, lake: Lake = None, releases: Releases = None, json: Json = False) -> None:
    """What changed from release A to release B: what they are made of, sizes, counts and scores."""
    from flows.show import show_differences
    from storage.differences import differences

    found = differences(Settings.given(lake=lake, releases=releases).store, a, b)
    console.print_json(found) if json else show_differences(found)


@releases_app.command()
def verify(
    id: ReleaseId = None,
    sizes_only: Annotated[bool, typer.Option("--sizes-only", help="Compare sizes, not every byte")] = False,
    lake: Lake = None,
    releases: Releases = None,
    json: Json = False,
) -> None:
    """Compare every byte of a release with its manifest."""
    store = Settings.given(lake=lake, releases=releases).store
    release = store.verify(id or store.current().id, full=not sizes_only)
    found = {"id": release.id, "digest": release.digest, "n_bytes": release.n_bytes, "is_whole": True}
    console.print_json(found) if json else console.out.print(
        f"{release.id} is whole: {release.n_bytes:,} bytes as listed."
    )


@releases_app.command()
def promote(
    id: Id, why: Why = "promoted by hand", lake: Lake = None, releases: Releases = None, json: Json = False
) -> None:
    """Make a release the live one, also where a former rollback is held; never one of an earlier day."""
    store = Settings.given(lake=lake, releases=releases).store
    former = store.current_id()
    outcome = store.promote(id, at=_now(), who=who_runs(), why=why, by_hand=True)
    if not outcome.is_live:
        raise ReleaseError(
            f"release {id} stays as it is: {outcome.reason}. Go back with `releases rollback --to {id}`."
        )
    found = {"id": id, "from": former, "reason": outcome.reason}
    console.print_json(found) if json else console.out.print(
        f"{id} is live ({outcome.reason}); before it was {former}."
    )


@releases_app.command()
def rollback(
    to: Annotated[str | None, typer.Option(help="A release's id [default: the one that was live before]")] = None,
    hold: Annotated[bool, typer.Option(help="Keep it live against the nights to come, until `promote`")] = True,
    why: Why = "rolled back by hand",
    lake: Lake = None,
    releases: Releases = None,
    json: Json = False,
) -> None:
    """Make an earlier release the live one, and hold it."""
    store = Settings.given(lake=lake, releases=releases).store
    try:
        former = store.current_id()
    except ReleaseError:
        former = None  # a damaged pointer is what naming a release mends
    release = store.rollback(to, at=_now(), who=who_runs(), why=why, hold=hold)
    found = {"id": release.id, "from": former, "held": hold}
    if json:
        console.print_json(found)
        return
    held = "It is held: no night replaces it until `lamplighter releases promote ID`." if hold else ""
    console.out.print(f"{release.id} is live; before it was {former}. {held}".rstrip(), soft_wrap=True)


@releases_app.command()
def pin(id: Id, why: Why = "pinned by hand", lake: Lake = None, releases: Releases = None, json: Json = False) -> None:
    """Keep a release from every sweep."""
    Settings.given(lake=lake, releases=releases).store.pin(id, at=_now(), who=who_runs(), why=why)
    console.print_json({"id": id, "is_pinned": True}) if json else console.out.print(f"{id} is pinned.")


@releases_app.command()
def unpin(id: Id, lake: Lake = None, releases: Releases = None, json: Json = False) -> None:
    """Let sweeps have a pinned release again."""
    Settings.given(lake=lake, releases=releases).store.unpin(id)
    console.print_json({"id": id, "is_pinned": False}) if json else console.out.print(f"{id} is no longer pinned.")


@releases_app.command()
def sweep(
    keep: Annotated[int, typer.Option(min=1, help="How many of the newest releases stay in any case")] = 14,
    grace_hours: Annotated[float, typer.Option(min=0, help="How long a reader may hold what it has opened")] = 24,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and leave it")] = False,
    lake: Lake = None,
    releases: Releases = None,
    json: Json = False,
) -> None:
    """Remove old releases and what killed runs left; the live, the pinned and their like stay."""
    store = Settings.given(lake=lake, releases=releases).store
    done = store.sweep(keep, dt.timedelta(hours=grace_hours), at=_now(), who=who_runs(), dry_run=dry_run)
    if json:
        console.print_json(asdict(done))
        return
    verb = "would be removed" if dry_run else "removed"
    rows = [(id_, verb) for id_ in done.removed] + [(id_, f"kept: {why}") for id_, why in done.kept.items()]
    rows += [(name, f"left by a killed run, {verb}") for name in done.leftovers]
    console.print_table(f"Swept {store.uri}", ("id", "what"), sorted(rows))


@releases_app.command()
def audit(lake: Lake = None, releases: Releases = None, json: Json = False) -> None:
    """Every change of what is live, and every attempt at one: who, when, why, from, to."""
    store = Settings.given(lake=lake, releases=releases).store
    found = [asdict(entry) for entry in store.trail()]
    found = [{"from" if name == "former" else name: value for name, value in entry.items()} for entry in found]
    if json:
        console.print_json(found)
        return
    columns = ("at", "who", "change", "from", "to", "held", "done", "why")
    rows = [[entry["at"][:19], *(entry[name] for name in columns[1:])] for entry in found]
    console.print_table(f"Changes in {store.uri}", columns, rows)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
