"""Rows that were set aside: counted, shown whole, taken out as files."""

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from retrieval.errors import ContractError
from retrieval.schema import Kind
from storage.logs.judging import KINDS
from storage.logs.reading import Logs
from storage.logs.sql import days_in, quoted

FORMATS = {".jsonl": "FORMAT json", ".parquet": "FORMAT parquet, COMPRESSION zstd"}
"""No CSV: a spreadsheet would run what hostile rows call formulas."""


def examples(logs: Logs, partitions: Iterable[tuple[Kind, dt.date]], most: int) -> list[dict[str, Any]]:
    """The first few rows set aside of some partitions for each reason, as `rows` gives them, with that `reason`."""
    chosen = list(partitions)
    tests = " OR ".join(
        f"kind = '{kind}' AND day IN {days_in(day for other, day in chosen if other == kind)}" for kind in KINDS
    )
    rows = logs.connection.execute(
        f"""SELECT reason, kind, day, file, line, content
            FROM (SELECT unnest(reasons) AS reason, kind, day, file, line, content FROM quarantine WHERE {tests})
            QUALIFY row_number() OVER (PARTITION BY reason ORDER BY day DESC, kind, file, line) <= $most
            ORDER BY ALL""",
        {"most": most},
    ).fetchall()
    names = ("reason", "kind", "day", "file", "line")
    return [dict(zip(names, row, strict=False)) | {"day": str(row[2]), "row": _row(row[5])} for row in rows]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows of the quarantine; None means any."""

    kind: Kind | None = None
    day: dt.date | None = None
    reason: str | None = None

    @property
    def _condition(self) -> str:
        return """kind = coalesce($kind, kind) AND day = coalesce($day, day)
            AND ($reason IS NULL OR list_contains(reasons, $reason))"""

    @property
    def _values(self) -> dict[str, Any]:
        return {"kind": self.kind, "day": self.day, "reason": self.reason}

    def counts(self, logs: Logs) -> list[dict[str, Any]]:
        """How many rows of each partition's files carry each reason."""
        rows = logs.connection.execute(
            f"""SELECT kind, day, file, reason, count(*) FROM (
                    SELECT kind, day, file, unnest(reasons) AS reason FROM quarantine WHERE {self._condition}
                ) WHERE reason = coalesce($reason, reason) GROUP BY ALL ORDER BY ALL""",
            self._values,
        ).fetchall()
        return [
            {"kind": kind, "day": day.isoformat(), "file": file, "reason": reason, "rows": n}
            for kind, day, file, reason, n in rows
        ]

    def rows(self, logs: Logs, limit: int) -> list[dict[str, Any]]:
        """The first of the rows, whole, in the order of their files."""
        rows = logs.connection.execute(
            f"""SELECT kind, day, file, line, reasons, content FROM quarantine WHERE {self._condition}
                ORDER BY kind, day, file, line LIMIT $limit""",
            self._values | {"limit": limit},
        ).fetchall()
        return [
            {"kind": kind, "day": day.isoformat(), "file": file, "line": line, "reasons": reasons, "row": _row(content)}
            for kind, day, file, line, reasons, content in rows
        ]

    def partitions(self, logs: Logs) -> Mapping[tuple[Kind, dt.date], int]:
        """The partitions that have such rows, with how many rows of theirs are set aside for any reason."""
        rows = logs.connection.execute(
            f"""SELECT kind, day, count(*) FROM quarantine
                WHERE (kind, day) IN (SELECT (kind, day) FROM quarantine WHERE {self._condition})
                GROUP BY ALL ORDER BY ALL""",
            self._values,
        ).fetchall()
        return {(kind, day): n for kind, day, n in rows}

    def export(self, logs: Logs, target: Path) -> int:
        """Write the rows, whole, to a file whose ending says the format; returns how many there are.

        Raises:
            ContractError: for a format that is not written.
        """
        if target.suffix not in FORMATS:
            raise ContractError(
                f"{target} has a format that is not written. Name a file that ends with one of: {', '.join(FORMATS)}."
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        logs.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE wanted AS FROM quarantine WHERE {self._condition}", self._values
        )
        try:
            ((n_rows,),) = logs.connection.execute(
                f"COPY (FROM wanted ORDER BY kind, day, file, line) TO '{quoted(part)}' ({FORMATS[target.suffix]})"
            ).fetchall()
        except duckdb.IOException as error:
            raise ContractError(
                f"{target} cannot be written ({str(error).splitlines()[0]}). Name another file."
            ) from error
        part.replace(target)
        return int(n_rows)


def _row(content: str) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content
