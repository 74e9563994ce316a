"""Faults that senders of logs really make, put into a day of real events; each with the rule made for it."""

import datetime as dt
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Change = Callable[[pa.Table, np.random.Generator, dt.date], pa.Table]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a day can be wrong."""

    kind: str
    rule: str
    """The rule that has to fail; `file` when the files have to be refused."""
    how: str
    put: Callable[[Path, dt.date, np.random.Generator], None]
    """Writes the fault into a landing zone."""


def in_rows(kind: str, rule: str, how: str, change: Change) -> Fault:
    """A fault in the rows of events."""

    def put(landing: Path, day: dt.date, rng: np.random.Generator) -> None:
        file = landing / "events" / f"day={day}" / "part-0.parquet"
        pq.write_table(change(pq.read_table(file, partitioning=None), rng, day), file)

    return Fault(kind, rule, how, put)


def some(table: pa.Table, rng: np.random.Generator, share: float) -> np.ndarray:
    """Rows drawn at random."""
    return rng.random(table.num_rows) < share


def set_where(table: pa.Table, name: str, mask: np.ndarray, value: object) -> pa.Table:
    """A column with one value in some rows."""
    column = pc.if_else(pa.array(mask), pa.scalar(value, table.schema.field(name).type), table[name])
    return table.set_column(table.schema.get_field_index(name), name, column)


def shifted(table: pa.Table, mask: np.ndarray, by: dt.timedelta) -> pa.Table:
    """Some rows at another time."""
    moved = pc.add(table["occurred_at"], pa.scalar(by, pa.duration("us")))
    column = pc.if_else(pa.array(mask), moved, table["occurred_at"])
    return table.set_column(table.schema.get_field_index("occurred_at"), "occurred_at", column)


def _nobody(share: float) -> Fault:
    return in_rows(
        "users missing",
        "null_share",
        f"{share:.0%} of rows",
        lambda t, r, d: set_where(t, "user_id", some(t, r, share), None),
    )


def _action(share: float) -> Fault:
    return in_rows(
        "new action name",
        "unknown_action_share",
        f"{share:.0%} of rows",
        lambda t, r, d: set_where(t, "action", some(t, r, share), "Purchase"),
    )


def _time(kind: str, share: float, by: dt.timedelta) -> Fault:
    return in_rows(
        kind,
        "outside_day_share",
        f"{share:.0%} of rows by {by.days} days",
        lambda t, r, d: shifted(t, some(t, r, share), by),
    )


def _value(how: str, share: float, value: float) -> Fault:
    return in_rows(
        "negative or absurd value",
        "bad_value_share",
        how,
        lambda t, r, d: set_where(t, "value", some(t, r, share), value),
    )


def _unknown(share: float) -> Fault:
    return in_rows(
        "items not in the catalogue",
        "unknown_item_share",
        f"{share:.0%} of rows",
        lambda t, r, d: t.set_column(
            t.schema.get_field_index("item_id"),
            "item_id",
            pc.if_else(
                pa.array(some(t, r, share)), pc.binary_join_element_wise("sku-", t["item_id"], ""), t["item_id"]
            ),
        ),
    )


def _repeat(share: float) -> Fault:
    return in_rows(
        "retried export",
        "duplicate_share",
        f"{share:.0%} of rows again",
        lambda t, r, d: pa.concat_tables([t, t.filter(pa.array(some(t, r, share)))]),
    )


def _few(share: float) -> Fault:
    return in_rows(
        "part of the rows",
        "volume_ratio",
        f"{share:.0%} of them",
        lambda t, r, d: t.filter(pa.array(some(t, r, share))),
    )


def _many(times: int) -> Fault:
    def change(table: pa.Table, rng: np.random.Generator, day: dt.date) -> pa.Table:
        copies = [
            table.set_column(
                table.schema.get_field_index("event_id"),
                "event_id",
                pc.binary_join_element_wise(table["event_id"], f"-{n}", ""),
            )
            for n in range(times)
        ]
        return pa.concat_tables(copies)

    return in_rows("rows many times over", "volume_ratio", f"{times} times", change)


def _stops(hour: int) -> Fault:
    def change(table: pa.Table, rng: np.random.Generator, day: dt.date) -> pa.Table:
        end = pa.scalar(dt.datetime.combine(day, dt.time(hour), dt.UTC), table["occurred_at"].type)
        return table.filter(pc.less(table["occurred_at"], end))

    return in_rows("export stops early", "quiet_hours", f"at {hour}:00", change)


def _actions_shift(share: float) -> Fault:
    return in_rows(
        "action mix",
        "action_psi",
        f"{share:.0%} redeem",
        lambda t, r, d: set_where(t, "action", some(t, r, share), "redeem"),
    )


def _values_shift(times: float) -> Fault:
    def change(table: pa.Table, rng: np.random.Generator, day: dt.date) -> pa.Table:
        values = pc.multiply(table["value"], times)
        return table.set_column(table.schema.get_field_index("value"), "value", values)

    return in_rows("unit of the value", "value_psi", f"times {times:g}", change)


def _few_items(n: int) -> Fault:
    """All events name a handful of items: what a broken join of the export does to topics."""

    def change(table: pa.Table, rng: np.random.Generator, day: dt.date) -> pa.Table:
        chosen = pc.unique(table["item_id"]).to_pylist()[:n]
        items = pa.array(rng.choice(chosen, table.num_rows))
        return table.set_column(table.schema.get_field_index("item_id"), "item_id", items)

    return in_rows("topic mix", "topic_psi", f"{n} items stand for all", change)


def _new_ids(share: float) -> Fault:
    return in_rows(
        "user ids changed",
        "new_user_share",
        f"{share:.0%} of rows",
        lambda t, r, d: t.set_column(
            t.schema.get_field_index("user_id"),
            "user_id",
            pc.if_else(pa.array(some(t, r, share)), pc.binary_join_element_wise("x", t["user_id"], ""), t["user_id"]),
        ),
    )


def _late(share: float, days: int) -> Fault:
    return in_rows(
        "events held up",
        "late_share",
        f"{share:.0%} of rows by {days} days",
        lambda t, r, d: shifted(t, some(t, r, share), -dt.timedelta(days)),
    )


def _context(share: float) -> Fault:
    def put(landing: Path, day: dt.date, rng: np.random.Generator) -> None:
        file = landing / "events" / f"day={day}" / "part-0.parquet"
        table = pq.read_table(file, partitioning=None)
        text = pa.array(["store 7" if bad else '{"store": "7"}' for bad in some(table, rng, share)])
        table = table.set_column(table.schema.get_field_index("context"), "context", text)
        pq.write_table(table, file)

    return Fault("context no map", "malformed_context_share", f"{share:.0%} of rows", put)


def _catalogue_ends(share: float) -> Fault:
    """A catalogue that says of most items that they are gone."""

    def put(landing: Path, day: dt.date, rng: np.random.Generator) -> None:
        folders = sorted((landing / "items").glob("day=*"))
        names = ["item_id", "title"]
        landed = [
            pq.read_table(f, columns=names, partitioning=None) for folder in folders for f in folder.glob("*.parquet")
        ]
        table = pa.concat_tables(landed)
        gone = pa.array([day - dt.timedelta(1)] * table.num_rows).filter(pa.array(some(table, rng, 1.0)))
        ended = table.append_column("available_until", gone).filter(pa.array(some(table, rng, share)))
        _write(landing / "items" / f"day={day}", ended)

    return Fault("catalogue shrinks", "catalogue_ratio", f"{share:.0%} of items end", put)


def _untitled(share: float) -> Fault:
    def put(landing: Path, day: dt.date, rng: np.random.Generator) -> None:
        ids = [f"new-{n}" for n in range(200)]
        titles = [None if bad else "a title" for bad in rng.random(200) < share]
        _write(landing / "items" / f"day={day}", pa.table({"item_id": ids, "title": pa.array(titles, pa.string())}))

    return Fault("items without title", "bad_item_share", f"{share:.0%} of items", put)


def _write(folder: Path, table: pa.Table) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "part-0.parquet")


def _cut(share: float) -> Fault:
    def put(landing: Path, day: dt.date, rng: np.random.Generator) -> None:
        file = landing / "events" / f"day={day}" / "part-0.parquet"
        file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])

    return Fault("file cut short", "file", f"at {share:.0%}", put)


def _column_gone(name: str) -> Fault:
    def put(landing: Path, day: dt.date, rng: np.random.Generator) -> None:
        file = landing / "events" / f"day={day}" / "part-0.parquet"
        table = pq.read_table(file, partitioning=None)
        pq.write_table(table.rename_columns([f"{c}_v2" if c == name else c for c in table.column_names]), file)

    return Fault("column renamed", "file", name, put)


DAY = dt.timedelta(1)
FAULTS: tuple[Fault, ...] = (
    in_rows("empty day", "n_rows", "no rows", lambda t, r, d: t.slice(0, 0)),
    *(_nobody(share) for share in (0.02, 0.1, 0.5, 1.0)),
    *(_action(share) for share in (0.02, 0.3, 1.0)),
    *(_time("another day's events", share, -20 * DAY) for share in (0.02, 0.3, 1.0)),
    *(_time("future time", share, DAY) for share in (0.02, 0.3, 1.0)),
    _value("-1 in 2%", 0.02, -1.0),
    _value("1e12 in 2%", 0.02, 1e12),
    _value("NaN in 5%", 0.05, float("nan")),
    *(_unknown(share) for share in (0.06, 0.2, 1.0)),
    *(_repeat(share) for share in (0.15, 0.5, 1.0)),
    *(_few(share) for share in (0.02, 0.05, 0.1)),
    *(_many(times) for times in (8, 12)),
    *(_stops(hour) for hour in (6, 9, 11)),
    *(_actions_shift(share) for share in (0.15, 0.4)),
    *(_values_shift(times) for times in (12, 100)),
    *(_few_items(n) for n in (1, 3)),
    *(_new_ids(share) for share in (0.7, 1.0)),
    *(_late(share, days) for share, days in ((0.07, 1), (0.2, 3), (1.0, 1))),
    *(_context(share) for share in (0.02, 1.0)),
    *(_catalogue_ends(share) for share in (0.3, 0.9)),
    *(_untitled(share) for share in (0.3, 1.0)),
    *(_cut(share) for share in (0.3, 0.99)),
    *(_column_gone(name) for name in ("user_id", "occurred_at")),
)
