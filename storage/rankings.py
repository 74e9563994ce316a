"""Rankings as Parquet files of bounded size, ascending by key, for a key-value store to take in."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool

from retrieval.batch import Answers
from retrieval.domain import UNKNOWN
from retrieval.vocabulary import Vocabulary

ROWS_PER_GROUP = 8192
"""Rows that a reader has to hold at once."""


def write_rankings(
    folder: Path,
    answers: Iterable[Answers],
    keys: Vocabulary,
    items: Vocabulary,
    *,
    rows_per_file: int,
    facts: Mapping[str, str],
    sources: Sequence[str] = (),
) -> int:
    """Write `part-00000.parquet` and so on, with the facts in each file's footer; how many rows there are.

    A row is an id, the ids of its items, best first, and their scores: as many as were found, and nothing is null.
    With `sources`, the names of those that found each item as well.
    """
    folder.mkdir(parents=True)
    schema = _schema(f"{keys.what}_id", bool(sources)).with_metadata(dict(facts))
    tables = (_table(found, keys, items, sources, schema) for found in answers)
    n_rows = 0
    for number, groups in groupby(_groups(tables, schema, rows_per_file), lambda group: group[0]):
        with pq.ParquetWriter(folder / f"part-{number:05d}.parquet", schema, compression="zstd") as writer:
            for _, table in groups:
                writer.write_table(table)
                n_rows += table.num_rows
    return n_rows


def _schema(key: str, has_sources: bool) -> pa.Schema:
    columns = {key: pa.string(), "items": _list_of(pa.string()), "scores": _list_of(pa.float32())}
    if has_sources:
        columns["sources"] = _list_of(_list_of(pa.string()))
    return pa.schema([pa.field(name, type_, nullable=False) for name, type_ in columns.items()])


def _list_of(type_: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", type_, nullable=False))


def _table(found: Answers, keys: Vocabulary, items: Vocabulary, sources: Sequence[str], schema: pa.Schema) -> pa.Table:
    is_found = found.candidates.items != UNKNOWN
    offsets = pa.array(np.concatenate([[0], np.cumsum(is_found.sum(axis=1))]), pa.int32())
    values = {
        "items": items.ids.take(pa.array(found.candidates.items[is_found])),
        "scores": pa.array(found.candidates.scores[is_found]),
    }
    if found.finders is not None and sources:
        values["sources"] = _names(found.finders[is_found], sources)
    lists = [pa.ListArray.from_arrays(offsets, of, type=schema.field(name).type) for name, of in values.items()]
    return pa.Table.from_arrays([keys.ids.take(pa.array(found.rows)), *lists], schema=schema)


def _names(finders: Bool[np.ndarray, "found sources"], sources: Sequence[str]) -> pa.ListArray:
    """The names of those that found each item."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(finders.sum(axis=1))]), pa.int32())
    names = pa.array(sources, pa.string()).take(pa.array(np.nonzero(finders)[1]))
    return pa.ListArray.from_arrays(offsets, names, type=_list_of(pa.string()))


def _groups(tables: Iterable[pa.Table], schema: pa.Schema, rows_per_file: int) -> Iterator[tuple[int, pa.Table]]:
    """The rows in groups, each with the number of its file: one file, with no rows, where there are none."""
    pending, n_done = schema.empty_table(), 0
    for table in tables:
        pending = pa.concat_tables([pending, table])
        while pending.num_rows >= (room := min(ROWS_PER_GROUP, rows_per_file - n_done % rows_per_file)):
            yield n_done // rows_per_file, pending.slice(0, room)
            pending, n_done = pending.slice(room), n_done + room
    if pending.num_rows or not n_done:
        yield n_done // rows_per_file, pending
