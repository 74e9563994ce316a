"""What cohorts do becomes checks of the gate: those that fail one by one, the others together, early ones not at all."""

import datetime as dt
from typing import Any

import pytest

from retrieval.convergence_rules import ConvergenceConfig
from validation.convergence import judge_cohorts
from validation.gate import decide

DAY = dt.date(2026, 3, 5)


def space(name: str, *states: str) -> dict[str, Any]:
    cohorts = [
        {"first_seen": f"2026-02-{n + 1:02d}", "state": state, "observed": "o", "expected": "e", "cure": "c"}
        for n, state in enumerate(states)
    ]
    return {"space": name, "cohorts": cohorts}


def test_failing_cohorts_are_checks_of_their_own_and_converging_ones_are_one() -> None:
    spaces = [space("a", "failing", "converging", "failing", "early"), space("b", "converging", "converging", "early")]
    checks = judge_cohorts(spaces, ConvergenceConfig(), DAY)
    assert [(check.rule, check.passed) for check in checks] == [
        ("convergence of a, 2026-02-01", False),
        ("convergence of a, 2026-02-03", False),
        ("convergence of b, 2026-02-02", True),
    ]


def test_where_it_is_too_early_nothing_passes_or_fails() -> None:
    assert judge_cohorts([space("a", "early"), space("b")], ConvergenceConfig(), DAY) == []


@pytest.mark.parametrize(("blocks", "decision"), [(False, "promote"), (True, "hold")])
def test_a_failing_cohort_warns_or_holds_as_the_recipe_says(blocks: bool, decision: str) -> None:
    checks = judge_cohorts([space("a", "failing")], ConvergenceConfig(blocks=blocks), DAY)
    assert decide([], checks).decision == decision
