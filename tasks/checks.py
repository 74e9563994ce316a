"""A candidate's checks beside its artifacts, and read back: what the release says of why it became live or did not."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from storage.bundle import CHECKS, DIFFERENCES
from storage.manifest import Manifest
from storage.refs import Ref
from validation.gate import Ruling, decide
from validation.verdict import Check


@dataclass(frozen=True, slots=True)
class Judged:
    """What a candidate was found to be, and beside which live release."""

    incumbent: str | None
    """The release that was live; None where there was none that the candidate could be compared with."""
    accepted: Ref
    compared: Ref
    converged: Ref

    @property
    def acceptance(self) -> list[Check]:
        return read_checks(self.accepted, "acceptance") + read_checks(self.compared, "acceptance")

    @property
    def gate(self) -> list[Check]:
        return read_checks(self.compared, "gate") + read_checks(self.converged, "gate")

    @property
    def ruling(self) -> Ruling:
        return decide(self.acceptance, self.gate)

    @property
    def differences(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.compared.path / DIFFERENCES).read_text())
        return found

    def facts(self) -> dict[str, dict[str, Any]]:
        """What both stages wrote down, by their names."""
        return {"accept": Manifest.read(self.accepted.path).facts, "compare": Manifest.read(self.compared.path).facts}

    def as_plain(self) -> dict[str, Any]:
        """All of it as a release keeps it."""
        ruling = self.ruling
        return {
            "decision": ruling.decision,
            "reasons": list(ruling.reasons),
            "compared_with": self.incumbent,
            "acceptance": [_plain(check) for check in self.acceptance],
            "gate": [_plain(check) for check in self.gate],
            "differences": self.differences,
        }


def write_checks(folder: Path, checks: Mapping[str, list[Check]]) -> None:
    """Keep checks beside what they are of."""
    (folder / CHECKS).write_text(json.dumps({part: [_plain(c) for c in found] for part, found in checks.items()}))


def read_checks(ref: Ref, part: str) -> list[Check]:
    """The checks of one part."""
    found = json.loads((ref.path / CHECKS).read_text())[part]
    return [Check(**(entry | {"day": dt.date.fromisoformat(entry["day"])})) for entry in found]


def _plain(check: Check) -> dict[str, Any]:
    return asdict(check) | {"day": check.day.isoformat()}
