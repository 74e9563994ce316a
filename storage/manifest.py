"""The list of a folder's files with size and sha256: written last, so a folder that has one is whole."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from retrieval.errors import ArtifactError
from storage.durable import write_durable
from storage.refs import digest_of, digest_of_file

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a folder."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an immutable folder holds, and the facts its maker wrote down."""

    files: tuple[FileEntry, ...]
    facts: dict[str, Any]

    @property
    def digest(self) -> str:
        """The digest of the files and their names; facts such as seconds do not count."""
        return digest_of([asdict(entry) for entry in self.files])

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.files)

    def without(self, *names: str) -> Self:
        """The same manifest less some files."""
        return type(self)(tuple(entry for entry in self.files if entry.path not in names), self.facts)

    def outside(self, folder: str) -> Self:
        """The same manifest less what lies in one folder."""
        return type(self)(tuple(entry for entry in self.files if not _is_below(entry.path, folder)), self.facts)

    @classmethod
    def of_folder(cls, folder: Path, facts: dict[str, Any]) -> Self:
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
        entries = (FileEntry(p.relative_to(folder).as_posix(), p.stat().st_size, digest_of_file(p)) for p in paths)
        return cls(tuple(entries), facts)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The manifest of a finished folder.

        Raises:
            ArtifactError: when there is none or it cannot be read.
        """
        try:
            return cls.parse((folder / MANIFEST).read_bytes(), folder / MANIFEST)
        except FileNotFoundError:
            raise ArtifactError(f"{folder} has no {MANIFEST}: it was never finished. Run its night again.") from None

    @classmethod
    def parse(cls, data: bytes, where: object) -> Self:
        """The manifest in these bytes; every byte of them counts.

        Raises:
            ArtifactError: when it is not exactly what was written.
        """
        try:
            content = json.loads(data)
            for entry in content["files"]:
                _require_inside(entry["path"])
            manifest = cls(tuple(FileEntry(**entry) for entry in content["files"]), content["facts"])
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{where} is damaged ({error}). Remove the folder and run its night again.") from error
        if manifest.as_bytes() != data:
            raise ArtifactError(f"{where} is damaged (it was not written so). Remove the folder, run its night again.")
        return manifest

    def as_bytes(self) -> bytes:
        content = {"files": [asdict(entry) for entry in self.files], "facts": self.facts}
        return json.dumps(content, indent=1, sort_keys=True).encode()

    def write(self, folder: Path) -> None:
        write_durable(folder / MANIFEST, self.as_bytes())

    def check(self, folder: Path, *, full: bool = True, without: str | None = None) -> None:
        """Compare every file of the folder with its entry, but for those below `without`; not `full`: its size only.

        Raises:
            ArtifactError: naming the first file that is missing, surplus or different.
        """
        entries = [entry for entry in self.files if not _is_below(entry.path, without)]
        names = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
        present = {name for name in names if name != MANIFEST and not _is_below(name, without)}
        listed = {entry.path for entry in entries}
        for name in sorted(present ^ listed):
            fault = "is missing" if name in listed else "is not in the manifest"
            raise ArtifactError(f"{folder / name} {fault}. Remove {folder} and run its night again.")
        for entry in entries:
            path = folder / entry.path
            if path.stat().st_size != entry.size or (full and digest_of_file(path) != entry.sha256):
                raise ArtifactError(
                    f"{path} does not match its manifest (expected sha256 {entry.sha256[:12]}…, {entry.size:,} bytes; "
                    f"found {path.stat().st_size:,} bytes). Remove {folder} and run its night again."
                )


def _require_inside(path: str) -> None:
    """Refuse a name that leads out of its folder: a copy would be written there."""
    parts = str(path).split("/")
    if not set(parts).isdisjoint({"", ".", ".."}) or "\\" in path or "\0" in path:
        raise ValueError(f"{path!r} is no name inside a folder")


def _is_below(path: str, folder: str | None) -> bool:
    return folder is not None and path.startswith(f"{folder}/")
