"""The day rules: each fails on a day made for it, passes on a clean one, and says what to do."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest

from retrieval.rules import DAY_RULES, Rules
from validation.metrics import judge_metrics, rules_of
from validation.reasons import REASONS
from validation.verdict import Check, blocking

DAY = dt.date(2026, 3, 5)
CONTRACT = Path(__file__).parents[2] / "docs" / "data-contract.md"
RULES = Rules()
CLEAN: dict[str, float | None] = dict.fromkeys(rules_of("events"), 0.0) | {"n_rows": 1000.0, "volume_ratio": 1.0}
FAULTS = [
    ("n_rows", 0, "block", "at least 1"),
    ("volume_ratio", 0.19, "block", "between 0.2 and 5"),
    ("volume_ratio", 5.01, "block", "between 0.2 and 5"),
    ("null_share", 0.0101, "block", "at most 0.01"),
    ("unknown_action_share", 0.5, "block", "at most 0.01"),
    ("outside_day_share", 1.0, "block", "at most 0.01"),
    ("bad_value_share", 0.02, "block", "at most 0.01"),
    ("refused_share", 0.06, "block", "at most 0.05"),
    ("malformed_context_share", 0.02, "warn", "at most 0.01"),
    ("unknown_item_share", 0.051, "warn", "at most 0.05"),
    ("duplicate_share", 0.11, "warn", "at most 0.1"),
    ("late_share", 0.06, "warn", "at most 0.05"),
    ("quiet_hours", 12.5, "warn", "at most 12"),
    ("new_user_share", 0.51, "warn", "at most 0.5"),
    ("new_item_share", 0.51, "warn", "at most 0.5"),
    *((f"{what}_psi", 0.26, "warn", "at most 0.25") for what in ("action", "topic", "value")),
    *((f"{what}_js", 0.11, "warn", "at most 0.1") for what in ("action", "topic", "value")),
]


def judged(rules: Rules = RULES, **changes: float | None) -> dict[str, Check]:
    (checks,) = judge_metrics({DAY: CLEAN | changes}, rules).values()
    return {check.rule: check for check in checks}


def test_a_clean_day_passes_every_rule() -> None:
    checks = judged()
    assert set(checks) == set(rules_of("events"))
    assert all(check.passed for check in checks.values())
    assert blocking(checks.values()) == []


def test_every_rule_of_events_has_a_day_made_for_it() -> None:
    assert {rule for rule, *_ in FAULTS} == set(rules_of("events"))
    assert set(rules_of("events")) | {"catalogue_ratio", "bad_item_share", "bad_user_share"} == set(DAY_RULES)


@pytest.mark.parametrize(("rule", "value", "severity", "expected"), FAULTS)
def test_a_rule_fails_on_the_day_made_for_it_and_no_other_does(
    rule: str, value: float, severity: str, expected: str
) -> None:
    checks = judged(**{rule: value})
    assert [name for name, check in checks.items() if not check.passed] == [rule]
    check = checks[rule]
    assert (check.severity, check.expected, check.day, check.kind) == (severity, expected, DAY, "events")
    assert check.blocks == (severity == "block")
    assert blocking(checks.values()) == ([check] if check.blocks else [])
    for part in (rule, "2026-03-05", f"{value:.4g}", expected, DAY_RULES[rule].meaning, DAY_RULES[rule].cure):
        assert part in check.sentence()


@pytest.mark.parametrize("rule", rules_of("events"))
def test_a_bound_itself_is_kept(rule: str) -> None:
    for bound in RULES.bounds_of(rule):
        if bound is not None:
            assert judged(**{rule: bound})[rule].passed


def test_a_bound_of_the_recipe_is_the_bound_that_judges() -> None:
    strict = Rules(max_duplicate_share=0.0, max_volume_ratio=1.5, min_volume_ratio=0.9)
    checks = judged(strict, duplicate_share=0.001, volume_ratio=1.6)
    assert {check.rule: check.expected for check in checks.values() if not check.passed} == {
        "duplicate_share": "at most 0",
        "volume_ratio": "between 0.9 and 1.5",
    }


def test_a_severity_of_the_recipe_is_the_one_that_acts() -> None:
    rules = Rules(severity={"duplicate_share": "block", "null_share": "warn"})
    checks = judged(rules, duplicate_share=0.5, null_share=0.5)
    assert [check.rule for check in blocking(checks.values())] == ["duplicate_share"]
    assert checks["null_share"].severity == "warn"


def test_a_severity_of_a_rule_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match=r"severity names \['null_shar'\], but the rules are n_rows"):
        Rules.model_validate({"severity": {"null_shar": "warn"}})


@pytest.mark.parametrize("rule", rules_of("events"))
def test_a_metric_that_is_not_known_is_not_judged(rule: str) -> None:
    check = judged(**{rule: None})[rule]
    assert (check.passed, check.observed) == (True, "nothing to compare with")


def test_metrics_that_were_never_recorded_are_not_judged() -> None:
    (checks,) = judge_metrics({DAY: {}}, RULES).values()
    assert all(check.passed for check in checks)


def test_a_day_of_no_rows_is_refused_for_that_alone() -> None:
    checks = judged(**{**dict.fromkeys(CLEAN), "n_rows": 0})
    assert [check.rule for check in checks.values() if not check.passed] == ["n_rows"]


def test_each_day_of_a_batch_is_judged_by_its_own_metrics() -> None:
    days = [DAY + dt.timedelta(n) for n in range(4)]
    faults: list[dict[str, Any]] = [{}, {"n_rows": 0}, {"volume_ratio": None}, {"null_share": 0.5, "volume_ratio": 9.0}]
    verdicts = judge_metrics({day: CLEAN | f for day, f in zip(days, faults, strict=True)}, RULES)
    failed = {day: {check.rule for check in checks if not check.passed} for day, checks in verdicts.items()}
    assert failed == {days[0]: set(), days[1]: {"n_rows"}, days[2]: set(), days[3]: {"null_share", "volume_ratio"}}
    assert all(check.day == day for day, checks in verdicts.items() for check in checks)


def test_no_day_at_all_has_no_verdict() -> None:
    assert judge_metrics({}, RULES) == {}


@pytest.mark.parametrize(("ratio", "passed"), [(0.8, True), (0.79, False), (9.0, True), (None, True)])
def test_a_catalogue_is_judged_by_what_is_left_of_the_former_one(ratio: float | None, passed: bool) -> None:
    ((check,),) = judge_metrics({DAY: {"catalogue_ratio": ratio}}, RULES, "items").values()
    assert (check.rule, check.kind, check.passed, check.blocks) == ("catalogue_ratio", "items", passed, not passed)
    assert check.expected == "at least 0.8"


def test_users_have_no_metrics_of_a_partition() -> None:
    assert judge_metrics({DAY: {}}, RULES, "users") == {DAY: []}


def test_large_numbers_are_written_out() -> None:
    assert judged(n_rows=1_234_567)["n_rows"].observed == "1,234,567"


def table_of(heading: str) -> dict[str, list[str]]:
    """The rows of the first table under a heading of the data contract, by their first cell."""
    section = CONTRACT.read_text().split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in re.findall(r"^\|.*\|$", section, re.M)]
    return {row[0]: row[1:] for row in rows[2:]}


def test_the_data_contract_lists_exactly_the_reasons_with_their_meaning() -> None:
    assert {reason: cells[0] for reason, cells in table_of("What happens to a row").items()} == REASONS


def test_the_data_contract_lists_exactly_the_rules_with_subject_severity_and_default() -> None:
    documented = table_of("What happens to a bad day")
    assert {rule: tuple(cells[:2]) for rule, cells in documented.items()} == {
        rule: (DAY_RULES[rule].about, RULES.severity_of(rule)) for rule in DAY_RULES
    }
    for rule, (_, _, default, _) in documented.items():
        bounds = [bound for bound in RULES.bounds_of(rule) if bound is not None]
        assert [float(n) for n in re.findall(r"\d+(?:\.\d+)?", default)][: len(bounds)] == bounds
