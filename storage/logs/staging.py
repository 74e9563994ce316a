"""Landed files, or rows that the logs keep, into typed temporary tables, whatever a format says about types."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa

from retrieval.errors import ContractError, PartitionError
from retrieval.schema import CONTRACTS, TEXT_MAP, Column, Kind, TableContract
from storage.landed import LandedFile, require_columns, require_usable
from storage.landing import Landing
from storage.logs.sql import add_rows, days_in, quoted

FILE = "landed_file"
READERS = {
    "parquet": f"read_parquet({{files}}, filename = '{FILE}', union_by_name = true, hive_partitioning = false, "
    "binary_as_string = true)",
    "csv": f"read_csv({{files}}, filename = '{FILE}', all_varchar = true, header = true, delim = ',', quote = '\"', "
    "escape = '\"', comment = '', skip = 0, strict_mode = true, hive_partitioning = false)",
    # Lines as they are: a reader that infers types would rewrite an id that looks like a date or a number.
    "jsonl": f"read_ndjson_objects({{files}}, filename = '{FILE}')",
}
LOOKED_AT = 1000
"""Lines of JSON in which a required key has to appear."""


def create(connection: duckdb.DuckDBPyConnection, kind: Kind) -> None:
    """Make the empty tables `staged_<kind>` and `files_<kind>`, which rows are staged in."""
    columns = ", ".join(f"{column.name} {sql_type(column.type)}" for column in CONTRACTS[kind].columns)
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE staged_{kind} (file_number INTEGER, line BIGINT, landed DATE, {columns},
                raw VARCHAR, is_unreadable BOOLEAN, is_malformed BOOLEAN)"""
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE files_{kind} (file_number INTEGER, landed DATE, file VARCHAR, first_row BIGINT)"
    )


def stage_files(
    connection: duckdb.DuckDBPyConnection, landing: Landing, kind: Kind, files: Sequence[LandedFile]
) -> None:
    """Fill `staged_<kind>` from landed files, one row a landed row, in the files' order.

    Raises:
        PartitionError: naming the first file that is not whole, not readable or not of the contract's columns.
    """
    create(connection, kind)
    if not landing.is_local and not connection.filesystem_is_registered(_protocol(landing)):
        connection.register_filesystem(landing.filesystem)
    alike: dict[tuple[str, tuple[tuple[str, str], ...]], list[LandedFile]] = defaultdict(list)
    for file in files:
        found = _found_columns(connection, landing, file)
        alike[file.format, tuple(found.items())].append(file)
    numbers = {file.path: number for number, file in enumerate(files)}
    for (_, found_columns), group in alike.items():
        _insert(connection, landing, CONTRACTS[kind], dict(found_columns), group, numbers)
    if files:
        rows = [(numbers[file.path], file.day, file.path.rsplit("/", 1)[-1]) for file in files]
        connection.executemany(f"INSERT INTO files_{kind} VALUES (?, ?, ?, NULL)", rows)
    connection.execute(
        f"""UPDATE files_{kind} SET first_row = first.row
            FROM (SELECT file_number, min(rowid) AS row FROM staged_{kind} GROUP BY file_number) AS first
            WHERE first.file_number = files_{kind}.file_number"""
    )


