"""The landing zone: a folder or URI where each day's files arrive, `events|items|users/day=YYYY-MM-DD/*`."""

import datetime as dt
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from retrieval.errors import ContractError, PartitionError
from retrieval.schema import CONTRACTS, Kind

FORMATS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl"}
_DAY = re.compile(r"day=(\d{4}-\d{2}-\d{2})/?$")


@dataclass(frozen=True, slots=True)
class LandedFile:
    """One file of a partition."""

    kind: Kind
    day: dt.date
    path: str
    format: str


@dataclass(frozen=True, slots=True)
class Partition:
    """All that landed of one kind for one day; `digest` is that of its bytes."""

    kind: Kind
    day: dt.date
    files: tuple[LandedFile, ...]
    digest: str


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
        if not files:
            raise PartitionError(
                f"{folder} is empty: no {kind} landed for {day}. Land the day's files and run it again.", kind, day
            )
        return Partition(kind, day, files, self._digest(paths))

    def require_whole(self, file: LandedFile) -> None:
        """Refuse a file that was cut short, where its format lets that be seen.

        Parquet ends with a footer. A line of CSV that was cut inside its last value is a line like any other, so the
        newline at the end is what tells a whole file; a line of JSON that was cut is no JSON, which its reader sees.

        Raises:
            PartitionError: naming the file.
        """
        try:
            with self.filesystem.open(file.path, "rb") as source:
                if file.format == "parquet":
                    pq.read_schema(source)
                elif file.format == "csv" and source.seek(0, 2):
                    source.seek(-1, 2)
                    if source.read(1) != b"\n":
                        raise PartitionError(
                            f"{file.path} does not end with a newline: it may be cut short. Land it whole.",
                            file.kind,
                            file.day,
                        )
        except (pa.ArrowException, OSError) as error:
            raise PartitionError(
                f"{file.path} is not a whole Parquet file ({_first_line(error)}). It may be cut short or no Parquet: "
                f"land it again and run the day again.",
                file.kind,
                file.day,
            ) from error

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


def require_columns(file: LandedFile, present: Iterable[str]) -> None:
    """Refuse a file that lacks a column of the contract.

    Raises:
        PartitionError: naming the file and the columns.
    """
    found = list(present)
    missing = [name for name in CONTRACTS[file.kind].required if name not in found]
    if missing:
        raise PartitionError(
            f"{file.path} has no column {' and no column '.join(missing)} (found: {', '.join(found[:12])}). "
            f"Add it and land the file again; docs/data-contract.md lists the columns of {file.kind}.",
            file.kind,
            file.day,
        )


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
