"""The suites of catalogue and users: each expectation fails on rows made for it, and on no others."""

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from retrieval.rules import Rules
from validation.tables import LONGEST_ID, LONGEST_TITLE, TableKind, judge_table, suite_of
from validation.verdict import Check

DAY = dt.date(2026, 3, 5)
NEXT = DAY + dt.timedelta(1)
RULES = Rules()
SCHEMAS = {
    "items": pa.schema(
        [
            ("landed", pa.date32()),
            ("item_id", pa.string()),
            ("title", pa.string()),
            ("available_from", pa.date32()),
            ("available_until", pa.date32()),
            ("is_unreadable", pa.bool_()),
        ]
    ),
    "users": pa.schema([("landed", pa.date32()), ("user_id", pa.string()), ("is_unreadable", pa.bool_())]),
}


def row(kind: TableKind, n: int, **more: Any) -> dict[str, Any]:
    own = {"item_id": f"i{n}", "title": "T"} if kind == "items" else {"user_id": f"u{n}"}
    return {"landed": DAY, "is_unreadable": False} | own | more


def judged(
    kind: TableKind, rows: list[dict[str, Any]], rules: Rules = RULES, days: tuple[dt.date, ...] = (DAY,)
) -> dict[dt.date, list[Check]]:
    return judge_table(kind, pa.Table.from_pylist(rows, schema=SCHEMAS[kind]), days, rules)


def failed(kind: TableKind, rows: list[dict[str, Any]], rules: Rules = RULES) -> list[str]:
    return [check.meaning.split(": ", 1)[1] for check in judged(kind, rows, rules)[DAY] if not check.passed]


FAULTS: list[tuple[TableKind, dict[str, Any], list[str]]] = [
    ("items", {"item_id": None}, ["item_id is there"]),
    ("items", {"item_id": ""}, ["item_id has 1 to 512 characters"]),
    ("items", {"item_id": "x" * (LONGEST_ID + 1)}, ["item_id has 1 to 512 characters"]),
    ("items", {"title": None}, ["title is there"]),
    ("items", {"title": ""}, ["title has 1 to 2,000 characters"]),
    ("items", {"title": "x" * (LONGEST_TITLE + 1)}, ["title has 1 to 2,000 characters"]),
    ("items", {"is_unreadable": True}, ["every value can be read"]),
    ("items", {"available_from": NEXT, "available_until": DAY}, ["available_until is not before available_from"]),
    ("users", {"user_id": None}, ["user_id is there"]),
    ("users", {"user_id": ""}, ["user_id has 1 to 512 characters"]),
    ("users", {"user_id": "x" * (LONGEST_ID + 1)}, ["user_id has 1 to 512 characters"]),
    ("users", {"is_unreadable": True}, ["every value can be read"]),
]
FINE: list[tuple[TableKind, dict[str, Any]]] = [
    ("items", {"item_id": "x" * LONGEST_ID, "title": "x" * LONGEST_TITLE}),
    ("items", {"available_from": DAY, "available_until": DAY}),
    ("items", {"available_from": DAY}),
    ("items", {"available_until": DAY}),
    ("users", {"user_id": "x" * LONGEST_ID}),
]


@pytest.mark.parametrize(("kind", "fault", "expected"), FAULTS)
def test_an_expectation_fails_on_the_row_made_for_it_and_no_other_does(
    kind: TableKind, fault: dict[str, Any], expected: list[str]
) -> None:
    strict = Rules(max_bad_item_share=0.0, max_bad_user_share=0.0)
    assert failed(kind, [row(kind, 0), row(kind, 1, **fault)], strict) == expected


@pytest.mark.parametrize(("kind", "more"), FINE)
def test_rows_at_the_bounds_meet_every_expectation(kind: TableKind, more: dict[str, Any]) -> None:
    assert (
        failed(kind, [row(kind, 0), row(kind, 1, **more)], Rules(max_bad_item_share=0.0, max_bad_user_share=0.0)) == []
    )


@pytest.mark.parametrize("kind", ["items", "users"])
def test_a_partition_fails_when_more_of_its_rows_break_an_expectation_than_are_allowed(kind: TableKind) -> None:
    rule = f"bad_{kind[:-1]}_share"
    bad = {"item_id": None} if kind == "items" else {"user_id": None}
    for n_bad, passed in ((2, True), (3, False)):
        rows = [row(kind, n, **(bad if n < n_bad else {})) for n in range(10)]
        (check,) = [c for c in judged(kind, rows)[DAY] if c.meaning.endswith("_id is there")]
        assert (check.rule, check.severity, check.passed, check.blocks) == (rule, "block", passed, not passed)
        assert (check.observed, check.expected) == (f"0.{n_bad}", "at most 0.2")


def test_repeated_ids_are_a_matter_of_duplicates_and_warn() -> None:
    rows = [row("items", n // 2) for n in range(10)]
    (check,) = [c for c in judged("items", rows)[DAY] if not c.passed]
    assert (check.rule, check.severity, check.observed) == ("duplicate_share", "warn", "1")


def test_the_same_id_on_two_days_is_no_repeat() -> None:
    found = judged("users", [row("users", 1), row("users", 1, landed=NEXT)], days=(DAY, NEXT))
    assert all(check.passed for checks in found.values() for check in checks)


def test_each_partition_of_a_pass_is_judged_by_its_own_rows() -> None:
    rows = [row("items", 1), row("items", 2, landed=NEXT, title=None)]
    found = judged("items", rows, days=(DAY, NEXT))
    assert [day for day, checks in found.items() for check in checks if not check.passed] == [NEXT]
    assert all(check.day == day for day, checks in found.items() for check in checks)


@pytest.mark.parametrize("kind", ["items", "users"])
def test_a_partition_of_no_rows_has_nothing_to_judge(kind: TableKind) -> None:
    assert judged(kind, []) == {DAY: []}


@pytest.mark.parametrize("kind", ["items", "users"])
def test_every_expectation_says_in_words_what_it_expects(kind: TableKind) -> None:
    words = [expectation.meta["expects"] for expectation in suite_of(kind)]
    assert len(set(words)) == len(words)
    assert {check.meaning for check in judged(kind, [row(kind, 1)])[DAY]} == {
        f"share of rows without: {w}" for w in words
    }
