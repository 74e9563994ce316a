"""The gate: whether a candidate that passed its acceptance tests is good enough to become live.

Of a candidate beside a live release it asks only that nothing got worse by more than is tolerated, and it is sure of a
loss before it says so; of a first release it asks for absolute floors.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from retrieval.blend import BLEND
from retrieval.comparison import EVERYBODY, Difference
from retrieval.release_rules import GATE_METRICS, Decision, GateConfig
from validation.verdict import Check, blocking

_LOSS = (
    "See what changed by `lamplighter releases diff`; to make it live all the same: `lamplighter releases promote ID`."
)
_FLOOR = "Look at the sources' quality in the report, or lower gate.floors for this recipe."
_FEW = "Judge a day with more users, or lower gate.min_users."


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of a candidate, and why."""

    decision: Decision
    reasons: tuple[str, ...]


def decide(acceptance: Sequence[Check], gate: Sequence[Check]) -> Ruling:
    """Refused where an acceptance test blocks, held where the gate does, promoted otherwise."""
    for decision, checks in (("refuse", blocking(acceptance)), ("hold", blocking(gate))):
        if checks:
            return Ruling(decision, tuple(check.sentence() for check in checks))  # type: ignore[arg-type]
    return Ruling("promote", (f"it passed {len(acceptance)} acceptance tests and {len(gate)} checks of the gate",))


def judge_differences(differences: Sequence[Difference], config: GateConfig, day: dt.date) -> list[Check]:
    """One check a difference that enough users stand behind, and one that there are enough at all."""
    n_users = max((d.n_users for d in differences), default=0)
    judged = [
        _check_loss(difference, config, day)
        for difference in differences
        if difference.n_users >= (1 if _is_general(difference) else config.min_users)
    ]
    return [_enough(n_users, config, day), *judged]


def judge_floors(values: Mapping[str, float], config: GateConfig, day: dt.date) -> list[Check]:
    """One check a floor whose metric was measured."""
    return [
        Check(
            kind="release",
            day=day,
            about="first release",
            rule=metric,
            meaning=GATE_METRICS[metric],
            severity=config.severity.get(metric, "block"),
            passed=values[metric] >= floor,
            observed=f"{values[metric]:.4f}",
            expected=f"at least {floor:.4f}",
            cure=_FLOOR,
        )
        for metric, floor in config.floors.items()
        if metric in values
    ]


def _check_loss(difference: Difference, config: GateConfig, day: dt.date) -> Check:
    tolerated = _tolerated(difference, config) * difference.live
    change = difference.change
    return Check(
        kind="release",
        day=day,
        about=_about(difference),
        rule=_name(difference),
        meaning=GATE_METRICS[difference.metric],
        severity=config.severity.get(difference.metric, "block"),
        passed=change.high >= -tolerated,
        observed=(
            f"{difference.candidate:.4f} beside {difference.live:.4f} live: {change.mean:+.4f} "
            f"({change.low:+.4f} to {change.high:+.4f}) on {difference.n_users:,} users"
        ),
        expected=f"no sure loss of more than {tolerated:.4f}",
        cure=_LOSS,
    )


def _enough(n_users: int, config: GateConfig, day: dt.date) -> Check:
    return Check(
        kind="release",
        day=day,
        about="the live release",
        rule="enough users",
        meaning="users who chose something on the day",
        severity="warn",
        passed=n_users >= config.min_users,
        observed=f"{n_users:,}",
        expected=f"at least {config.min_users:,}",
        cure=_FEW,
    )


def _tolerated(difference: Difference, config: GateConfig) -> float:
    if difference.of != BLEND:
        return config.source_tolerance
    return config.tolerated(difference.metric) if difference.segment == EVERYBODY else config.segment_tolerance


def _is_general(difference: Difference) -> bool:
    return difference.of == BLEND and difference.segment == EVERYBODY


def _about(difference: Difference) -> str:
    if difference.of != BLEND:
        return "sources beside the live release"
    return "the live release" if difference.segment == EVERYBODY else "segments beside the live release"


def _name(difference: Difference) -> str:
    if difference.of != BLEND:
        return f"{difference.metric} of {difference.of}"
    return difference.metric if difference.segment == EVERYBODY else f"{difference.metric}, {difference.segment}"
