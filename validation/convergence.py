"""What cohorts of fresh items were found to do, as checks beside the gate's own."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from retrieval.convergence_rules import ConvergenceConfig
from validation.verdict import Check

_MEANING = "whether the vectors of items first seen that day settle"


def judge_cohorts(spaces: Sequence[dict[str, Any]], config: ConvergenceConfig, day: dt.date) -> list[Check]:
    """One check a failing cohort, and one a space whose judged cohorts all converge; `SpaceFindings` as plain values.

    Where it is too early to tell, there is no check: it neither passes nor fails.
    """
    checks = []
    for space in spaces:
        judged = [cohort for cohort in space["cohorts"] if cohort["state"] != "early"]
        failing = [cohort for cohort in judged if cohort["state"] == "failing"]
        for cohort in failing or judged[-1:]:
            checks.append(_check(space["space"], cohort, config, day))
    return checks


def _check(space: str, cohort: dict[str, Any], config: ConvergenceConfig, day: dt.date) -> Check:
    return Check(
        kind="release",
        day=day,
        about="fresh items",
        rule=f"convergence of {space}, {cohort['first_seen']}",
        meaning=_MEANING,
        severity="block" if config.blocks else "warn",
        passed=cohort["state"] == "converging",
        observed=cohort["observed"],
        expected=cohort["expected"],
        cure=cohort["cure"],
    )
