"""Where releases lie: one small set of steps that a folder and an S3 server both can do whole or not at all."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from retrieval.errors import ReleaseError
from storage.manifest import Manifest

Fill = Callable[[Path], None]
"""Puts the files of a bundle into a folder."""


class Conflict(Exception):
    """Somebody else changed an object between its reading and its replacement; nothing was written."""


class Place(Protocol):
    """A root with named objects below it; names are relative, with `/` between their parts."""

    @property
    def uri(self) -> str:
        """Its root."""
        ...

    def names(self, prefix: str = "") -> list[str]:
        """The names right below a prefix, sorted; none where there is nothing."""
        ...

    def exists(self, name: str) -> bool: ...

    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError where there is no such object."""
        ...

    def touched(self, name: str) -> dt.datetime | None:
        """When an object, or the newest below a prefix, was written; None where there is none."""
        ...

    def create(self, name: str, data: bytes) -> None:
        """Write a new object; FileExistsError, and nothing written, where there is one."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object; one that is gone already is no fault."""
        ...

    def read_tagged(self, name: str) -> tuple[bytes, str] | None:
        """An object and the tag of exactly these bytes, None where there is none."""
        ...

    def swap(self, name: str, data: bytes, expected: str | None, *, owner: str) -> None:
        """Replace the object of a tag, or make the first one for None; the data must be unlike any former.

        Raises:
            Conflict: when it is another by now; nothing was written.
            ReleaseError: when somebody else holds the place, or it cannot be reached.
        """
        ...

    def keeps_conditions(self) -> bool | None:
        """Whether the server refuses a write whose condition does not hold; None where there is no server."""
        ...

    def member(self, id_: str, path: str, sha256: str) -> str:
        """The name of one of a bundle's files."""
        ...

    def add_folder(self, id_: str, fill: Fill) -> None:
        """Write a bundle, its manifest last: others see it whole or not at all."""
        ...

    def fetch(self, id_: str, *, without: str | None = None) -> Path:
        """A local folder with a bundle's files, those below `without` left out where they would have to be copied.

        Raises:
            FileNotFoundError: where there is no such bundle.
        """
        ...

    def drop_copy(self, id_: str) -> bool:
        """Remove the local copies of a bundle that lies elsewhere; whether there were any."""
        ...

    def check(self, id_: str, manifest: Manifest, *, full: bool) -> None:
        """Compare the files with the manifest, byte by byte or by size; ArtifactError names the first that differs."""
        ...

    def remove_folder(self, id_: str) -> None:
        """Remove a bundle, or what is left of one; from the first step on it is none."""
        ...

    def sweep(self, before: dt.datetime, known: frozenset[str]) -> list[str]:
        """Remove what killed runs left before a time, and local copies of bundles that are not known any more."""
        ...


def place_of(uri: str, cache: Path) -> Place:
    """The place of a URI: a folder, or `s3://bucket/prefix`; `cache` holds local copies of what is far away.

    Raises:
        ReleaseError: for another kind of URI.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme == "file":
        from storage.releases.local import LocalPlace

        return LocalPlace(Path(rest if separator else uri).expanduser().absolute())
    if scheme == "s3" and rest.strip("/"):
        from storage.releases.s3 import S3Place

        return S3Place(uri, cache)
    raise ReleaseError(f"releases cannot lie in {uri!r}. Name a folder, or s3://bucket/prefix.")
