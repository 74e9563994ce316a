"""From a raw set's tables to the day folders of a landing zone."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from retrieval.errors import ContractError
from retrieval.schema import CONTRACTS, Kind, TableContract

FILE = "part-0.parquet"
Progress = Callable[[int, int, str], None]
MARKER = "_import.json"
LEADING: dict[Kind, tuple[str, ...]] = {
    "events": ("day", "occurred_at", "user_id", "item_id"),
    "items": ("day", "item_id"),
    "users": ("day", "user_id"),
}


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import put into a landing zone; the days are those of its events."""

    dataset: str
    landing: str
    n_events: int
    n_items: int
    n_users: int
    first_day: dt.date
    last_day: dt.date
    n_days: int


@dataclass(frozen=True, slots=True)
class DatasetAdapter:
    """How one raw set becomes tables `events`, `items` and `users`, each with a `day`."""

    name: str
    files: tuple[str, ...]
    """The raw files that the script reads."""
    folder: str
    """The usual name of the folder that holds them."""
    script: str
    """The SQL file beside this module; it reads below `getvariable('folder')`."""
    cure: str
    """What to do when the files are absent."""
    home: Callable[[], Path | None] | None = None
    """Where the files lie when the caller names no source."""

    def locate(self, source: Path | None) -> Path:
        """The folder that holds every raw file: the source itself, or the set's folder in it.

        Raises:
            ContractError: naming the first file that is absent.
        """
        start = source if source is not None else self.home() if self.home else None
        if start is None:
            raise ContractError(f"{self.name}: no source holds its files ({', '.join(self.files)}). {self.cure}")
        places = (start, start / self.folder)
        for place in places:
            if all((place / file).is_file() for file in self.files):
                return place
        nearest = next((place for place in places if any((place / file).is_file() for file in self.files)), start)
        missing = next(file for file in self.files if not (nearest / file).is_file())
        raise ContractError(
            f"{self.name}: {nearest / missing} does not exist (looked in {places[0]} and {places[1]}). {self.cure}"
        )


def no_progress(done: int, total: int, what: str) -> None:
    """Say nothing."""


def write_landing(
    adapter: DatasetAdapter, folder: Path, landing: str, progress: Progress = no_progress
) -> ImportSummary:
    """Empty the landing of the import before, and write every day of the set.

    Nothing of the landing is touched before the raw files have been read whole. A landing whose import was
    interrupted says so in its marker file; importing again gives the same end state.
    """
    filesystem, root = fsspec.core.url_to_fs(landing)
    root = root.rstrip("/")
    _refuse_foreign(filesystem, root, landing, adapter.name)
    progress(0, 1, f"reading {adapter.name}")
    with read_tables(adapter, folder) as connection:
        summary = _summarise(connection, adapter.name, landing, folder)
        days = {kind: _days(connection, kind) for kind in CONTRACTS}
        _mark(filesystem, root, summary, complete=False)
        for kind in CONTRACTS:
            if filesystem.exists(f"{root}/{kind}"):
                filesystem.rm(f"{root}/{kind}", recursive=True)
        done, total = 0, sum(days.values())
        for kind in CONTRACTS:
            for day, table in _by_day(connection, CONTRACTS[kind]):
                _write_day(filesystem, f"{root}/{kind}/day={day.isoformat()}", table)
                done += 1
                progress(done, total, f"{kind} of {day.isoformat()}")
        _mark(filesystem, root, summary, complete=True)
    return summary


