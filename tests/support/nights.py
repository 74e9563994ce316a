"""A lake of a handful of rows a day, and its nights: landed, loaded, looked at."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rows import event

from retrieval.rules import Action, Rules
from retrieval.schema import CONTRACTS, Kind
from storage.layout import Lake
from storage.logs import Logs, open_logs
from storage.logs.upkeep import problems
from tasks.ingest import Ingested, ingest

ACTIONS = {"buy": Action(sign="+")}
NOW = dt.datetime(2026, 3, 9, 1, tzinfo=dt.UTC)
TABLES = ("events", "late_events", "items", "users", "quarantine", "contents", "seen_users", "profiles")


@dataclass(frozen=True)
class Nights:
    """A lake and what a night does to its logs."""

    lake: Lake
    rules: Rules = Rules()  # noqa: RUF009

    @property
    def landing(self) -> str:
        return str(self.lake.landing)

    def write(self, kind: Kind, day: dt.date, rows: Sequence[dict[str, Any]], name: str = "part.parquet") -> None:
        folder = self.lake.landing / kind / f"day={day}"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(list(rows), schema=CONTRACTS[kind].arrow), folder / name)

    def land(self, day: dt.date, n: int = 20, faulty: int = 0, user: str = "u") -> None:
        """Rows of as many users, some without the user's id."""
        self.write("events", day, [event(f"{user}{k}" if k >= faulty else "", "i1", day) for k in range(n)])

    def run(self, first: dt.date, last: dt.date, rules: Rules | None = None, **more: Any) -> Ingested:
        return ingest.fn(self.lake, self.landing, (first, last), rules or self.rules, ACTIONS, **more)

    def night(self, day: dt.date, **more: Any) -> Ingested:
        return self.run(day - dt.timedelta(30), day, required=day, **more)

    def held(self) -> dict[dt.date, int]:
        with self.read() as logs:
            return dict(logs.days_loaded())

    def read(self) -> Any:
        return open_logs(self.lake.logs, read_only=True)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.read() as logs:
            found: list[tuple[Any, ...]] = logs.connection.execute(sql).fetchall()
            return found

    def state(self, *, without: str = "") -> dict[str, list[tuple[Any, ...]]]:
        """All that the logs hold and no order of loading may change; they are in order, too."""
        with self.read() as logs:
            assert problems(logs) == []
            found = {name: _ordered(logs, f"SELECT * FROM {name}") for name in TABLES if name != without}
            counts = "n_landed, n_loaded, n_quarantined, n_duplicates, n_forgotten, n_late"
            return found | {
                "partitions": _ordered(logs, f"SELECT kind, day, is_refused, bytes, {counts} FROM partitions")
            }


def _ordered(logs: Logs, sql: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = logs.connection.execute(f"{sql} ORDER BY ALL").fetchall()
    return found
