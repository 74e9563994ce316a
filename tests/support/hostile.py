"""Hostile partitions: what a landing zone may hold that nobody meant to land, each made again from its name and number."""

import csv
import datetime as dt
import io
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from retrieval.schema import CONTRACTS, Kind

Row = dict[str, Any]
Lay = Callable[[Path, Path], None]
"""Puts things other than plain files into a day's folder; the second path is a place outside of the landing zone."""
ENDINGS = ("parquet", "csv", "jsonl")


@dataclass(frozen=True)
class Case:
    """One partition, and what is known of it."""

    kind: Kind
    files: Mapping[str, bytes] = field(default_factory=dict)
    rows: int | None = None
    """How many rows have to land, if the partition is used; None where nobody can tell."""
    users: frozenset[str] = frozenset()
    """Ids that have to be found again, as they are, in the logs or in the quarantine."""
    is_usable: bool | None = None
    """Whether the partition has to be used, or has to be refused."""
    lay: Lay | None = None
    name: str = ""


Make = Callable[[int, random.Random, dt.date], Case]
_MAKERS: dict[str, tuple[int, Make]] = {}


def hostile(times: int) -> Callable[[Make], Make]:
    """Register a maker of that many cases."""

    def registered(make: Make) -> Make:
        _MAKERS[make.__name__] = times, make
        return make

    return registered


def names() -> list[str]:
    """The names of all cases: maker and number."""
    return [f"{maker} {n}" for maker, (times, _) in _MAKERS.items() for n in range(times)]


def case(name: str, day: dt.date) -> Case:
    """A case by its name, for a day."""
    maker, n = name.rsplit(" ", 1)
    made = _MAKERS[maker][1](int(n), random.Random(name), day)
    return Case(made.kind, made.files, made.rows, made.users, made.is_usable, made.lay, name)


def good_rows(kind: Kind, day: dt.date, rng: random.Random, n: int = 12) -> list[Row]:
    """Rows with a value in every column."""
    if kind == "events":
        start = dt.datetime.combine(day, dt.time(8), dt.UTC)
        return [
            {
                "user_id": f"u{rng.randrange(9)}",
                "item_id": f"i{rng.randrange(5)}",
                "action": rng.choice(["buy", "rate"]),
                "occurred_at": start + dt.timedelta(seconds=37 * k),
                "event_id": f"{day}-{k}",
                "value": rng.randrange(1, 50) / 4,
                "condition": rng.choice(["tea", "coffee"]),
                "position": k + 1,
                "served_by": "r1/popular",
                "context": {"store": f"s{k % 3}", "device": "phone"},
            }
            for k in range(n)
        ]
    if kind == "items":
        return [
            {
                "item_id": f"{day}-i{k}",
                "title": f"Title {k}",
                "description": "words, and more words",
                "topics": ["food", f"t{k % 3}"],
                "attributes": {"brand": f"b{k % 4}"},
                "available_from": day,
                "available_until": day + dt.timedelta(30),
                "embedding": [0.5, -1.0, float(k)],
            }
            for k in range(n)
        ]
    return [{"user_id": f"u{k}", "attributes": {"age": "30-39", "region": f"r{k}"}} for k in range(n)]


def as_jsonl(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(dict(row), default=_text, ensure_ascii=False) + "\n" for row in rows).encode(
        "utf-8", "surrogatepass"
    )


def as_csv(rows: Sequence[Mapping[str, Any]], **how: Any) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), **how)
    writer.writeheader()
    for row in rows:
        cells = {k: json.dumps(v, default=_text) if isinstance(v, dict | list) else _text(v) for k, v in row.items()}
        writer.writerow(cells)
    return text.getvalue().encode("utf-8", "surrogatepass")


def as_parquet(table: pa.Table | Sequence[Row], kind: Kind = "events", **how: Any) -> bytes:
    if not isinstance(table, pa.Table):
        table = pa.Table.from_pylist([dict(row) for row in table], schema=CONTRACTS[kind].arrow)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **how)
    return sink.getvalue().to_pybytes()


def as_bytes(kind: Kind, rows: Sequence[Row], ending: str) -> bytes:
    if ending == "parquet":
        return as_parquet(rows, kind)
    return as_csv(rows) if ending == "csv" else as_jsonl(rows)


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date | dt.datetime) else value
