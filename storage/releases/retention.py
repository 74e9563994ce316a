"""What a store keeps: the newest, the live one, the pinned, what the next night starts from, what a reader may hold."""

import datetime as dt
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrieval.errors import ReleaseError
from storage.releases.audit import AUDIT, write_entry
from storage.releases.places import Conflict, Place
from storage.releases.pointer import CURRENT, Pointer
from storage.releases.release import Release

if TYPE_CHECKING:
    from storage.releases.store import ReleaseStore

PINS = "pins"


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did."""

    removed: list[str]
    kept: dict[str, str]
    """Why each of the others is still there."""
    leftovers: list[str]
    """What killed runs had left."""


@dataclass(frozen=True, slots=True)
class Pins:
    """Releases that no sweep removes: one object each."""

    place: Place

    def all(self) -> dict[str, dict[str, Any]]:
        """Who pinned which release, when and why."""
        names = self.place.names(PINS)
        return {name.removesuffix(".json"): json.loads(self.place.read(f"{PINS}/{name}")) for name in names}

    def add(self, id_: str, *, at: dt.datetime, who: str, why: str) -> None:
        content = json.dumps({"at": at.isoformat(), "who": who, "why": why}).encode()
        if not self.place.exists(self._name(id_)):
            self.place.create(self._name(id_), content)

    def remove(self, id_: str) -> None:
        if not self.place.exists(self._name(id_)):
            known = ", ".join(name.removesuffix(".json") for name in self.place.names(PINS)) or "none"
            raise ReleaseError(f"release {id_!r} is not pinned (pinned: {known}). Name one that is.")
        self.place.remove(self._name(id_))

    def _name(self, id_: str) -> str:
        return f"{PINS}/{id_}.json"


def sweep(
    store: "ReleaseStore", keep: int, grace: dt.timedelta, *, at: dt.datetime, who: str, dry_run: bool = False
) -> Swept:
    """Remove all but the `keep` newest releases and those there is a reason for, and what killed runs left.

    What is to go is announced in the pointer first: whoever would make one of them live at that moment is refused, or
    the sweep is.

    Raises:
        ReleaseError: when somebody moved the pointer at the same time; nothing was removed.
    """
    if keep < 1:
        raise ReleaseError(f"a sweep keeps at least one release, not {keep}. Raise --keep.")
    before, pointer = at - grace, store.pointer()
    releases, torn = store.releases()
    kept = torn | _reasons(store, releases, pointer, keep, before)
    doomed = [release.id for release in releases if release.id not in kept] if pointer else []
    leftovers = _orphans(store.place, before)
    if dry_run:
        return Swept(doomed, kept, leftovers)
    removed = _remove(store, doomed, pointer, at=at, who=who, why=f"older than the {keep} newest")
    kept |= {id_: "pinned" for id_ in doomed if id_ not in removed}
    for name in leftovers:
        store.place.remove_folder(name)
    known = frozenset(kept) | {release.id for release in releases if release.id not in removed}
    return Swept(removed, kept, leftovers + store.place.sweep(before, known))


def _remove(
    store: "ReleaseStore", ids: list[str], pointer: Pointer | None, *, at: dt.datetime, who: str, why: str
) -> list[str]:
    removed = []
    try:
        store.mark_removing(tuple(ids), who=who)
    except Conflict:
        raise ReleaseError(
            f"somebody moved {store.uri}/{CURRENT} during the sweep, so nothing was removed. Run it again."
        ) from None
    pinned = store.pins.all()
    for id_ in ids:
        if id_ not in pinned:
            write_entry(store.place, "remove", id_, pointer, at=at, who=who, why=why)
            store.place.remove_folder(id_)
            removed.append(id_)
    with suppress(Conflict):  # the next sweep announces its own
        store.mark_removing((), who=who)
    return removed


def _reasons(
    store: "ReleaseStore", releases: list[Release], pointer: Pointer | None, keep: int, before: dt.datetime
) -> dict[str, str]:
    """The reason for each release that has to stay."""
    reasons = {release.id: f"among the {keep} newest" for release in releases[-keep:]}
    for release in releases:
        touched = store.place.touched(f"{release.id}/manifest.json")
        if touched is None or touched >= before:
            reasons[release.id] = "younger than the grace period"
    for entry in store.trail(before):
        if entry.former and entry.change != "remove":
            reasons[entry.former] = "live within the grace period"
    reasons |= dict.fromkeys(store.pins.all(), "pinned")
    if pointer is not None:
        live = next((release for release in releases if release.id == pointer.release), None)
        parents = [live.compared_with, live.parent, getattr(store.parent_for(live.day), "id", None)] if live else []
        reasons |= {id_: "what the live one was made from" for id_ in parents if id_}
        reasons[pointer.release] = "live"
    present = {release.id for release in releases}
    return {id_: reason for id_, reason in reasons.items() if id_ in present}


def _orphans(place: Place, before: dt.datetime) -> list[str]:
    """Folders that never became a release, or are none any more, and that nobody has written to since."""
    orphans = []
    for name in place.names():
        if name in {AUDIT, PINS} or place.exists(name) or place.exists(f"{name}/manifest.json"):
            continue
        touched = place.touched(name)
        if touched is not None and touched < before:
            orphans.append(name)
    return orphans