def stage_kept(connection: duckdb.DuckDBPyConnection, kind: Kind, days: Sequence[dt.date]) -> None:
    """Fill `staged_<kind>` with the rows that the logs themselves keep of landed partitions, set aside or not."""
    create(connection, kind)
    contract = CONTRACTS[kind]
    names = ", ".join(column.name for column in contract.columns)
    tables = ("events", "late_events") if kind == "events" else (kind,)
    landed = "landed" if kind == "events" else "day"
    own = [f"SELECT file, line, {landed} AS landed, {names} FROM {table}" for table in tables]
    if kind == "events":
        own[0] += " WHERE day = landed"  # what went to another day is in late_events
    kept = " UNION ALL ".join(own)
    as_json = dict.fromkeys((column.name for column in contract.columns), "JSON")
    values, checks = _typed(contract, as_json, "whole", keep_all=True)
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE kept AS
            SELECT *, NULL::VARCHAR AS raw, false AS is_unreadable, false AS is_malformed FROM ({kept})
            WHERE landed IN {days_in(days)}
            UNION ALL SELECT file, line, day, {values}, {checks} FROM (
                SELECT file, line, day, content AS whole, {_keys_of("content::JSON", contract)}
                FROM quarantine WHERE kind = '{kind}' AND day IN {days_in(days)}
            ) AS source"""
    )
    connection.execute(
        f"""INSERT INTO files_{kind} SELECT row_number() OVER (ORDER BY landed, file), landed, file, NULL
            FROM (SELECT DISTINCT landed, file FROM kept)"""
    )
    connection.execute(
        f"""INSERT INTO staged_{kind} SELECT f.file_number, kept.* EXCLUDE (file)
            FROM kept JOIN files_{kind} f USING (landed, file) ORDER BY landed, file, line"""
    )
    connection.execute("DROP TABLE kept")


def _found_columns(connection: duckdb.DuckDBPyConnection, landing: Landing, file: LandedFile) -> dict[str, str]:
    """The columns of a file that can be used, those that no contract names among them, with their types."""
    require_usable(file, landing.filesystem)
    try:
        if file.format == "jsonl":
            found = _found_keys(connection, landing, file)
        else:
            rows = connection.execute(f"DESCRIBE SELECT * FROM {_reader(landing, [file])}").fetchall()
            found = {name: type_ for name, type_, *_ in rows if name != FILE}
    except duckdb.Error as error:
        raise _unreadable(file, error) from error
    require_columns(file, found)
    for column in CONTRACTS[file.kind].columns:
        if column.name in found and not _can_become(found[column.name], column.type):
            raise PartitionError(
                f"{file.path} has {column.name} as {found[column.name]}; expected {column.type}. "
                f"Land it with the type of docs/data-contract.md.",
                file.kind,
                file.day,
            )
    return found


def _found_keys(connection: duckdb.DuckDBPyConnection, landing: Landing, file: LandedFile) -> dict[str, str]:
    contract = CONTRACTS[file.kind]
    tests = ", ".join(f"bool_or(json_exists(json, '$.\"{column.name}\"'))" for column in contract.columns)
    (n_lines, *present) = connection.execute(
        f"SELECT count(*), {tests} FROM (FROM {_reader(landing, [file])} LIMIT {LOOKED_AT})"
    ).fetchall()[0]
    names = [column.name for column in contract.columns]
    # No line of few may hold an optional key that later ones do; and where there is no line, nothing is missing in it.
    if n_lines:
        require_columns(file, [name for name, is_there in zip(names, present, strict=True) if is_there])
    looked_for = set(contract.required) if n_lines else set()
    return {name: "JSON" for name, is_there in zip(names, present, strict=True) if is_there or name not in looked_for}


def _insert(
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    contract: TableContract,
    found: Mapping[str, str],
    files: Sequence[LandedFile],
    numbers: Mapping[str, int],
) -> None:
    is_json, is_more = files[0].format == "jsonl", set(found) - {column.name for column in contract.columns}
    whole = "whole" if is_json else f"json_merge_patch(to_json(source), '{{\"{FILE}\":null}}')::VARCHAR"
    # What the contract does not name would be lost with a row that has another fault than an unreadable value.
    values, checks = _typed(contract, found, whole, keep_all=is_json or bool(is_more))
    shape = f"json::VARCHAR AS whole, {_keys_of('json', contract)}" if is_json else f"* EXCLUDE ({FILE})"

    def select(chosen: Sequence[LandedFile]) -> str:
        place = f"list_position([{', '.join(_path(landing, file) for file in chosen)}], {FILE})"
        own = ", ".join(str(numbers[file.path]) for file in chosen)
        days = ", ".join(f"DATE '{file.day}'" for file in chosen)
        return f"""SELECT [{own}][{place}], NULL, [{days}][{place}], {values}, {checks}
                   FROM (SELECT {FILE}, {shape} FROM {_reader(landing, chosen)}) AS source"""

    try:
        add_rows(connection, f"staged_{contract.kind}", select(files))
    except duckdb.Error as error:
        probe = connection.cursor()  # the failed insert has ended the transaction of `connection`
        for file in files:  # DuckDB does not always say which of many files it stumbled over
            try:
                probe.execute(f"SELECT max(hash(row)) FROM ({select([file])}) AS row").fetchall()
            except duckdb.Error as cause:
                raise _unreadable(file, cause) from cause
        raise ContractError(f"the files of {contract.kind} cannot be read together: {error}") from error


def _keys_of(document: str, contract: TableContract) -> str:
    """The contract's columns out of JSON documents, read once a row."""
    paths = ", ".join(f"'$.\"{column.name}\"'" for column in contract.columns)
    parts = f"json_extract({document}, [{paths}])"
    return ", ".join(f"{parts}[{n}] AS {column.name}" for n, column in enumerate(contract.columns, 1))


def _typed(contract: TableContract, found: Mapping[str, str], whole: str, *, keep_all: bool) -> tuple[str, str]:
    """SQL of a contract's columns in their types, and of: the row as it landed, where something in it cannot be read or
    all are kept; whether a value cannot be read; whether the context cannot."""
    values = {column.name: _normalised(column, found.get(column.name)) for column in contract.columns}
    lossy = {
        column.name: _is_lossy(column, values[column.name], found[column.name])
        for column in contract.columns
        if column.name in found
    }
    unreadable = [test for name, test in lossy.items() if name not in ("occurred_at", "context")]
    raw = whole if keep_all else f"CASE WHEN {' OR '.join(lossy.values())} THEN {whole} END"
    return ", ".join(values.values()), f"{raw}, {' OR '.join(unreadable)}, {lossy.get('context', 'false')}"


