"""The landing zone: a folder or URI where each day's files arrive, `events|items|users/day=YYYY-MM-DD/*`."""

import csv
import datetime as dt
import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from retrieval.errors import ContractError, PartitionError
from retrieval.schema import CONTRACTS, Kind

FORMATS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl"}
LONGEST_HEADER = 1 << 20
"""Bytes of a CSV file's first line: more are no header, or more columns than anybody means to land."""
LONGEST_FOOTER = 64 << 20
"""Bytes of a Parquet file's footer, which is read into memory several times over."""
MOST_COLUMNS = 5_000
"""Columns of a file: readers take time and memory for each, and the contract knows ten."""
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

    def require_usable(self, file: LandedFile) -> None:
        """Refuse a file that was cut short, or whose shape alone would take all memory, where that can be seen.

        Parquet ends with a footer. A line of CSV that was cut inside its last value is a line like any other, so the
        newline at the end is what tells a whole file; a line of JSON that was cut is no JSON, which its reader sees.

        Raises:
            PartitionError: naming the file.
        """
        self._require_inside(file)
        try:
            with self.filesystem.open(file.path, "rb") as source:
                if file.format == "parquet":
                    _require_small_footer(file, source)
                    _require_few_columns(file, len(pq.read_schema(source)))
                elif file.format == "csv":
                    _require_lines(file, source)
        except (pa.ArrowException, OSError) as error:
            raise _refusal(
                file,
                f"is not a whole Parquet file ({_first_line(error)}). It may be cut short or no Parquet: "
                f"land it again and run the day again",
            ) from error

    def _require_inside(self, file: LandedFile) -> None:
        if self.is_local and not Path(file.path).resolve().is_relative_to(Path(self._place[1]).resolve()):
            raise _refusal(file, "is a link that leads out of the landing zone. Land the file itself")

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


def _require_small_footer(file: LandedFile, source: BinaryIO) -> None:
    if source.seek(0, 2) >= 8:
        source.seek(-8, 2)
        length = int.from_bytes(source.read(4), "little")
        if source.read(4) == b"PAR1" and length > LONGEST_FOOTER:
            raise _refusal(
                file, f"has a footer of {length:,} bytes; at most {LONGEST_FOOTER:,} are read. Land fewer columns"
            )
    source.seek(0)


def _require_lines(file: LandedFile, source: BinaryIO) -> None:
    size = source.seek(0, 2)
    if not size:
        return
    source.seek(-1, 2)
    if source.read(1) != b"\n":
        raise _refusal(file, "does not end with a newline: it may be cut short. Land it whole")
    source.seek(0)
    header = source.readline(LONGEST_HEADER)
    if not header.endswith(b"\n"):
        raise _refusal(file, f"has a first line of more than {LONGEST_HEADER:,} bytes. Land it with a header")
    try:
        names = next(csv.reader([header.decode("utf-8-sig", "replace").rstrip("\r\n")]), [])
    except csv.Error as error:
        raise _refusal(file, f"has a header that cannot be read ({error}). Land it again") from error
    _require_few_columns(file, len(names))
    twice = sorted(name for name, n in Counter(names).items() if n > 1)
    if twice:
        raise _refusal(file, f"names a column twice: {', '.join(twice[:5])}. Name each column once")


def _require_few_columns(file: LandedFile, n_columns: int) -> None:
    if n_columns > MOST_COLUMNS:
        raise _refusal(file, f"has {n_columns:,} columns; at most {MOST_COLUMNS:,} are read. Land fewer columns")


def _refusal(file: LandedFile, what: str) -> PartitionError:
    return PartitionError(f"{file.path} {what}.", file.kind, file.day)


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
