"""The suites of the small tables, catalogue and users: Great Expectations judges their landed rows themselves."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

import great_expectations.expectations as gxe
import pandas as pd
import pyarrow as pa

from retrieval.rules import DAY_RULES, Rules
from validation.suites import failed_rows, validate
from validation.verdict import Check

TableKind = Literal["items", "users"]
RULES: dict[TableKind, str] = {"items": "bad_item_share", "users": "bad_user_share"}
UNIQUE = "{} is unique in its partition"
"""Repeated rows are dropped and counted: a matter of the rule on duplicates, not of bad rows."""
LONGEST_ID = 512
LONGEST_TITLE = 2_000


def suite_of(kind: TableKind) -> list[gxe.Expectation]:
    """What is expected of landed rows; each says it in words, too."""
    id_ = "item_id" if kind == "items" else "user_id"
    suite: dict[str, gxe.Expectation] = {
        f"{id_} is there": gxe.ExpectColumnValuesToNotBeNull(column=id_),
        UNIQUE.format(id_): gxe.ExpectCompoundColumnsToBeUnique(column_list=["landed", id_]),
        f"{id_} has 1 to {LONGEST_ID} characters": gxe.ExpectColumnValueLengthsToBeBetween(
            column=id_, min_value=1, max_value=LONGEST_ID
        ),
        "every value can be read": gxe.ExpectColumnValuesToBeInSet(column="is_unreadable", value_set=[False]),
    }
    if kind == "items":
        suite |= {
            "title is there": gxe.ExpectColumnValuesToNotBeNull(column="title"),
            f"title has 1 to {LONGEST_TITLE:,} characters": gxe.ExpectColumnValueLengthsToBeBetween(
                column="title", min_value=1, max_value=LONGEST_TITLE
            ),
            "available_until is not before available_from": gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A="available_until",
                column_B="available_from",
                or_equal=True,
                ignore_row_if="either_value_is_missing",
            ),
        }
    for what, expectation in suite.items():
        expectation.meta = {"expects": what}
    return list(suite.values())


def judge_table(kind: TableKind, rows: pa.Table, days: Iterable[dt.date], rules: Rules) -> dict[dt.date, list[Check]]:
    """Every expectation's result for every landed partition of a small table.

    A partition fails an expectation when more of its rows break it than the recipe allows.
    """
    checks: dict[dt.date, list[Check]] = {day: [] for day in days}
    suite = suite_of(kind)
    if not rows.num_rows:
        return checks
    frame = _frame(rows, kind)
    n_rows = frame["landed"].value_counts()
    for result in validate(frame, suite):
        what = result.expectation_config.meta["expects"]
        rule = "duplicate_share" if what.endswith(UNIQUE[2:]) else RULES[kind]
        _, most = rules.bounds_of(rule)
        broken: dict[dt.date, int] = defaultdict(int)
        for row in failed_rows(result):
            broken[frame["landed"].iloc[row]] += 1
        for day, results in checks.items():
            share = broken[day] / n_rows.get(day, 1)
            results.append(
                Check(
                    kind=kind,
                    day=day,
                    about=DAY_RULES[rule].about,
                    rule=rule,
                    meaning=f"share of rows without: {what}",
                    severity=rules.severity_of(rule),
                    passed=bool(share <= (most or 0.0)),
                    observed=f"{share:.4g}",
                    expected=f"at most {most:g}",
                    cure=DAY_RULES[rule].cure,
                )
            )
    return checks


def _frame(rows: pa.Table, kind: TableKind) -> pd.DataFrame:
    names = ["landed", "user_id", "is_unreadable"]
    if kind == "items":
        names = ["landed", "item_id", "title", "available_from", "available_until", "is_unreadable"]
    frame = rows.select(names).to_pandas()
    for name in ("available_from", "available_until"):
        if name in frame:
            frame[name] = pd.to_datetime(frame[name], errors="coerce")
    return frame
