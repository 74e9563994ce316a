"""The releases of a place, and the moves of the one pointer."""

import datetime as dt
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from retrieval.errors import ArtifactError, ReleaseError
from storage.bundle import BATCH, MODEL, RECIPE, SOURCES
from storage.manifest import MANIFEST
from storage.refs import Ref, digest_of, digest_of_bytes
from storage.releases.audit import AUDIT, Change, Entry, read_trail, write_entry
from storage.releases.places import Conflict, Fill, place_of
from storage.releases.pointer import CURRENT, Pointer, read_pointer
from storage.releases.promotion import Promotion, settled
from storage.releases.release import Release, read_release
from storage.releases.retention import PINS, Pins, Swept, sweep

_NEWEST = 5


class ReleaseStore:
    """The releases under one URI; `cache` holds local copies of what lies far away."""

    def __init__(self, uri: str | Path, cache: Path | None = None) -> None:
        self.place = place_of(str(uri), cache or Path.home() / ".cache" / "lamplighter" / "releases")
        self.pins = Pins(self.place)

    @property
    def uri(self) -> str:
        return self.place.uri

    def ids(self) -> list[str]:
        """The id of every finished release, in order of their names."""
        return [name for name in self._folders() if self.has(name)]

    def releases(self) -> tuple[list[Release], dict[str, str]]:
        """Every finished release, oldest day first; and those that cannot be read, with the reason."""
        found, torn = [], dict[str, str]()
        for id_ in self.ids():
            try:
                found.append(self.get(id_))
            except ReleaseError as error:
                torn[id_] = str(error)
        return sorted(found, key=lambda release: (release.day, release.id)), torn

    def get(self, id_: str) -> Release:
        """One release by its id.

        Raises:
            ReleaseError: when there is none of that id, or it is torn.
        """
        if not self.has(id_):
            newest = [name for name in self._folders()[::-1] if self.has(name)][:_NEWEST]
            raise ReleaseError(
                f"there is no release {id_!r} in {self.uri} (newest: {', '.join(newest[::-1]) or 'none'}). "
                "See `lamplighter releases list`."
            )
        return read_release(self.place, id_)

    def has(self, id_: str) -> bool:
        """Whether there is a finished release of this id."""
        is_name = bool(id_) and "/" not in id_ and not id_.startswith(".")
        return is_name and self.place.exists(f"{id_}/{MANIFEST}")

    def pointer(self) -> Pointer | None:
        """The pointer to the live release, None before the first."""
        return read_pointer(self.place)[0]

    def current_id(self) -> str | None:
        """The id of the live release, None before the first."""
        pointer = self.pointer()
        return pointer.release if pointer else None

    def current(self) -> Release:
        """The live release.

        Raises:
            ReleaseError: when none was published yet, or it is not what was published.
        """
        pointer = self.pointer()
        if pointer is None:
            raise ReleaseError(f"no release is live in {self.uri}. Run `lamplighter nightly --day D` first.")
        release = self.get(pointer.release)
        if release.manifest_sha256 != pointer.manifest_sha256:
            raise ReleaseError(
                f"release {release.id} is torn: its manifest is not the one that became live. "
                "Go back to another by `lamplighter releases rollback --to ID`."
            )
        return release

    def ancestors(self) -> Iterator[Release]:
        """The live release, the one it was made from, and so on."""
        id_ = self.current_id()
        while id_ is not None and self.has(id_):
            release = read_release(self.place, id_)
            yield release
            id_ = release.parent

    def parent_for(self, day: dt.date) -> Release | None:
        """The release that a night of this day starts from: the newest of the live line that is of an earlier day."""
        return next((release for release in self.ancestors() if release.day < day), None)

    def fetch(self, id_: str, *, without: str | None = None) -> Path:
        """A local folder with a release's files, each as its manifest says where they had to be copied.

        `without` names a folder of it that need not be copied.

        Raises:
            ReleaseError: when there is none of that id, or it is torn.
        """
        self.get(id_)
        try:
            return self.place.fetch(id_, without=without)
        except (ArtifactError, FileNotFoundError) as error:
            raise ReleaseError(f"release {id_} is torn: {error}") from error

    def drop_copy(self, id_: str) -> bool:
        """Remove the local copies of a release that lies elsewhere; whether there were any."""
        return self.place.drop_copy(id_)

    def read(self, release: Release, path: str) -> bytes:
        """One file of a release, without a copy of the others.

        Raises:
            ReleaseError: when it is not what was published.
        """
        (entry,) = (entry for entry in release.manifest.files if entry.path == path)
        try:
            content = self.place.read(self.place.member(release.id, path, entry.sha256))
        except FileNotFoundError as error:
            raise ReleaseError(f"release {release.id} is torn: {path} is missing.") from error
        if digest_of_bytes(content) != entry.sha256:
            raise ReleaseError(f"release {release.id} is torn: {path} does not match the manifest.")
        return content

    def model(self, release: Release, source: str, kind: str) -> Ref | None:
        """The state of one of a release's sources, None when it has no such source of that kind."""
        root = self.fetch(release.id, without=BATCH)
        folder = root / SOURCES / source / MODEL
        sources = json.loads((root / RECIPE).read_text())["sources"]
        if not folder.is_dir() or sources[source]["kind"] != kind:
            return None
        return Ref(str(folder), digest_of([release.digest, source]))

    def add(self, id_: str, fill: Fill) -> Release:
        """The release of this id, written whole or not at all; one that is there already is left as it is."""
        if not self.has(id_):
            self.place.add_folder(id_, fill)
        return read_release(self.place, id_)

    def verify(self, id_: str, *, full: bool = True) -> Release:
        """Compare every byte of a release with its manifest; not `full`: the sizes only.

        Raises:
            ReleaseError: naming the first file that differs.
        """
        release = self.get(id_)
        try:
            self.place.check(id_, release.manifest, full=full)
        except (ArtifactError, FileNotFoundError) as error:
            raise ReleaseError(f"release {id_} is torn: {error}") from error
        return release

    def promote(
        self, id_: str, *, at: dt.datetime, who: str, why: str, by_hand: bool = False, approved: bool = False
    ) -> Promotion:
        """Make a verified release the live one, unless a rule keeps it from that.

        A release that the gate held needs a person: `approved`, or one who does it `by_hand`; see `promotion`.

        Raises:
            ReleaseError: when it is torn, was refused by an acceptance test, or somebody else moved `current` at the
                same time.
        """
        start = time.monotonic()
        release = self.verify(id_)
        pointer, tag = read_pointer(self.place)
        live = self.get(pointer.release) if pointer else None
        found = settled(release, pointer, live, by_hand=by_hand, approved=approved)
        if found is not None:
            return found
        self._move(release, "promote", pointer, tag, held=False, at=_later(at, start), who=who, why=why)
        return Promotion(True, "it became live")

    def rollback(self, to: str | None, *, at: dt.datetime, who: str, why: str, hold: bool = True) -> Release:
        """Make an earlier release the live one: the one named, or the one that was live before.

        With `hold` it stays live until a person promotes another.

        Raises:
            ReleaseError: when there is none, it is torn, or somebody else moved `current` at the same time.
        """
        start = time.monotonic()
        try:
            pointer, tag = read_pointer(self.place)
        except ReleaseError:
            if to is None:
                raise
            tagged = self.place.read_tagged(CURRENT)  # a damaged pointer is what naming a release mends
            pointer, tag = None, tagged[1] if tagged else None
        if tag is None:
            self.current()
        target = to or self.former_id()
        if target is None:
            raise ReleaseError(
                f"release {self.current_id()} is the first: there is none to go back to. Name one with --to ID."
            )
        release = self.verify(target)
        release.require_sound()
        self._move(release, "rollback", pointer, tag, held=hold, at=_later(at, start), who=who, why=why)
        return release

    def former_id(self) -> str | None:
        """What was live before the live release: the one it was compared with, or the one its models went on from."""
        live = self.current()
        return next((id_ for id_ in (live.compared_with, live.parent) if id_ and self.has(id_)), None)

    def pin(self, id_: str, *, at: dt.datetime, who: str, why: str) -> None:
        """Keep a release from every sweep."""
        self.get(id_)
        self.pins.add(id_, at=at, who=who, why=why)
        pointer = self.pointer()
        if pointer is not None and id_ in pointer.removing:
            self.pins.remove(id_)
            raise _being_removed(id_)

    def unpin(self, id_: str) -> None:
        """Let sweeps have a release again."""
        self.pins.remove(id_)

    def sweep(self, keep: int, grace: dt.timedelta, *, at: dt.datetime, who: str, dry_run: bool = False) -> Swept:
        """Remove old releases and what killed runs left; see `retention`."""
        return sweep(self, keep, grace, at=at, who=who, dry_run=dry_run)

    def trail(self, since: dt.datetime | None = None) -> list[Entry]:
        """Every change of what is live, and every attempt at one, oldest first."""
        return read_trail(self.place, self.pointer(), since)

    def mark_removing(self, ids: tuple[str, ...], *, who: str) -> None:
        """Announce what is about to be removed, so that none of it becomes live; empty when it is done.

        Raises:
            Conflict: when somebody moved the pointer at the same time.
        """
        pointer, tag = read_pointer(self.place)
        if pointer is None or pointer.removing == ids:
            return
        if pointer.release in ids:
            raise Conflict
        self.place.swap(CURRENT, pointer.with_removing(ids).as_bytes(), tag, owner=who)

    def _move(
        self,
        release: Release,
        change: Change,
        pointer: Pointer | None,
        tag: str | None,
        *,
        held: bool,
        at: dt.datetime,
        who: str,
        why: str,
    ) -> None:
        if pointer is not None and release.id in pointer.removing:
            raise _being_removed(release.id)
        entry = write_entry(self.place, change, release.id, pointer, at=at, who=who, why=why, held=held)
        new = Pointer(release.id, release.manifest_sha256, at.isoformat(), held, entry.id)
        if pointer is not None:
            new = replace(new, removing=pointer.removing)
        try:
            self.place.swap(CURRENT, new.as_bytes(), tag, owner=who)
        except Conflict:
            raise ReleaseError(
                f"release {release.id} did not become live: somebody else moved {self.uri}/{CURRENT} at the same time, "
                "and nothing was changed. See `lamplighter releases audit`, then run the same command again."
            ) from None

    def _folders(self) -> list[str]:
        return [name for name in self.place.names() if name not in {CURRENT, AUDIT, PINS}]


def _later(at: dt.datetime, start: float) -> dt.datetime:
    """The time now, of one that was read when a clock of this process stood at `start`."""
    return at + dt.timedelta(seconds=int(time.monotonic() - start))


def _being_removed(id_: str) -> ReleaseError:
    return ReleaseError(f"release {id_} is being removed by a sweep. Choose another, or run its night again.")
