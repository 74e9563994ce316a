"""One landed file, and whether it can be used at all."""

import csv
import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from retrieval.errors import PartitionError
from retrieval.schema import CONTRACTS, Kind
from storage.passing import is_passing

LONGEST_HEADER = 1 << 20
"""Bytes of a CSV file's first line: more are no header, or more columns than anybody means to land."""
LONGEST_FOOTER = 64 << 20
"""Bytes of a Parquet file's footer, which is read into memory several times over."""
MOST_COLUMNS = 5_000
"""Columns of a file: readers take time and memory for each, and the contract knows ten."""


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


def require_usable(file: LandedFile, filesystem: fsspec.AbstractFileSystem) -> None:
    """Refuse a file that was cut short, or whose shape alone would take all memory, where that can be seen.

    Parquet ends with a footer. A line of CSV that was cut inside its last value is a line like any other, so the
    newline at the end is what tells a whole file; a line of JSON that was cut is no JSON, which its reader sees.

    Raises:
        PartitionError: naming the file.
    """
    try:
        with filesystem.open(file.path, "rb") as source:
            if file.format == "parquet":
                _require_small_footer(file, source)
                _require_few_columns(file, len(pq.read_schema(source)))
            elif file.format == "csv":
                _require_lines(file, source)
    except (pa.ArrowException, OSError) as error:
        if is_passing(error):  # nothing is known of the file when it was not brought here
            raise
        raise refusal(
            file,
            f"is not a whole Parquet file ({_first_line(error)}). It may be cut short or no Parquet: "
            f"land it again and run the day again",
        ) from error


def _require_small_footer(file: LandedFile, source: BinaryIO) -> None:
    if source.seek(0, 2) >= 8:
        source.seek(-8, 2)
        length = int.from_bytes(source.read(4), "little")
        if source.read(4) == b"PAR1" and length > LONGEST_FOOTER:
            raise refusal(
                file, f"has a footer of {length:,} bytes; at most {LONGEST_FOOTER:,} are read. Land fewer columns"
            )
    source.seek(0)


def _require_lines(file: LandedFile, source: BinaryIO) -> None:
    size = source.seek(0, 2)
    if not size:
        return
    source.seek(-1, 2)
    if source.read(1) != b"\n":
        raise refusal(file, "does not end with a newline: it may be cut short. Land it whole")
    source.seek(0)
    header = source.readline(LONGEST_HEADER)
    if not header.endswith(b"\n"):
        raise refusal(file, f"has a first line of more than {LONGEST_HEADER:,} bytes. Land it with a header")
    try:
        names = next(csv.reader([header.decode("utf-8-sig", "replace").rstrip("\r\n")]), [])
    except csv.Error as error:
        raise refusal(file, f"has a header that cannot be read ({error}). Land it again") from error
    if not names:
        raise refusal(file, "begins with an empty line. Land it with its header first")
    _require_few_columns(file, len(names))
    twice = sorted(name for name, n in Counter(names).items() if n > 1)
    if twice:
        raise refusal(file, f"names a column twice: {', '.join(twice[:5])}. Name each column once")


def _require_few_columns(file: LandedFile, n_columns: int) -> None:
    if n_columns > MOST_COLUMNS:
        raise refusal(file, f"has {n_columns:,} columns; at most {MOST_COLUMNS:,} are read. Land fewer columns")


def refusal(file: LandedFile, what: str) -> PartitionError:
    """The error that names a file, what is wrong with it, and what to do."""
    return PartitionError(f"{file.path} {what}.", file.kind, file.day)


def require_columns(file: LandedFile, present: Iterable[str]) -> None:
    """Refuse a file that lacks a column of the contract.

    Raises:
        PartitionError: naming the file and the columns.
    """
    found = list(present)
    missing = [name for name in CONTRACTS[file.kind].required if name not in found]
    if missing:
        some = ", ".join(name[:40] for name in found[:12])
        raise PartitionError(
            f"{file.path} has no column {' and no column '.join(missing)} (found: {some}). "
            f"Add it and land the file again; docs/data-contract.md lists the columns of {file.kind}.",
            file.kind,
            file.day,
        )


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
