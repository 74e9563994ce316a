"""The day rules: Great Expectations judges one row of metrics a partition, which DuckDB computed in one pass.

A suite over rows would read every value once a rule; over metrics it costs the same for a thousand rows and for a
thousand million (docs/decisions/0003-metrics-then-suites.md).
"""

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Mapping

import great_expectations.expectations as gxe
import pandas as pd

from retrieval.rules import DAY_RULES, Rules
from retrieval.schema import Kind
from validation.suites import failed_rows, validate
from validation.verdict import Check

Metrics = Mapping[str, float | None]
OF_KIND: dict[Kind, tuple[str, ...]] = {"items": ("catalogue_ratio",), "users": ()}
SEVERITIES = {"block": "critical", "warn": "warning"}
"""What Great Expectations calls them."""


def rules_of(kind: Kind) -> tuple[str, ...]:
    """The rules whose metrics are computed for a kind; the others of items and users are judged row by row."""
    others = ("catalogue_ratio", "bad_item_share", "bad_user_share")
    return tuple(rule for rule in DAY_RULES if rule not in others) if kind == "events" else OF_KIND[kind]


def judge_metrics(
    metrics: Mapping[dt.date, Metrics], rules: Rules, kind: Kind = "events"
) -> dict[dt.date, list[Check]]:
    """Every rule's result for every day's metrics.

    A metric without a value, such as the volume of a first day, is not judged and passes.
    """
    names = rules_of(kind)
    if not metrics or not names:
        return {day: [] for day in metrics}
    days = list(metrics)
    frame = pd.DataFrame({name: [_number(metrics[day].get(name)) for day in days] for name in names}, dtype="float64")
    checks: dict[dt.date, list[Check]] = defaultdict(list)
    for result in validate(frame, [_expectation(name, rules) for name in names]):
        name = result.expectation_config.kwargs["column"]
        failed = set(failed_rows(result))
        for index, day in enumerate(days):
            checks[day].append(_check(kind, day, name, rules, frame[name].iloc[index], passed=index not in failed))
    return dict(checks)


def _expectation(name: str, rules: Rules) -> gxe.Expectation:
    low, high = rules.bounds_of(name)
    severity = SEVERITIES[rules.severity_of(name)]
    return gxe.ExpectColumnValuesToBeBetween(column=name, min_value=low, max_value=high, severity=severity)


def _check(kind: Kind, day: dt.date, name: str, rules: Rules, value: float, *, passed: bool) -> Check:
    rule = DAY_RULES[name]
    return Check(
        kind=kind,
        day=day,
        about=rule.about,
        rule=name,
        meaning=rule.meaning,
        severity=rules.severity_of(name),
        passed=passed,
        observed="nothing to compare with" if math.isnan(value) else _plain(value),
        expected=_bounds(*rules.bounds_of(name)),
        cure=rule.cure,
    )


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _bounds(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
