"""The release store: immutable bundles, and one pointer to the live one that moves in a single step."""

import datetime as dt
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from retrieval.errors import ArtifactError, ReleaseError
from storage.bundle import MODEL, RECIPE, RELEASE, REPORT, SOURCES
from storage.durable import locked, staged_folder, sweep_staging, write_durable
from storage.manifest import MANIFEST, Manifest
from storage.refs import Ref, digest_of

CURRENT = "CURRENT.json"
AUDIT = "audit.jsonl"
LOCK = ".lock"
Change = Literal["publish", "rollback"]


@dataclass(frozen=True, slots=True)
class Release:
    """One bundle in the store."""

    id: str
    day: dt.date
    parent: str | None
    """The release that was live when this one was made: where its models started from."""
    recipe: str
    digest: str
    """Of everything but the report, which tells seconds."""
    n_bytes: int
    folder: Path

    @property
    def facts(self) -> dict[str, Any]:
        """What the bundle says of itself."""
        content: dict[str, Any] = json.loads((self.folder / RELEASE).read_text())
        return content

    def model(self, source: str, kind: str) -> Ref | None:
        """The state of one of its sources, None when it has no such source of that kind."""
        folder = self.folder / SOURCES / source / MODEL
        sources = json.loads((self.folder / RECIPE).read_text())["sources"]
        if not folder.is_dir() or sources[source]["kind"] != kind:
            return None
        return Ref(str(folder), digest_of([self.digest, source]))


@dataclass(frozen=True, slots=True)
class ReleaseStore:
    """The releases under one folder."""

    root: Path

    def releases(self) -> list[Release]:
        """Every finished release, oldest day first."""
        folders = sorted(self.root.glob("*/")) if self.root.is_dir() else []
        return [self._read(folder) for folder in folders if _is_finished(folder)]

    def get(self, id_: str) -> Release:
        """One release by its id.

        Raises:
            ReleaseError: when there is none of that id.
        """
        folder = self.root / id_
        if (folder.parent, folder.name) != (self.root, id_) or not _is_finished(folder):
            known = ", ".join([path.name for path in sorted(self.root.glob("*/")) if _is_finished(path)][-5:]) or "none"
            raise ReleaseError(
                f"there is no release {id_!r} in {self.root} (newest: {known}). See `lamplighter releases list`."
            )
        return self._read(folder)

    def has(self, id_: str) -> bool:
        """Whether there is a finished release of this id."""
        return (self.root / id_ / MANIFEST).exists()

    def current_id(self) -> str | None:
        """The id of the live release, None before the first."""
        path = self.root / CURRENT
        try:
            return str(json.loads(path.read_bytes())["release"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise ReleaseError(
                f"{path} is damaged ({error}). Write it again by `lamplighter releases rollback --to ID`."
            ) from error

    def current(self) -> Release:
        """The live release.

        Raises:
            ReleaseError: when none was published yet.
        """
        id_ = self.current_id()
        if id_ is None:
            raise ReleaseError(f"no release is live in {self.root}. Run `lamplighter nightly --day D` first.")
        return self.get(id_)

    def ancestors(self) -> Iterator[Release]:
        """The live release, the one it was made from, and so on."""
        id_ = self.current_id()
        while id_ is not None and self.has(id_):
            release = self._read(self.root / id_)
            yield release
            id_ = release.parent

    def parent_for(self, day: dt.date) -> Release | None:
        """The release that a night of this day starts from: the newest of the live line that is of an earlier day."""
        return next((release for release in self.ancestors() if release.day < day), None)

    def add(self, id_: str, fill: Callable[[Path], None]) -> Release:
        """The release of this id, written whole or not at all; one that is there already is left as it is."""
        folder = self.root / id_
        if not (folder / MANIFEST).exists():
            sweep_staging(self.root)
            with staged_folder(folder) as staging:
                fill(staging)
                Manifest.of_folder(staging, {}).write(staging)
        return self._read(folder)

    def verify(self, id_: str) -> Release:
        """Compare every byte of a release with its manifest.

        Raises:
            ReleaseError: naming the first file that differs.
        """
        release = self.get(id_)
        try:
            Manifest.read(release.folder).check(release.folder)
        except ArtifactError as error:
            raise ReleaseError(f"release {id_} is torn: {error}") from error
        return release

    def publish(self, id_: str, *, at: dt.datetime) -> bool:
        """Make a verified release the live one; False when that would move `current` to an earlier day."""
        release = self.verify(id_)
        with locked(self.root / LOCK):
            live = self.current_id()
            if live is not None and self.get(live).day > release.day:
                return False
            if live != id_:
                self._point(id_, "publish", live, at)
        return True

    def rollback(self, to: str | None, *, at: dt.datetime) -> Release:
        """Make an earlier release the live one: the one named, or the one that the live one was made from.

        Raises:
            ReleaseError: when there is none, or it is torn.
        """
        target = to or self.current().parent
        if target is None:
            raise ReleaseError(
                f"release {self.current_id()} is the first: there is none to go back to. Name one with --to ID."
            )
        try:
            former = self.current_id()
        except ReleaseError:
            former = None  # a damaged pointer is what naming a release mends
        else:
            if former is None:
                self.current()
        release = self.verify(target)
        with locked(self.root / LOCK):
            self._point(release.id, "rollback", former, at)
        return release

    def _point(self, id_: str, change: Change, former: str | None, at: dt.datetime) -> None:
        entry = {"at": at.isoformat(), "change": change, "from": former, "to": id_}
        write_durable(self.root / CURRENT, json.dumps({"release": id_, "since": at.isoformat()}).encode())
        with (self.root / AUDIT).open("a") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self, folder: Path) -> Release:
        try:
            manifest = Manifest.read(folder)
            facts = json.loads((folder / RELEASE).read_bytes())
            return Release(
                id=folder.name,
                day=dt.date.fromisoformat(facts["day"]),
                parent=facts["parent"],
                recipe=f"{facts['recipe_name']} {facts['recipe_id']}",
                digest=manifest.without(REPORT).digest,
                n_bytes=manifest.size,
                folder=folder,
            )
        except (ArtifactError, OSError, ValueError, KeyError, TypeError) as error:
            raise ReleaseError(
                f"release {folder.name} is torn: {folder / RELEASE} and its manifest cannot be read ({error}). "
                f"Remove {folder} and run its night again, or go back to another release."
            ) from error


def _is_finished(folder: Path) -> bool:
    """Whether a folder is a release, not one that is being written."""
    return not folder.name.startswith(".") and (folder / MANIFEST).exists()


def as_json(release: Release) -> dict[str, Any]:
    """A release as plain values."""
    return asdict(release) | {"day": release.day.isoformat(), "folder": str(release.folder)}
