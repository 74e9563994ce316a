"""The columns of everything that crosses a wall, as Arrow schemas.

`EVENTS`, `ITEMS` and `USERS` are the landing zone's contract (docs/data-contract.md): what a day's files
must hold. A column whose field carries `required` metadata must be present; the others may be left out.
"""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

Kind = Literal["events", "items", "users"]
TEXT_MAP = pa.map_(pa.string(), pa.string())


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the landing contract."""

    name: str
    type: pa.DataType
    required: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class TableContract:
    """The columns one kind of landed file may hold, in their order."""

    kind: Kind
    columns: tuple[Column, ...]

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.required)

    @property
    def arrow(self) -> pa.Schema:
        return pa.schema([pa.field(column.name, column.type) for column in self.columns])


EVENTS = TableContract(
    "events",
    (
        Column("user_id", pa.string(), True, "who did it"),
        Column("item_id", pa.string(), True, "to which item"),
        Column("action", pa.string(), True, "what was done: a word of the recipe's actions"),
        Column("occurred_at", pa.timestamp("us", tz="UTC"), True, "when, in UTC"),
        Column("event_id", pa.string(), False, "the sender's own id of the event; makes retried posts harmless"),
        Column("value", pa.float64(), False, "an amount: quantity, rating, seconds watched"),
        Column("condition", pa.string(), False, "the topic that the user had asked for"),
        Column("position", pa.int32(), False, "the rank at which the item was shown, from 1"),
        Column("served_by", pa.string(), False, "the release and source that showed the item"),
        Column("context", TEXT_MAP, False, "circumstances: store, device, locale, basket"),
    ),
)

ITEMS = TableContract(
    "items",
    (
        Column("item_id", pa.string(), True, "the item"),
        Column("title", pa.string(), True, "its name, as shown to people"),
        Column("description", pa.string(), False, "its text, without the title"),
        Column("topics", pa.list_(pa.string()), False, "its categories, from broad to narrow"),
        Column("attributes", TEXT_MAP, False, "its other properties: brand, size, price band"),
        Column("available_from", pa.date32(), False, "the first day it may be recommended"),
        Column("available_until", pa.date32(), False, "the last day it may be recommended"),
        Column("embedding", pa.list_(pa.float32()), False, "a content vector of the caller's own"),
    ),
)

USERS = TableContract(
    "users",
    (
        Column("user_id", pa.string(), True, "the user"),
        Column("attributes", TEXT_MAP, False, "their properties: age band, region, plan"),
    ),
)

CONTRACTS: dict[Kind, TableContract] = {"events": EVENTS, "items": ITEMS, "users": USERS}
