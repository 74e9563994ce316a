"""Parquet files of every type a column should not have, and of odd shapes."""

import datetime as dt
import decimal
import random
from typing import Any

import pyarrow as pa
from hostile import Case, Row, as_parquet, good_rows, hostile

from retrieval.schema import CONTRACTS, Kind

N = 12


def _arrays(day: dt.date) -> list[pa.Array]:
    """One column of each type, of rows that could be true."""
    texts = [f"u{k % 5}" for k in range(N)]
    moments = [dt.datetime.combine(day, dt.time(9), dt.UTC) + dt.timedelta(seconds=k) for k in range(N)]
    naive = [moment.replace(tzinfo=None) for moment in moments]
    numbers = list(range(1, N + 1))
    return [
        pa.array(texts, pa.large_string()),
        pa.array(texts, pa.string_view()),
        pa.array([text.encode() for text in texts], pa.binary()),
        pa.array([bytes([0xFF, k]) for k in range(N)], pa.binary()),
        pa.array([text.encode() for text in texts], pa.large_binary()),
        pa.array([text.encode() for text in texts], pa.binary_view()),
        pa.array([b"0123456789abcdef"] * N, pa.binary(16)),
        pa.array(texts).dictionary_encode(),
        pa.DictionaryArray.from_arrays(pa.array([0, None] * (N // 2), pa.int8()), pa.array(["u1", "u1"])),
        pa.array([text.encode() for text in texts]).dictionary_encode(),
        pa.array(numbers, pa.int8()),
        pa.array(numbers, pa.int32()).dictionary_encode(),
        pa.array([2**63 - k for k in numbers], pa.int64()),
        pa.array([2**64 - k for k in numbers], pa.uint64()),
        pa.array([1.5, float("nan"), float("inf"), -float("inf"), 1e308, -0.0] * 2, pa.float64()),
        pa.array([1.5] * N, pa.float32()),
        pa.array([1.5] * N, pa.float16()),
        pa.array([decimal.Decimal("1.25")] * N, pa.decimal128(10, 2)),
        pa.array([decimal.Decimal(9) ** 30] * N, pa.decimal128(38, 0)),
        pa.array([decimal.Decimal(9) ** 60] * N, pa.decimal256(76, 0)),
        pa.array([True, False] * (N // 2)),
        pa.nulls(N),
        pa.nulls(N, pa.string()),
        pa.array([day] * N, pa.date32()),
        pa.array([day] * N, pa.date64()),
        pa.array([2**31 - 2] * N, pa.int32()).cast(pa.date32()),
        pa.array(naive, pa.timestamp("s")),
        pa.array(naive, pa.timestamp("ms")),
        pa.array(naive, pa.timestamp("us")),
        pa.array(naive, pa.timestamp("ns")),
        pa.array(moments, pa.timestamp("ns", tz="UTC")),
        pa.array(moments, pa.timestamp("us", tz="Asia/Tokyo")),
        pa.array([2**63 - 1] * N, pa.int64()).cast(pa.timestamp("us")),
        pa.array([-(2**63) + 1] * N, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
        pa.array([2**62] * N, pa.int64()).cast(pa.timestamp("ms")),
        pa.array([dt.time(10)] * N, pa.time32("s")),
        pa.array([dt.time(10)] * N, pa.time64("ns")),
        pa.array([dt.timedelta(1)] * N, pa.duration("us")),
        pa.array([["a", "b"]] * N),
        pa.array([[None], None, []] * 4, pa.list_(pa.string())),
        pa.array([["a"]] * N, pa.large_list(pa.string())),
        pa.array([["a", "b"]] * N, pa.list_(pa.string(), 2)),
        pa.array([[[1.5]]] * N),
        pa.array([[1, 2]] * N),
        pa.array([[{"a": 1}]] * N),
        pa.array([{"a": "x", "b": None}] * N),
        pa.array([{"a": {"b": [1, None]}, "c": day}] * N),
        pa.array([{"": "x"}] * N),
        pa.array([None, {"a": "x"}] * (N // 2)),
        pa.array([[("store", "a")]] * N, pa.map_(pa.string(), pa.string())),
        pa.array([[("store", None)], [], None, [("", "")]] * 3, pa.map_(pa.string(), pa.string())),
        pa.array([[("a", "1"), ("a", "2")]] * N, pa.map_(pa.string(), pa.string())),
        pa.array([[(1, 2.5)]] * N, pa.map_(pa.int64(), pa.float64())),
        pa.array([[(day, "x")]] * N, pa.map_(pa.date32(), pa.string())),
        pa.array([[(b"\xff", b"\xfe")]] * N, pa.map_(pa.binary(), pa.binary())),
        pa.array([[("a", ["x"])]] * N, pa.map_(pa.string(), pa.list_(pa.string()))),
        pa.array([[("a", [("b", "c")])]] * N, pa.map_(pa.string(), pa.map_(pa.string(), pa.string()))),
        pa.array([[({"k": 1}, "x")]] * N, pa.map_(pa.struct([("k", pa.int64())]), pa.string())),
    ]


N_TYPES = len(_arrays(dt.date(2026, 1, 1)))
COLUMNS: list[tuple[Kind, str]] = [
    (kind, name)
    for kind, names in {
        "events": ("user_id", "item_id", "action", "occurred_at", "event_id", "value", "position", "context"),
        "items": ("title", "topics", "attributes", "available_from", "embedding"),
    }.items()
    for name in names
]


@hostile(3 * N_TYPES)
def column_type(n: int, rng: random.Random, day: dt.date) -> Case:
    (kind, name), array = rng.choice(COLUMNS), _arrays(day)[n % N_TYPES]
    table = _table(kind, day, rng)
    table = table.set_column(table.schema.get_field_index(name), name, array)
    return Case(kind, {"part.parquet": as_parquet(table)}, N)


@hostile(N_TYPES)
def int96_and_old_versions(n: int, rng: random.Random, day: dt.date) -> Case:
    """Odd types written as old writers do: int96 times, version 1.0, no dictionary."""
    table = _table("events", day, rng).append_column("other", _arrays(day)[n])
    how: dict[str, Any] = {"use_deprecated_int96_timestamps": True, "use_dictionary": False}
    how["version"], how["compression"] = (
        rng.choice(["1.0", "2.4"]),
        rng.choice(["none", "gzip", "zstd", "brotli", "lz4"]),
    )
    return Case("events", {"part.parquet": as_parquet(table, **how)}, N)


@hostile(40)
def mixed_files(n: int, rng: random.Random, day: dt.date) -> Case:
    """Two files of a day, each with its own types: every column that the other lacks or has otherwise."""
    tables = []
    for _ in range(2):
        table = _table("events", day, rng)
        name = rng.choice(["condition", "value", "served_by", "context", "extra"])
        array = rng.choice(_arrays(day))
        at = table.schema.get_field_index(name)
        tables.append(table.append_column(name, array) if at < 0 else table.set_column(at, name, array))
    files = {f"{k}.parquet": as_parquet(table) for k, table in enumerate(tables)}
    return Case("events", files | {"z.csv": b"user_id,item_id,action,occurred_at\n"}, 2 * N)


def _table(kind: Kind, day: dt.date, rng: random.Random) -> pa.Table:
    return pa.Table.from_pylist(good_rows(kind, day, rng, N), schema=CONTRACTS[kind].arrow)


OWN_NAMES = ("landed_file", "rowid", "whole", "json", "file_number", "line", "landed", "source", "raw", "row", "filename", "day",
    "file_row_number", "is_unreadable", "is_malformed", "pair", "USER_ID", "", " ", "a.b", 'a"b', "a'b", "*", "columns(*)", "x" * 5000,
    "\n", "\x00", "😀", "select", "u\u0308")  # fmt: skip


@hostile(len(OWN_NAMES) * 2)
def own_name(n: int, rng: random.Random, day: dt.date) -> Case:
    """A column called as something in the code, or as nothing can be called; beside a value that cannot be read."""
    table = _table("events", day, rng).append_column(OWN_NAMES[n // 2], pa.array([f"v{k}" for k in range(N)]))
    if n % 2:
        at = table.schema.get_field_index("value")
        table = table.set_column(at, "value", pa.array(["many"] * N))
    return Case("events", {"part.parquet": as_parquet(table)}, N)


@hostile(22)
def odd_shape(n: int, rng: random.Random, day: dt.date) -> Case:
    table = _table("events", day, rng)
    names = table.column_names
    many: list[Row] = good_rows("events", day, rng, 1000)
    shapes: list[tuple[bytes, int | None]] = [
        (as_parquet(table.slice(0, 0)), 0),
        (as_parquet(pa.table({})), None),
        (as_parquet(pa.Table.from_batches([], pa.schema([]))), None),
        (as_parquet(many, row_group_size=1), 1000),
        (as_parquet(many, row_group_size=7, data_page_size=1), 1000),
        (as_parquet(table.select(names[::-1])), N),
        (as_parquet(table.select(rng.sample(names, len(names)))), N),
        (as_parquet(table.select(["user_id", "item_id", "action", "occurred_at"])), N),
        (as_parquet(table.drop_columns(["user_id"])), None),
        (as_parquet(table.append_column("user_id", pa.array(["other"] * N))), None),
        (as_parquet(table.append_column("value", pa.array(["other"] * N))), None),
        (as_parquet(table.append_column("x", pa.array(["a"] * N)).append_column("x", pa.array([1] * N))), None),
        (as_parquet(table.rename_columns([name.upper() for name in names])), None),
        (as_parquet(table.rename_columns([name.title() for name in names])), None),
        (as_parquet(pa.concat_tables([table] * 3)), 3 * N),
        (as_parquet(pa.table({name: pa.nulls(N) for name in names})), N),
        (as_parquet(table.cast(pa.schema([field.with_nullable(False) for field in table.schema])), compression="zstd"), N),
        (as_parquet(table, write_page_checksum=True, data_page_version="2.0"), N),
        (as_parquet(table, encryption_properties=None, store_schema=False, write_statistics=False), N),
        (as_parquet(table.replace_schema_metadata({b"ARROW:schema": b"nonsense", b"pandas": b"{"}), store_schema=False), N),
        (as_parquet(pa.table({"user_id": ["a"] * 500_000, "item_id": ["i1"] * 500_000, "action": ["buy"] * 500_000, "occurred_at": [f"{day}T10:00:00Z"] * 500_000})), 500_000),
        (as_parquet(table.append_column("deep", _deep(200))), N),
    ]  # fmt: skip
    data, rows = shapes[n]
    return Case("events", {"part.parquet": data}, rows)


def _deep(levels: int) -> pa.Array:
    value: Any = "x"
    for _ in range(levels):
        value = {"a": value}
    return pa.array([value] * N)


@hostile(60)
def random_schema(n: int, rng: random.Random, day: dt.date) -> Case:
    """Every column of any type."""
    kind: Kind = ("events", "events", "items", "users")[n % 4]
    table, arrays = _table(kind, day, rng), _arrays(day)
    for at, name in enumerate(table.column_names):
        if rng.random() < 0.4:
            table = table.set_column(at, name, rng.choice(arrays))
    return Case(kind, {"part.parquet": as_parquet(table)}, N)
