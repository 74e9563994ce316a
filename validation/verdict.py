"""What a rule found: the value a suite's result has everywhere else."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["critical", "warning"]


@dataclass(frozen=True, slots=True)
class Check:
    """One rule's result for one day."""

    rule: str
    day: dt.date
    severity: Severity
    passed: bool
    observed: str
    expected: str
    cure: str

    @property
    def blocks(self) -> bool:
        return not self.passed and self.severity == "critical"

    def sentence(self) -> str:
        return f"{self.rule} of {self.day} is {self.observed}, expected {self.expected}. {self.cure}"


def blocking(checks: Iterable[Check]) -> list[Check]:
    """The checks that stop the night."""
    return [check for check in checks if check.blocks]
