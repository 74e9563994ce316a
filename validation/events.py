"""The day rules: Great Expectations judges one row of metrics a day, which DuckDB computed in one pass.

A suite over rows would read every value once a rule; over metrics it costs the same for a thousand rows and for a
thousand million (docs/decisions/0003-metrics-then-suites.md).
"""

import datetime as dt
import math
from collections import defaultdict
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
import pyarrow as pa

from retrieval.rules import Rules
from validation.verdict import Check

REASONS: dict[str, str] = {
    "missing_user": "the row has no user_id",
    "missing_item": "the row has no item_id",
    "missing_title": "the item has no title",
    "unknown_action": "the action is not in the recipe's actions",
    "unreadable_time": "occurred_at is missing or cannot be read as a time",
    "outside_day": "occurred_at lies outside the day of the partition",
    "unknown_item": "the item was in no catalogue landed up to that day",
    "ends_before_start": "available_until is before available_from",
    "unreadable_value": "a value is there but cannot be read as its column's type",
}
"""Why a row is set aside; documented in docs/data-contract.md."""

CURES: dict[str, str] = {
    "n_rows": "Land the day's events again.",
    "null_share": "Fix the export's user_id and item_id, or raise rules.max_null_share.",
    "unknown_action_share": "Add the new actions to the recipe's actions, or raise rules.max_unknown_action_share.",
    "outside_day_share": "Land each event under the UTC day of its occurred_at, or raise rules.max_outside_day_share.",
    "unknown_item_share": "Land the missing items under items/, or raise rules.max_unknown_item_share.",
    "duplicate_share": "Look for a retried export, or raise rules.max_duplicate_share.",
    "refused_share": "Look at the reasons in the quarantine, or raise rules.max_refused_share.",
    "volume_ratio": "Check that the export is whole, or widen rules.min_volume_ratio and rules.max_volume_ratio.",
}


def expectations(rules: Rules) -> list[gxe.Expectation]:
    """The suite: every rule a day must keep, with its severity."""

    def at_most(column: str, share: float, severity: str) -> gxe.Expectation:
        return gxe.ExpectColumnValuesToBeBetween(column=column, max_value=share, severity=severity)

    return [
        gxe.ExpectColumnValuesToBeBetween(column="n_rows", min_value=1, severity="critical"),
        at_most("null_share", rules.max_null_share, "critical"),
        at_most("unknown_action_share", rules.max_unknown_action_share, "critical"),
        at_most("outside_day_share", rules.max_outside_day_share, "critical"),
        at_most("unknown_item_share", rules.max_unknown_item_share, "warning"),
        at_most("duplicate_share", rules.max_duplicate_share, "warning"),
        at_most("refused_share", rules.max_refused_share, "critical"),
        gxe.ExpectColumnValuesToBeBetween(
            column="volume_ratio",
            min_value=rules.min_volume_ratio,
            max_value=rules.max_volume_ratio,
            severity="critical",
        ),
    ]


def judge_days(metrics: pa.Table, rules: Rules) -> dict[dt.date, list[Check]]:
    """Every rule's result for every day of the metrics table.

    A metric without a value, such as the volume of a first day, is not judged and passes.
    """
    frame = metrics.to_pandas()
    days = [day.date() if isinstance(day, dt.datetime) else day for day in frame["day"]]
    frame = frame[[column for column in CURES if column in frame]].astype("float64")
    checks: dict[dt.date, list[Check]] = defaultdict(list)
    for result in _validate(frame, expectations(rules)):
        settings = result.expectation_config
        column = settings.kwargs["column"]
        failed = set(result.result.get("unexpected_index_list") or [])
        for index, day in enumerate(days):
            checks[day].append(
                Check(
                    rule=column,
                    day=day,
                    severity="critical" if settings.severity == "critical" else "warning",
                    passed=index not in failed,
                    observed=_number(frame[column].iloc[index]),
                    expected=_bounds(settings.kwargs),
                    cure=CURES[column],
                )
            )
    return dict(checks)


def _validate(frame: pd.DataFrame, suite: list[gxe.Expectation]) -> list[Any]:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    batch = (
        context.data_sources.add_pandas("metrics")
        .add_dataframe_asset("days")
        .add_batch_definition_whole_dataframe("all")
    )
    validated = batch.get_batch({"dataframe": frame}).validate(
        gx.ExpectationSuite("days", expectations=suite),
        result_format={"result_format": "COMPLETE"},
    )
    return list(validated.results)


def _bounds(settings: dict[str, Any]) -> str:
    low, high = settings.get("min_value"), settings.get("max_value")
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"


def _number(value: float) -> str:
    return "not known" if math.isnan(value) else f"{value:.4g}"
