"""The gate: whether a candidate that passed its acceptance tests is good enough to become live.

Of a candidate beside a live release it asks only that nothing got worse by more than is tolerated, and it is sure of a
loss before it says so; of a first release it asks for absolute floors.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from retrieval.blend import BLEND
from retrieval.comparison import EVERYBODY, Difference
from retrieval.release_rules import GATE_METRICS, Decision, GateConfig
from validation.verdict import Check, blocking

_LOSS = (
    "See what changed by `lamplighter releases diff`; to make it live all the same: `lamplighter releases promote ID`."
)
_FLOOR = "Look at the sources' quality in the report, or lower gate.floors for this recipe."
_UNASKED = "If this candidate is good by its own figures, `lamplighter releases promote ID` makes it live."
_FEW = "Judge a day with more users, or lower gate.min_users."
_NOBODY = "Look for a mistake in its name; docs/data-contract.md says where attributes of users come from."


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


def judge_segments(named: Sequence[str], known: Collection[str], day: dt.date) -> list[Check]:
    """A warning for each attribute that the recipe names and no user has."""
    return [
        _check(f"segment {name}", "users who have this attribute", "none", "at least 1", _NOBODY, day)
        for name in named
        if name not in known
    ]


def judge_sources(ours: Collection[str], live: Collection[str], day: dt.date) -> list[Check]:
    """A warning where the two releases have other sources: what only one has is compared within the blend alone."""
    if set(ours) == set(live):
        return []
    found = (
        "sources",
        "sources of both releases",
        ", ".join(sorted(ours)),
        f"{', '.join(sorted(live))}, as in the live one",
    )
    return [_check(*found, "If the recipe was changed on purpose, nothing.", day)]


def judge_floors(values: Mapping[str, float], config: GateConfig, day: dt.date) -> list[Check]:
    """One check a floor: what keeps a release that is lost a little each night from going unseen."""
    return [
        Check(
            kind="release",
            day=day,
            about="floors",
            rule=metric,
            meaning=GATE_METRICS[metric],
            severity=config.severity.get(metric, "block"),
            passed=values[metric] >= floor,
            observed=f"{values[metric]:.4f}",
            expected=f"at least {floor:.4f}",
            cure=_FLOOR,
        )
        for metric, floor in config.floors.items()
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


def cannot_be_asked(live: str, why: str, day: dt.date) -> Check:
    """What holds a candidate that there is nothing to compare with, although a release is live."""
    found = _check("live release", "the live release answers", f"{live} does not: {why}", "an answer", _UNASKED, day)
    return replace(found, severity="block")


def _enough(n_users: int, config: GateConfig, day: dt.date) -> Check:
    least = f"at least {config.min_users:,}"
    found = _check("enough users", "users who chose something on the day", f"{n_users:,}", least, _FEW, day)
    return replace(found, passed=n_users >= config.min_users, severity="warn" if n_users else "block")


def _check(rule: str, meaning: str, observed: str, expected: str, cure: str, day: dt.date) -> Check:
    about = "the live release"
    return Check("release", day, about, rule, meaning, "warn", False, observed, expected, cure)


def _tolerated(difference: Difference, config: GateConfig) -> float:
    if difference.of != BLEND:
        return config.source_tolerance
    return config.tolerance[difference.metric] if difference.segment == EVERYBODY else config.segment_tolerance


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
