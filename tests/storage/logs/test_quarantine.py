"""Rows set aside: counted, shown whole, taken out as files."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rows import DAY, EARLIER, event, item

from retrieval.errors import ContractError
from storage.logs.quarantine import Wanted


@pytest.fixture
def aside(stocked: Any) -> Any:
    stocked.land("items", DAY, [item("i3", title="")], "x.jsonl")
    stocked.land("events", EARLIER, [event("", day=EARLIER)], "a.jsonl")
    stocked.land("events", DAY, [event(), event("", "ghost"), event(value="x")], "b.csv")
    stocked.load(EARLIER, DAY)
    return stocked


def test_rows_are_counted_by_file_and_reason(aside: Any) -> None:
    with aside.opened() as logs:
        found = [tuple(entry.values()) for entry in Wanted().counts(logs)]
        ghosts = [entry["rows"] for entry in Wanted(reason="unknown_item").counts(logs)]
    assert found == [
        ("events", "2026-03-04", "a.jsonl", "missing_user", 1),
        ("events", "2026-03-05", "b.csv", "missing_user", 1),
        ("events", "2026-03-05", "b.csv", "unknown_item", 1),
        ("events", "2026-03-05", "b.csv", "unreadable_value", 1),
        ("items", "2026-03-05", "x.jsonl", "missing_title", 1),
    ]
    assert ghosts == [1]


@pytest.mark.parametrize(
    ("wanted", "where"),
    [
        (Wanted(), [("a.jsonl", 1), ("b.csv", 2), ("b.csv", 3), ("x.jsonl", 1)]),
        (Wanted(kind="items"), [("x.jsonl", 1)]),
        (Wanted(day=EARLIER), [("a.jsonl", 1)]),
        (Wanted(reason="missing_user"), [("a.jsonl", 1), ("b.csv", 2)]),
        (Wanted("events", DAY, "missing_user"), [("b.csv", 2)]),
        (Wanted("users"), []),
    ],
)
def test_only_the_rows_asked_for_are_shown_and_exported(
    aside: Any, tmp_path: Path, wanted: Wanted, where: list[Any]
) -> None:
    with aside.opened() as logs:
        shown = wanted.rows(logs, 10)
        assert wanted.export(logs, tmp_path / "new" / "rows.jsonl") == len(where)
        assert wanted.export(logs, tmp_path / "rows.parquet") == len(where)
        assert [(entry["file"], entry["line"]) for entry in wanted.rows(logs, 1)] == where[:1]
    assert [(entry["file"], entry["line"]) for entry in shown] == where
    lines = [json.loads(line) for line in (tmp_path / "new" / "rows.jsonl").read_text().splitlines()]
    for rows in (lines, pq.read_table(tmp_path / "rows.parquet").to_pylist()):
        assert [(row["file"], row["line"], row["reasons"]) for row in rows] == [
            (e["file"], e["line"], e["reasons"]) for e in shown
        ]
        assert [json.loads(row["content"]) for row in rows] == [entry["row"] for entry in shown]


def test_a_row_is_shown_as_it_landed(aside: Any) -> None:
    with aside.opened() as logs:
        (row,) = Wanted(reason="unreadable_value").rows(logs, 10)
    assert (row["row"]["user_id"], row["row"]["value"]) == ("u1", "x")


def test_the_partitions_of_rows_come_with_all_their_rows_aside(aside: Any) -> None:
    with aside.opened() as logs:
        assert Wanted(reason="unknown_item").partitions(logs) == {("events", DAY): 2}
        assert len(Wanted().partitions(logs)) == 3


def test_an_export_that_a_spreadsheet_would_run_is_refused(aside: Any, tmp_path: Path) -> None:
    with aside.opened() as logs, pytest.raises(ContractError, match=r"ends with one of: \.jsonl, \.parquet"):
        Wanted().export(logs, tmp_path / "rows.csv")