def read_tables(adapter: DatasetAdapter, folder: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that holds the set as `events`, `items` and `users`.

    Raises:
        ContractError: when the raw files are of another shape, or a row has no day.
    """
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET VARIABLE folder = ?", [str(folder)])
    try:
        for script in ("shared.sql", adapter.script):
            connection.execute(resources.files(__package__).joinpath(script).read_text(encoding="utf-8"))
    except duckdb.Error as error:
        connection.close()
        raise ContractError(
            f"{adapter.name}: the raw files in {folder} cannot be read as expected "
            f"({str(error).strip().splitlines()[0][:300]}). Get the set's files again: {', '.join(adapter.files)}."
        ) from error
    return connection


def _refuse_foreign(filesystem: fsspec.AbstractFileSystem, root: str, landing: str, name: str) -> None:
    # An import empties its landing first: it must never do that to days which somebody really landed.
    former = json.loads(filesystem.cat_file(f"{root}/{MARKER}")) if filesystem.exists(f"{root}/{MARKER}") else None
    if former is not None and former["dataset"] != name:
        raise ContractError(
            f"{landing} holds {former['dataset']}, imported before; two data sets in one landing would mix. "
            f"Import {name} into a landing of its own with --to."
        )
    for kind in CONTRACTS:
        landed = filesystem.find(f"{root}/{kind}") if filesystem.exists(f"{root}/{kind}") else []
        foreign = [path for path in landed if former is None or path.rsplit("/", 1)[-1] != FILE]
        if foreign:
            raise ContractError(
                f"{foreign[0]} was not written by an import, and an import replaces all. "
                f"Import into an empty landing, or remove {root}/{kind} yourself."
            )


def _mark(filesystem: fsspec.AbstractFileSystem, root: str, summary: ImportSummary, *, complete: bool) -> None:
    filesystem.makedirs(root, exist_ok=True)
    said = {"dataset": summary.dataset, "complete": complete, "events": summary.n_events}
    said |= {"items": summary.n_items, "users": summary.n_users}
    with filesystem.open(f"{root}/{MARKER}", "wb") as file:
        file.write(json.dumps(said, sort_keys=True).encode() + b"\n")


def _summarise(connection: duckdb.DuckDBPyConnection, name: str, landing: str, folder: Path) -> ImportSummary:
    n_rows: dict[Kind, int] = {}
    for kind in CONTRACTS:
        rows, dayless = _one(connection, f"SELECT count(*), count(*) - count(day) FROM {kind}")
        if dayless or not rows:
            raise ContractError(
                f"{name}: {dayless:,} of {rows:,} {kind} made of {folder} have no readable day; "
                f"expected rows, each with a day. Get the set's files again."
            )
        n_rows[kind] = rows
    first, last, n_days = _one(connection, "SELECT min(day), max(day), count(DISTINCT day) FROM events")
    return ImportSummary(name, landing, n_rows["events"], n_rows["items"], n_rows["users"], first, last, n_days)


def _days(connection: duckdb.DuckDBPyConnection, kind: Kind) -> int:
    (n_days,) = _one(connection, f"SELECT count(DISTINCT day) FROM {kind}")
    return int(n_days)


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    (row,) = connection.execute(query).fetchall()
    return tuple(row)


def _by_day(connection: duckdb.DuckDBPyConnection, contract: TableContract) -> Iterator[tuple[dt.date, pa.Table]]:
    """Each day's rows, by the contract's types; rows that tie in every sort column are alike in all."""
    held = {name for name, *_ in connection.execute(f"DESCRIBE {contract.kind}").fetchall()}
    names = [name for name in contract.arrow.names if name in held]
    leading = LEADING[contract.kind]
    order = ", ".join([*leading, *(name for name in names if name not in leading)])
    schema = pa.schema([contract.arrow.field(name) for name in names])
    reader = connection.sql(f"SELECT day, {', '.join(names)} FROM {contract.kind} ORDER BY {order}").to_arrow_reader()
    day: dt.date | None = None
    parts: list[pa.RecordBatch] = []
    for batch in reader:
        for start, stop in _runs(batch.column("day")):
            found = batch.column("day")[start].as_py()
            if day is not None and found != day:
                yield day, _table(parts, schema)
                parts = []
            day = found
            parts.append(batch.slice(start, stop - start))
    if day is not None:
        yield day, _table(parts, schema)


def _runs(days: pa.Array) -> Iterator[tuple[int, int]]:
    """Bounds of the stretches of one value in a sorted column."""
    stops = [stop.as_py() for stop in pc.run_end_encode(days).run_ends]
    return zip([0, *stops[:-1]], stops, strict=True)


def _table(parts: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_batches(parts).select(schema.names).cast(schema).combine_chunks()


def _write_day(filesystem: fsspec.AbstractFileSystem, folder: str, table: pa.Table) -> None:
    filesystem.makedirs(folder, exist_ok=True)
    with filesystem.open(f"{folder}/{FILE}", "wb") as file:
        pq.write_table(table, file, compression="zstd")
