"""What the pages for people share: their values, their templates, and how a suite's results are laid out."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from retrieval.rules import DAY_RULES
from retrieval.wording import count, seconds, share

SUBJECTS = tuple(dict.fromkeys(rule.about for rule in DAY_RULES.values()))
N_SHOWN = 60
"""More failed checks of one subject than this are counted, not shown: the first pass of a lake judges years."""
BOUNDS = re.compile(r"at most (?P<high>\S+)|at least (?P<low>\S+)|between (?P<least>\S+) and (?P<most>\S+)")
POWERS_OF_TEN = re.compile(r"\b\d(\.\d+)?e\+\d\d\b")


@dataclass(frozen=True, slots=True)
class RowCounts:
    """What became of one kind's landed rows: landed = loaded + quarantined + duplicates + forgotten."""

    kind: str
    landed: int
    loaded: int
    quarantined: int
    duplicates: int
    forgotten: int
    """Rows of users who had to be forgotten, not kept anywhere."""
    late: int
    """Those of the loaded rows that went to an earlier day, their own."""

    @property
    def unaccounted(self) -> int:
        return self.landed - self.loaded - self.quarantined - self.duplicates - self.forgotten


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One data-quality rule's result for one day."""

    kind: str
    about: str
    """The suite's subject it belongs to: volume, completeness, drift and so on."""
    rule: str
    meaning: str
    day: str
    severity: str
    """block or warn"""
    passed: bool
    observed: str
    expected: str
    cure: str

    @property
    def tone(self) -> str:
        return "good" if self.passed else "bad" if self.severity == "block" else "look"

    def sentence(self) -> str:
        """What failed and what to do, in the words of the alert."""
        return f"{self.rule} of {self.day} ({self.meaning}) is {self.observed}, expected {self.expected}. {self.cure}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A page in plain words, for somebody woken by it."""

    tone: str
    """good, look or bad: the page's colour, always beside the headline's words."""
    headline: str
    sentences: list[str]


@dataclass(frozen=True, slots=True)
class Card:
    """One key figure."""

    label: str
    value: str
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Subject:
    """One subject of the suite with its results, failed ones first."""

    name: str
    tone: str
    headline: str
    checks: list[CheckResult]
    n_more: int
    """Failed checks beyond those shown."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """A number beside its bounds, all in percent of the gauge's width."""

    width: float
    low: float
    high: float
    has_low: bool
    has_high: bool


def environment() -> Environment:
    """The templates, which escape every value: ids and names in logs are whatever their sender wrote."""
    found = Environment(
        loader=PackageLoader("retrieval"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"count": count, "share": share, "seconds": seconds, "gauge": gauge, "figures": figures}
    return found


def by_urgency(checks: Iterable[CheckResult]) -> list[CheckResult]:
    """Failed before passed, blocking before warning, newest day first."""
    newest_first = sorted(sorted(checks, key=lambda c: (c.rule, c.meaning)), key=lambda c: c.day, reverse=True)
    return sorted(newest_first, key=lambda c: (c.passed, c.severity != "block"))


def by_subject(checks: Sequence[CheckResult]) -> list[Subject]:
    """The suite's results by subject: those with failures first, then in the order of the rules."""
    names = [*SUBJECTS, *sorted({check.about for check in checks} - set(SUBJECTS))]
    groups = {name: by_urgency(check for check in checks if check.about == name) for name in names}
    subjects = [_subject(name, group) for name, group in groups.items() if group]
    return sorted(subjects, key=lambda subject: ["bad", "look", "good"].index(subject.tone))


def _subject(name: str, checks: list[CheckResult]) -> Subject:
    failed, passed = [c for c in checks if not c.passed], [c for c in checks if c.passed]
    sign = {"bad": "✗", "look": "!", "good": "✓"}[checks[0].tone]
    found = f"{count(len(failed))} failed" if failed else f"{count(len(passed))} passed"
    return Subject(name, checks[0].tone, f"{sign} {found}", failed[:N_SHOWN] + passed, max(0, len(failed) - N_SHOWN))


def reasons_of(
    reasons: Mapping[str, int], meanings: Mapping[str, str], rows: Iterable[RowCounts]
) -> list[tuple[str, int, float, str]]:
    """Each reason with its rows, their share of those landed, and its meaning; most frequent first."""
    landed = sum(row.landed for row in rows) or 1
    ordered = sorted(reasons.items(), key=lambda reason: (-reason[1], reason[0]))
    return [(reason, n, n / landed, meanings.get(reason, "not explained")) for reason, n in ordered]


def gauge(check: CheckResult) -> Gauge | None:
    """The observed number beside its bounds; None where either is no number."""
    bounds = BOUNDS.fullmatch(check.expected)
    observed = _number(check.observed)
    if bounds is None or observed is None:
        return None
    low, high = _number(bounds["low"] or bounds["least"]), _number(bounds["high"] or bounds["most"])
    if low is None and high is None:
        return None
    percent = 80 / (max(observed, low or 0.0, high or 0.0) or 1.0)
    return Gauge(
        width=max(0.5, observed * percent),
        low=(low or 0.0) * percent,
        high=100.0 if high is None else high * percent,
        has_low=low is not None,
        has_high=high is not None,
    )


def figures(text: str) -> str:
    """A text whose large numbers are written out: 1.235e+04 is 12,350."""
    return POWERS_OF_TEN.sub(lambda found: count(float(found[0])), text)


def _number(text: str | None) -> float | None:
    try:
        number = float((text or "").replace(",", ""))
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