def _is_lossy(column: Column, value: str, found: str) -> str:
    """SQL that tells whether a value is there and cannot be read."""
    text = _as_text(column.name, found)
    test = f"coalesce({value} IS NULL AND {text} <> '', false)"
    if found == "JSON" and column.type != TEXT_MAP and not pa.types.is_list(column.type):
        return f"({test} OR coalesce(left({column.name}::VARCHAR, 1) IN ('{{', '['), false))"  # no single value
    return test


def _normalised(column: Column, found: str | None) -> str:
    """The SQL expression that gives a column its contract's type, null where the value cannot be read."""
    target = sql_type(column.type)
    if found is None:
        return f"NULL::{target}"
    name = _quoted(column.name)
    if found == "TIMESTAMPTZ_NS":  # as pandas writes it; DuckDB 2.0 casts it to nothing else
        name, found = f"TRY_CAST({name} AS TIMESTAMPTZ)", "TIMESTAMPTZ"
    if found == "JSON":
        name, found = _as_text(column.name, found), "VARCHAR"
    if column.type == TEXT_MAP:
        entries = f"map_entries({name})"
        if found != "MAP(VARCHAR, VARCHAR)":
            text = name if found == "VARCHAR" else f"to_json({name})"
            entries = f"map_entries(TRY_CAST(TRY_CAST({text} AS JSON) AS MAP(VARCHAR, VARCHAR)))"
        pair = (
            "to_json(pair.key)::VARCHAR || ':' || to_json(pair.value)::VARCHAR"  # null, and left out, without a value
        )
        sorted_pairs = f"list_sort(list_transform({entries}, lambda pair: {pair}))"
        return f"'{{' || array_to_string({sorted_pairs}, ',') || '}}'"  # one spelling, whatever the format and order
    if pa.types.is_list(column.type) and found == "VARCHAR":
        return f"TRY_CAST(TRY_CAST({name} AS JSON) AS {target})"
    if pa.types.is_timestamp(column.type) and found == "VARCHAR":
        return f"TRY_CAST(TRY_CAST({name} AS TIMESTAMPTZ) AS TIMESTAMP)"
    read = name if found == target else f"TRY_CAST({name} AS {target})"
    if pa.types.is_date(column.type):  # DuckDB knows years that Python's dates, and so the suites, do not
        return f"CASE WHEN {read} BETWEEN DATE '{dt.date.min}' AND DATE '{dt.date.max}' THEN {read} END"
    return read


def _can_become(found: str, target: pa.DataType) -> bool:
    """Whether a file's column of a type can be read as the contract's at all."""
    times, texts = ("TIMESTAMP", "DATE"), ("VARCHAR", "JSON", '"NULL"')
    if found in texts:
        return True
    if target == TEXT_MAP:
        return found.startswith(("MAP", "STRUCT"))
    if pa.types.is_list(target):
        return found.endswith("]")
    if pa.types.is_timestamp(target) or pa.types.is_date(target):
        return found.startswith(times)
    is_nested = found.endswith(("[]", ")")) and not found.startswith("DECIMAL")
    return not is_nested and (pa.types.is_string(target) or not found.startswith((*times, "TIME", "INTERVAL", "BLOB")))


def _as_text(name: str, found: str) -> str:
    return f"({_quoted(name)} ->> '$')" if found == "JSON" else f"{_quoted(name)}::VARCHAR"


def sql_type(type_: pa.DataType) -> str:
    """DuckDB's name of a contract's type; maps are kept as JSON in one spelling."""
    if type_ == TEXT_MAP:
        return "VARCHAR"
    if pa.types.is_list(type_):
        return f"{sql_type(type_.value_type)}[]"
    if pa.types.is_timestamp(type_):
        return "TIMESTAMP"
    return {pa.string(): "VARCHAR", pa.float64(): "DOUBLE", pa.float32(): "FLOAT", pa.int32(): "INTEGER"}.get(
        type_, "DATE"
    )


def _path(landing: Landing, file: LandedFile) -> str:
    protocol = "" if landing.is_local else f"{landing.uri.split('://', 1)[0]}://"
    return f"'{quoted(protocol + file.path)}'"


def _reader(landing: Landing, files: Sequence[LandedFile]) -> str:
    return READERS[files[0].format].format(files=f"[{', '.join(_path(landing, file) for file in files)}]")


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
