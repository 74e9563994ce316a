"""Releases in a folder: whole by renaming, one change of the pointer at a time by a lock."""

import datetime as dt
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from storage.durable import STAGING, locked, retire, staged_folder, sweep_staging, write_durable
from storage.manifest import MANIFEST, Manifest
from storage.refs import digest_of_bytes
from storage.releases.places import Conflict, Fill

LOCK = ".lock"


@dataclass(frozen=True)
class LocalPlace:
    """A folder of the file system."""

    root: Path

    @property
    def uri(self) -> str:
        return str(self.root)

    def names(self, prefix: str = "") -> list[str]:
        folder = self.root / prefix
        return sorted(p.name for p in folder.iterdir() if not p.name.startswith(".")) if folder.is_dir() else []

    def exists(self, name: str) -> bool:
        return (self.root / name).is_file()

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def touched(self, name: str) -> dt.datetime | None:
        path = self.root / name
        times = [found.stat().st_mtime for found in (path, *path.rglob("*")) if found.exists()]
        return dt.datetime.fromtimestamp(max(times), dt.UTC) if times else None

    def create(self, name: str, data: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.root / LOCK):
            if path.exists():
                raise FileExistsError(path)
            write_durable(path, data)

    def remove(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def read_tagged(self, name: str) -> tuple[bytes, str] | None:
        try:
            data = self.read(name)
        except FileNotFoundError:
            return None
        return data, digest_of_bytes(data)

    def swap(self, name: str, data: bytes, expected: str | None, *, owner: str) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        with locked(self.root / LOCK):
            found = self.read_tagged(name)
            if (found[1] if found else None) != expected:
                raise Conflict
            write_durable(self.root / name, data)

    def keeps_conditions(self) -> bool | None:
        return None

    def member(self, id_: str, path: str, sha256: str) -> str:
        return f"{id_}/{path}"

    def add_folder(self, id_: str, fill: Fill) -> None:
        sweep_staging(self.root)
        if (self.root / id_).is_dir() and not self.exists(f"{id_}/{MANIFEST}"):
            retire(self.root / id_)
        with staged_folder(self.root / id_) as staging:
            fill(staging)
            Manifest.of_folder(staging, {}).write(staging)

    def fetch(self, id_: str, *, without: str | None = None) -> Path:
        if not self.exists(f"{id_}/{MANIFEST}"):
            raise FileNotFoundError(self.root / id_)
        return self.root / id_

    def drop_copy(self, id_: str) -> bool:
        return False

    def check(self, id_: str, manifest: Manifest, *, full: bool) -> None:
        manifest.check(self.root / id_, full=full)

    def remove_folder(self, id_: str) -> None:
        retire(self.root / id_)

    def sweep(self, before: dt.datetime, known: frozenset[str]) -> list[str]:
        leftovers = [p.name for p in self.root.glob(f"{STAGING}*")] if self.root.is_dir() else []
        sweep_staging(self.root)
        for name in [p.name for p in self.root.glob(f"{STAGING}*")]:  # of another machine: only its age tells
            touched = self.touched(name)
            if touched and touched < before and not _is_of_this_machine(name):
                shutil.rmtree(self.root / name, ignore_errors=True)
        return [name for name in leftovers if not (self.root / name).exists()]


def _is_of_this_machine(name: str) -> bool:
    return name.endswith(f"-{os.uname().nodename}")
