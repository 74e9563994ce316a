"""The day rules: each fails on a day made for it, passes on a clean one, and says what to do."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from retrieval.rules import Rules
from validation.events import CURES, REASONS, expectations, judge_days
from validation.verdict import Check, blocking

DAY = dt.date(2026, 3, 5)
CONTRACT = Path(__file__).parents[2] / "docs" / "data-contract.md"
RULES = Rules()
CLEAN: dict[str, Any] = {
    "day": DAY,
    "n_rows": 1000,
    "null_share": 0.0,
    "unknown_action_share": 0.0,
    "outside_day_share": 0.0,
    "unknown_item_share": 0.0,
    "duplicate_share": 0.0,
    "refused_share": 0.0,
    "usual_rows": 1000.0,
    "trailing_days": 28,
    "volume_ratio": 1.0,
    "first_event": dt.datetime(2026, 3, 5),
}
FAULTS = [
    ("n_rows", 0, "critical", "at least 1"),
    ("null_share", 0.0101, "critical", "at most 0.01"),
    ("unknown_action_share", 0.5, "critical", "at most 0.01"),
    ("outside_day_share", 1.0, "critical", "at most 0.01"),
    ("unknown_item_share", 0.051, "warning", "at most 0.05"),
    ("duplicate_share", 0.11, "warning", "at most 0.1"),
    ("refused_share", 0.06, "critical", "at most 0.05"),
    ("volume_ratio", 0.19, "critical", "between 0.2 and 5"),
    ("volume_ratio", 5.01, "critical", "between 0.2 and 5"),
]
SCHEMA = pa.schema(
    [
        ("day", pa.date32()),
        ("n_rows", pa.int64()),
        *((name, pa.float64()) for name in CURES if name != "n_rows"),
        ("usual_rows", pa.float64()),
        ("trailing_days", pa.int64()),
        ("first_event", pa.timestamp("us")),
    ]
)


def metrics(*days: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(days), schema=SCHEMA)


def judged(**changes: Any) -> dict[str, Check]:
    (checks,) = judge_days(metrics(CLEAN | changes), RULES).values()
    return {check.rule: check for check in checks}


def test_a_clean_day_passes_every_rule() -> None:
    checks = judged()
    assert list(checks) == list(CURES)
    assert all(check.passed for check in checks.values())
    assert blocking(checks.values()) == []


@pytest.mark.parametrize(("rule", "value", "severity", "expected"), FAULTS)
def test_a_rule_fails_on_the_day_made_for_it_and_no_other_does(
    rule: str, value: float, severity: str, expected: str
) -> None:
    checks = judged(**{rule: value})
    assert [name for name, check in checks.items() if not check.passed] == [rule]
    check = checks[rule]
    assert (check.severity, check.expected, check.day) == (severity, expected, DAY)
    assert check.blocks == (severity == "critical")
    assert blocking(checks.values()) == ([check] if check.blocks else [])


@pytest.mark.parametrize(("rule", "value", "severity", "expected"), FAULTS)
def test_a_sentence_names_rule_day_found_expected_and_cure(
    rule: str, value: float, severity: str, expected: str
) -> None:
    sentence = judged(**{rule: value})[rule].sentence()
    for part in (rule, "2026-03-05", f"{value:.4g}", expected, CURES[rule]):
        assert part in sentence


@pytest.mark.parametrize(
    ("rule", "bound"),
    [
        ("n_rows", 1),
        ("null_share", RULES.max_null_share),
        ("unknown_action_share", RULES.max_unknown_action_share),
        ("outside_day_share", RULES.max_outside_day_share),
        ("unknown_item_share", RULES.max_unknown_item_share),
        ("duplicate_share", RULES.max_duplicate_share),
        ("refused_share", RULES.max_refused_share),
        ("volume_ratio", RULES.min_volume_ratio),
        ("volume_ratio", RULES.max_volume_ratio),
    ],
)
def test_a_bound_itself_is_kept(rule: str, bound: float) -> None:
    assert judged(**{rule: bound})[rule].passed


def test_a_bound_of_the_recipe_is_the_bound_that_judges() -> None:
    strict = Rules(max_duplicate_share=0.0, max_volume_ratio=1.5, min_volume_ratio=0.9)
    (checks,) = judge_days(metrics(CLEAN | {"duplicate_share": 0.001, "volume_ratio": 1.6}), strict).values()
    assert {check.rule: check.expected for check in checks if not check.passed} == {
        "duplicate_share": "at most 0",
        "volume_ratio": "between 0.9 and 1.5",
    }


def test_a_volume_that_is_not_known_is_not_judged() -> None:
    check = judged(volume_ratio=None)["volume_ratio"]
    assert (check.passed, check.observed) == (True, "not known")


def test_a_day_of_no_rows_is_refused_for_that_alone() -> None:
    shares = {name: None for name in CURES if name != "n_rows"}
    checks = judged(n_rows=0, first_event=None, **shares)
    assert [check.rule for check in blocking(checks.values())] == ["n_rows"]


def test_each_day_of_a_batch_is_judged_by_its_own_metrics() -> None:
    days = [DAY + dt.timedelta(n) for n in range(4)]
    faults: list[dict[str, Any]] = [{}, {"n_rows": 0}, {"volume_ratio": None}, {"null_share": 0.5, "volume_ratio": 9.0}]
    verdicts = judge_days(metrics(*[CLEAN | {"day": day} | f for day, f in zip(days, faults, strict=True)]), RULES)
    failed = {day: [check.rule for check in checks if not check.passed] for day, checks in verdicts.items()}
    assert failed == {days[0]: [], days[1]: ["n_rows"], days[2]: [], days[3]: ["null_share", "volume_ratio"]}
    assert all(check.day == day for day, checks in verdicts.items() for check in checks)


def test_no_day_at_all_has_no_verdict() -> None:
    assert judge_days(metrics(), RULES) == {}


def test_the_suite_has_a_cure_for_every_rule() -> None:
    assert [expectation.column for expectation in expectations(RULES)] == list(CURES)


def table_of(heading: str) -> dict[str, list[str]]:
    """The rows of the first table under a heading of the data contract, by their first cell."""
    section = CONTRACT.read_text().split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in re.findall(r"^\|.*\|$", section, re.M)]
    return {row[0]: row[1:] for row in rows[2:]}


def test_the_data_contract_lists_exactly_the_reasons_with_their_meaning() -> None:
    assert {reason: cells[0] for reason, cells in table_of("What happens to a bad row").items()} == REASONS


def test_the_data_contract_lists_exactly_the_rules_with_severity_and_default() -> None:
    documented = table_of("What happens to a bad day")
    checks = judged()
    assert {rule: cells[0] for rule, cells in documented.items()} == {c.rule: c.severity for c in checks.values()}
    for rule, (_, default) in documented.items():
        numbers = re.findall(r"\d+(?:\.\d+)?", checks[rule].expected)
        assert [float(n) for n in re.findall(r"\d+(?:\.\d+)?", default)][: len(numbers)] == [float(n) for n in numbers]
