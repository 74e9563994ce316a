"""Landed files into typed temporary tables, whatever their format says about types."""

from collections import defaultdict
from collections.abc import Sequence

import duckdb
import pyarrow as pa

from retrieval.errors import ContractError, PartitionError
from retrieval.schema import CONTRACTS, TEXT_MAP, Column, Kind, TableContract
from storage.landing import LandedFile, Landing, require_columns

READERS = {
    "parquet": "read_parquet({files}, filename = true, union_by_name = true, hive_partitioning = false)",
    "csv": "read_csv({files}, filename = true, all_varchar = true, header = true, delim = ',', quote = '\"', "
    "escape = '\"', strict_mode = true, hive_partitioning = false)",
    "jsonl": "read_json({files}, filename = true, format = 'newline_delimited', sample_size = -1, "
    "maximum_depth = 1, hive_partitioning = false)",  # deeper, an id that looks like a date or a UUID is rewritten
}


def stage(connection: duckdb.DuckDBPyConnection, landing: Landing, kind: Kind, files: Sequence[LandedFile]) -> None:
    """Fill the temporary table `staged_<kind>` from landed files, one row a landed row, in the files' order.

    Raises:
        ContractError: naming the first file that is not whole, not readable or lacks a column.
    """
    contract = CONTRACTS[kind]
    connection.execute(f"CREATE OR REPLACE TEMP TABLE staged_{kind} ({_columns(contract)})")
    if not landing.is_local and not connection.filesystem_is_registered(_protocol(landing)):
        connection.register_filesystem(landing.filesystem)
    alike: dict[tuple[str, tuple[tuple[str, str], ...]], list[LandedFile]] = defaultdict(list)
    for file in files:
        found = _found_columns(connection, landing, file)
        require_columns(file, found)
        alike[file.format, tuple(found.items())].append(file)
    for (_, found_columns), group in alike.items():
        _insert(connection, landing, contract, dict(found_columns), group)


def _columns(contract: TableContract) -> str:
    typed = ", ".join(f"{column.name} {_sql_type(column.type)}" for column in contract.columns)
    return f"file VARCHAR, day DATE, {typed}, raw VARCHAR, is_unreadable BOOLEAN"


def _found_columns(connection: duckdb.DuckDBPyConnection, landing: Landing, file: LandedFile) -> dict[str, str]:
    landing.require_whole(file)
    try:
        rows = connection.execute(f"DESCRIBE SELECT * FROM {_reader(landing, [file])}").fetchall()
    except duckdb.Error as error:
        raise _unreadable(file, error) from error
    return {name: type_ for name, type_, *_ in rows if name != "filename"}


def _insert(
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    contract: TableContract,
    found: dict[str, str],
    files: Sequence[LandedFile],
) -> None:
    values = {column.name: _normalised(column, found.get(column.name)) for column in contract.columns}
    given = {name: _as_text(name, found[name]) for name in values if name in found}
    lossy = {name: f"coalesce({values[name]} IS NULL AND {text} <> '', false)" for name, text in given.items()}
    unreadable = [test for name, test in lossy.items() if name != "occurred_at"]  # which has a reason of its own
    columns = f"""filename, regexp_extract(filename, '.*/day=([0-9-]+)/', 1)::DATE, {", ".join(values.values())},
        CASE WHEN {" OR ".join(lossy.values())} THEN to_json(source)::VARCHAR END, {" OR ".join(unreadable)}"""

    def select(chosen: Sequence[LandedFile]) -> str:
        return f"SELECT {columns} FROM {_reader(landing, chosen)} AS source"

    try:
        connection.execute(f"INSERT INTO staged_{contract.kind} {select(files)}")
    except duckdb.Error as error:
        probe = connection.cursor()  # the failed insert has ended the transaction of `connection`
        for file in files:  # DuckDB does not always say which of many files it stumbled over
            try:
                probe.execute(f"SELECT max(hash(row)) FROM ({select([file])}) AS row").fetchall()
            except duckdb.Error as cause:
                raise _unreadable(file, cause) from cause
        raise ContractError(f"the files of {contract.kind} cannot be read together: {error}") from error


def _normalised(column: Column, found: str | None) -> str:
    """The SQL expression that gives a column its contract's type, null where the value cannot be read."""
    target = _sql_type(column.type)
    if found is None:
        return f"NULL::{target}"
    name = _quoted(column.name)
    if found == "JSON":
        name, found = _as_text(column.name, found), "VARCHAR"
    if column.type == TEXT_MAP:
        text = name if found == "VARCHAR" else f"to_json({name})"
        pairs = f"map_entries(TRY_CAST(TRY_CAST({text} AS JSON) AS MAP(VARCHAR, VARCHAR)))"
        known = f"list_sort(list_filter({pairs}, lambda pair: pair.value IS NOT NULL))"
        return f"to_json(map_from_entries({known}))::VARCHAR"  # one spelling, whatever the format and the order of keys
    if pa.types.is_list(column.type) and found == "VARCHAR":
        return f"TRY_CAST(TRY_CAST({name} AS JSON) AS {target})"
    if pa.types.is_timestamp(column.type) and found == "VARCHAR":
        return f"TRY_CAST(TRY_CAST({name} AS TIMESTAMPTZ) AS TIMESTAMP)"
    return f"TRY_CAST({name} AS {target})"


def _as_text(name: str, found: str) -> str:
    return f"({_quoted(name)} ->> '$')" if found == "JSON" else f"{_quoted(name)}::VARCHAR"


def _sql_type(type_: pa.DataType) -> str:
    if type_ == TEXT_MAP:
        return "VARCHAR"
    if pa.types.is_list(type_):
        return f"{_sql_type(type_.value_type)}[]"
    if pa.types.is_timestamp(type_):
        return "TIMESTAMP"
    return {pa.string(): "VARCHAR", pa.float64(): "DOUBLE", pa.float32(): "FLOAT", pa.int32(): "INTEGER"}.get(
        type_, "DATE"
    )


def _reader(landing: Landing, files: Sequence[LandedFile]) -> str:
    protocol = "" if landing.is_local else f"{landing.uri.split('://', 1)[0]}://"
    paths = ", ".join("'" + (protocol + file.path).replace("'", "''") + "'" for file in files)
    return READERS[files[0].format].format(files=f"[{paths}]")


def _protocol(landing: Landing) -> str:
    names = landing.filesystem.protocol
    return names if isinstance(names, str) else str(names[0])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _unreadable(file: LandedFile, error: duckdb.Error) -> PartitionError:
    reason = str(error).strip().splitlines()[0][:200]
    return PartitionError(
        f"{file.path} cannot be read as {file.format} ({reason}). "
        f"It may be cut short or damaged: land it again and run the day again.",
        file.kind,
        file.day,
    )
