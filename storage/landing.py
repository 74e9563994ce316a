"""The landing zone: a folder or URI where each day's files arrive, `events|items|users/day=YYYY-MM-DD/*`."""

import datetime as dt
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import fsspec

from retrieval.errors import ContractError, PartitionError
from retrieval.schema import Kind
from storage.landed import LandedFile, Partition, refusal

FORMATS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl"}
_DAY = re.compile(r"(?:^|/)day=([0-9]{4}-[0-9]{2}-[0-9]{2})/?\Z")


@dataclass(frozen=True)
class Landing:
    """A landing zone on a local path or any fsspec URI."""

    uri: str

    @cached_property
    def _place(self) -> tuple[fsspec.AbstractFileSystem, str]:
        try:
            filesystem, root = fsspec.core.url_to_fs(self.uri)
        except ValueError as error:
            raise ContractError(
                f"{self.uri} is no landing zone that can be opened ({error}). Name a folder or a URI."
            ) from error
        return filesystem, root.rstrip("/")

    @property
    def filesystem(self) -> fsspec.AbstractFileSystem:
        return self._place[0]

    @property
    def is_local(self) -> bool:
        return "file" in self.filesystem.protocol

    def days(self, kind: Kind, *, until: dt.date | None = None) -> list[dt.date]:
        """The days that have a partition, ascending."""
        filesystem, root = self._place
        folder = f"{root}/{kind}"
        if not filesystem.exists(folder):
            return []
        matches = (_DAY.search(path) for path in filesystem.ls(folder, detail=False))
        days = sorted(self._day(match.group(1), folder) for match in matches if match)
        return [day for day in days if until is None or day <= until]

    def partition(self, kind: Kind, day: dt.date) -> Partition:
        """The files that landed for a day.

        Raises:
            ContractError: when nothing landed, or a file has a format that is not read.
        """
        filesystem, root = self._place
        folder = f"{root}/{kind}/day={day.isoformat()}"
        if not filesystem.exists(folder):
            newest = self.days(kind)[-1:]
            raise PartitionError(
                f"no {kind} landed for {day}: {folder} does not exist "
                f"(newest landed day: {newest[0] if newest else 'none'}). Land the day's files, or name another day.",
                kind,
                day,
            )
        paths = sorted(
            p for p in filesystem.ls(folder, detail=False) if not p.rsplit("/", 1)[-1].startswith((".", "_"))
        )
        files = tuple(LandedFile(kind, day, path, self._format(path, kind, day)) for path in paths)
        for file in files:
            self._require_file(file)
        if not files:
            raise PartitionError(
                f"{folder} is empty: no {kind} landed for {day}. Land the day's files and run it again.", kind, day
            )
        return Partition(kind, day, files, self._digest(paths))

    def _require_file(self, file: LandedFile) -> None:
        """Refuse what cannot be read to its end, or lies elsewhere.

        Raises:
            PartitionError: naming the file.
        """
        try:
            file.path.encode()
        except UnicodeEncodeError:
            raise refusal(file, "has a name that is no text. Rename the file") from None
        if not self.is_local:
            return
        path, root = Path(file.path), Path(self._place[1])
        if not path.is_file():
            raise refusal(file, "is no file but a folder, a link to nothing or a pipe. Land the file itself")
        if not path.resolve().is_relative_to(root.resolve()):
            raise refusal(file, "is a link that leads out of the landing zone. Land the file itself")

    def _format(self, path: str, kind: Kind, day: dt.date) -> str:
        if set(path.rsplit("/", 1)[-1]) & set("*?["):
            message = f"{path} has *, ? or [ in its name, which readers take for a pattern. Rename the file."
            raise PartitionError(message, kind, day)
        for ending, name in FORMATS.items():
            if path.endswith(ending):
                return name
        message = f"{path} has a format that is not read. Land one of: {', '.join(FORMATS)}."
        raise PartitionError(message, kind, day)

    def _digest(self, paths: Iterable[str]) -> str:
        digest = hashlib.sha256()
        for path in paths:
            content = hashlib.sha256()
            with self.filesystem.open(path, "rb") as file:
                while block := file.read(1 << 20):
                    content.update(block)
            digest.update(path.rsplit("/", 1)[-1].encode() + b"\0" + content.digest())
        return digest.hexdigest()

    @staticmethod
    def _day(text: str, folder: str) -> dt.date:
        try:
            return dt.date.fromisoformat(text)
        except ValueError:
            raise ContractError(f"{folder}/day={text} names no day. Rename the folder to day=YYYY-MM-DD.") from None
