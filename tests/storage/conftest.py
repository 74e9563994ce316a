"""A landing zone and logs to break: rows written in any format, days loaded as the ingest stage loads them."""

import csv
import datetime as dt
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from release_places import moto

from retrieval.rules import Action, Rules
from retrieval.schema import CONTRACTS, Kind
from storage.landing import Landing
from storage.logs import KINDS, DayCounts, Logs, Staged, Verdict, open_logs, settle
from storage.logs.judging import Metrics

__all__ = ["moto"]
RULES = Rules(late_days=0)
ACTIONS = {"buy": Action(sign="+"), "rate": Action(sign="+")}
ROOT = Path(__file__).parents[2]
Row = Mapping[str, Any]


def as_bytes(kind: Kind, rows: Sequence[Row], ending: str) -> bytes:
    """Rows in one of the formats that land."""
    names = list(dict.fromkeys(name for row in rows for name in row)) or list(CONTRACTS[kind].required)
    if ending == "jsonl":
        return "".join(json.dumps(dict(row), default=str) + "\n" for row in rows).encode()
    if ending == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        for row in rows:
            writer.writerow({k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in row.items()})
        return text.getvalue().encode()
    fields = [CONTRACTS[kind].arrow.field(name) for name in names]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=pa.schema(fields)), sink)
    return sink.getvalue().to_pybytes()


@dataclass(frozen=True)
class Place:
    """One landing and its logs."""

    root: Path

    @property
    def zone(self) -> Landing:
        return Landing(str(self.root / "landing"))

    @property
    def logs(self) -> Path:
        return self.root / "logs" / "logs.duckdb"

    def folder(self, kind: Kind, day: dt.date) -> Path:
        return self.root / "landing" / kind / f"day={day.isoformat()}"

    def land(self, kind: Kind, day: dt.date, content: Sequence[Row] | bytes, name: str = "part.parquet") -> Path:
        folder = self.folder(kind, day)
        folder.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else as_bytes(kind, content, name.rsplit(".", 1)[-1])
        (folder / name).write_bytes(data)
        return folder / name

    def load(self, *days: dt.date, kinds: Iterable[Kind] = KINDS, **how: Any) -> list[DayCounts]:
        """Load everything landed for the days, in one pass."""
        return self.load_parts([(kind, day) for kind in kinds for day in days], **how)

    def load_parts(self, parts: Sequence[tuple[Kind, dt.date]], **how: Any) -> list[DayCounts]:
        with open_logs(self.logs) as logs:
            return self.settle(logs, parts, **how)

    def settle(
        self, logs: Logs, parts: Sequence[tuple[Kind, dt.date]], *, accept: bool = True, rules: Rules = RULES
    ) -> list[DayCounts]:
        """Load those of the partitions that landed, all accepted or all refused, into open logs."""
        with self.staged(logs, parts, rules) as staged:
            verdict = Verdict(not accept, {}, [])
            verdicts = {(p.kind, p.day): verdict for p in staged.partitions}
            return settle(staged, verdicts, dict.fromkeys(verdicts, "tests"))

    @contextmanager
    def staged(self, logs: Logs, parts: Sequence[tuple[Kind, dt.date]], rules: Rules = RULES) -> Iterator[Staged]:
        """Those of the partitions that landed, judged row by row, inside a transaction."""
        partitions = [self.zone.partition(kind, day) for kind, day in parts if self.folder(kind, day).is_dir()]
        with logs.transaction():
            staged = Staged.landed(logs.connection, self.zone, partitions)
            staged.judge_catalogue()
            staged.judge_events(ACTIONS, rules, [])
            yield staged

    def metrics(self, *days: dt.date, rules: Rules = RULES) -> dict[dt.date, Metrics]:
        """What would be measured of landed days of events, and of loaded ones beside them."""
        with open_logs(self.logs) as logs, self.staged(logs, [("events", day) for day in days], rules) as staged:
            return staged.day_metrics(rules)

    @contextmanager
    def opened(self) -> Iterator[Logs]:
        with open_logs(self.logs, read_only=True) as logs:
            yield logs

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.opened() as logs:
            return logs.connection.execute(sql).fetchall()

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything the logs hold, ordered; where the files lay left out."""
        with self.opened() as logs:
            return {
                "events": logs.connection.execute("SELECT * FROM events ORDER BY ALL").fetchall(),
                "items": logs.connection.execute("SELECT * FROM items ORDER BY ALL").fetchall(),
                "users": logs.connection.execute("SELECT * FROM users ORDER BY ALL").fetchall(),
                "quarantine": logs.connection.execute(
                    "SELECT kind, day, line, reasons FROM quarantine ORDER BY ALL"
                ).fetchall(),
                "partitions": logs.connection.execute("SELECT * FROM partitions ORDER BY kind, day").fetchall(),
                "digest": [(logs.digest(dt.date.max),)],
            }

    def quarantine(self) -> list[tuple[str, int, list[str], dict[str, Any]]]:
        rows = self.rows("SELECT file, line, reasons, content FROM quarantine ORDER BY file, line")
        return [(Path(file).name, line, reasons, json.loads(content)) for file, line, reasons, content in rows]


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    """A new, empty place at every call."""
    return lambda: Place(tmp_path_factory.mktemp("place"))


@pytest.fixture
def place(places: Callable[[], Place]) -> Place:
    return places()


@pytest.fixture(scope="session")
def python() -> Callable[..., subprocess.Popen[str]]:
    """Another Python process that knows the packages."""

    def start(code: str, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )

    return start
