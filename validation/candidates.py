"""Acceptance tests: the bounds that every candidate has to keep, whatever it is compared with."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

from retrieval.index import IndexConfig
from retrieval.release_rules import ACCEPTANCE_RULES, AcceptanceConfig
from retrieval.soundness import WHOLE, Reading
from validation.verdict import Check


def judge_readings(
    readings: Sequence[Reading], config: AcceptanceConfig, index: IndexConfig, day: dt.date
) -> list[Check]:
    """One check a reading; a value that is no number passes nothing."""
    bounds = config.model_dump() | {"min_recall": index.min_recall}
    return [_check(reading, bounds, config, day) for reading in readings]


def _check(reading: Reading, bounds: Mapping[str, Any], config: AcceptanceConfig, day: dt.date) -> Check:
    rule = ACCEPTANCE_RULES[reading.rule]
    low, high = (bounds[key] if key else None for key in (rule.low, rule.high))
    above = low is None or reading.value >= low
    below = high is None or reading.value <= high
    return Check(
        kind="release",
        day=day,
        about=rule.about,
        rule=reading.rule if reading.of == WHOLE else f"{reading.rule} of {reading.of}",
        meaning=rule.meaning,
        severity=config.severity.get(reading.rule, rule.severity),
        passed=math.isfinite(reading.value) and above and below,
        observed=f"{reading.value:,.4g}",
        expected=_bounds(low, high),
        cure=rule.cure,
    )


def _bounds(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"between {low:,.4g} and {high:,.4g}"
    return f"at least {low:,.4g}" if low is not None else f"at most {high:,.4g}"
