"""What a rule found: the value a suite's result has everywhere else."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from retrieval.rules import Severity
from retrieval.schema import Kind


@dataclass(frozen=True, slots=True)
class Check:
    """One rule's result for one landed partition."""

    kind: Kind | Literal["release"]
    day: dt.date
    about: str
    """Which of the suite's subjects it belongs to: volume, completeness, drift and so on."""
    rule: str
    meaning: str
    severity: Severity
    passed: bool
    observed: str
    expected: str
    cure: str

    @property
    def blocks(self) -> bool:
        return not self.passed and self.severity == "block"

    def sentence(self) -> str:
        return f"{self.rule} of {self.day} ({self.meaning}) is {self.observed}, expected {self.expected}. {self.cure}"


def blocking(checks: Iterable[Check]) -> list[Check]:
    """The checks that keep a partition out of the logs."""
    return [check for check in checks if check.blocks]
