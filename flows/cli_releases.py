"""`lamplighter releases`: look at releases, check them, go back to one."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows import console
from flows.options import Json, Lake, ReleaseId
from flows.settings import Settings

if TYPE_CHECKING:
    from storage.releases import ReleaseStore

releases_app = typer.Typer(no_args_is_help=True, help="Look at releases, check them, go back to one.")


@releases_app.command(name="list")
def list_releases(lake: Lake = None, json: Json = False) -> None:
    """Every release, oldest day first."""
    from storage.releases import as_json

    store = store_of(lake)
    live = store.current_id()
    found = [as_json(release) | {"is_live": release.id == live} for release in store.releases()]
    if json:
        console.print_json(found)
    else:
        columns = ("id", "day", "recipe", "n_bytes", "parent", "is_live")
        console.print_table(
            f"Releases in {store.root}", columns, [[entry[name] for name in columns] for entry in found]
        )


@releases_app.command()
def show(
    id: ReleaseId = None,
    lake: Lake = None,
    json: Json = False,
) -> None:
    """One release: what it was made of and how good it is."""
    from flows.status import release_as_json, show_release

    store = store_of(lake)
    release = store.get(id) if id else store.current()
    found = release_as_json(release, is_live=release.id == store.current_id())
    console.print_json(found) if json else show_release(found)


@releases_app.command()
def verify(
    id: ReleaseId = None,
    lake: Lake = None,
    json: Json = False,
) -> None:
    """Compare every byte of a release with its manifest."""
    store = store_of(lake)
    release = store.verify(id or store.current().id)
    found = {"id": release.id, "digest": release.digest, "n_bytes": release.n_bytes, "is_whole": True}
    console.print_json(found) if json else console.out.print(
        f"{release.id} is whole: {release.n_bytes:,} bytes as listed."
    )


@releases_app.command()
def rollback(
    to: Annotated[str | None, typer.Option(help="A release's id [default: the one the live one was made from]")] = None,
    lake: Lake = None,
    json: Json = False,
) -> None:
    """Make an earlier release the live one."""
    store = store_of(lake)
    former = store.current_id()
    release = store.rollback(to, at=dt.datetime.now(dt.UTC))
    found = {"id": release.id, "from": former}
    console.print_json(found) if json else console.out.print(f"{release.id} is live; before it was {former}.")


def store_of(lake: Path | None) -> "ReleaseStore":
    """The release store of a lake."""
    from storage.releases import ReleaseStore

    return ReleaseStore(Settings.given(lake=lake).place.releases)
