"""Rows that were set aside, as a page may show them: enough to find the fault, nothing that names a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SHOWN: Mapping[str, tuple[str, ...]] = {
    "events": ("item_id", "action", "occurred_at", "value", "condition", "position"),
    "items": ("item_id", "title", "topics", "available_from", "available_until"),
    "users": (),
}
"""Columns whose values are shown. Of all others only whether there is a value: they may tell who somebody is, and pages
outlive a wish to be forgotten."""
MOST = 80
"""Characters of a value."""


@dataclass(frozen=True, slots=True)
class RowExample:
    """One row of the quarantine."""

    reason: str
    kind: str
    day: str
    file: str
    line: int
    shown: list[tuple[str, str]]
    """Columns with their values, or with whether they have one."""


def shown_of(kind: str, row: Any) -> list[tuple[str, str]]:
    """A landed row's columns as a page may show them; what is no row at all is not shown."""
    if not isinstance(row, Mapping):
        return [("row", "no row that could be read")]
    wanted = SHOWN.get(kind, ())
    return [(_short(name), _value(value) if name in wanted else _presence(value)) for name, value in row.items()]


def by_reason(examples: Sequence[RowExample]) -> dict[str, list[RowExample]]:
    """The examples of each reason."""
    found: dict[str, list[RowExample]] = {}
    for example in examples:
        found.setdefault(example.reason, []).append(example)
    return found


def _value(value: Any) -> str:
    return _presence(value) if value is None or value == "" else _short(value)


def _presence(value: Any) -> str:
    return "missing" if value is None else "empty" if value in ("", [], {}) else "given, not shown"


def _short(value: Any) -> str:
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))
    return text if len(text) <= MOST else f"{text[:MOST]}…"
