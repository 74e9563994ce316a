"""What makes an incident, and that each is told once."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from validation.conditions import (
    data_blocked,
)
from validation.incidents import KINDS, RUNBOOK, Incident, Limits, changes, text_of, without_consequences
from validation.verdict import Check

DAY = dt.date(2026, 11, 20)
NEXT = DAY + dt.timedelta(days=1)
LIMITS = Limits()
ROOT = Path(__file__).parent.parent.parent


def at(day: dt.date, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute), dt.UTC)


def check(rule: str = "null_share", day: dt.date = DAY, severity: str = "block", *, passed: bool = False) -> Check:
    return Check(
        "events", day, "values", rule, "rows without user", severity, passed, "0.1", "at most 0.01", "Mend it."
    )  # type: ignore[arg-type]


def link(day: dt.date) -> str:
    return f"file:///quality/{day}.html"


def incident(key: str = "a", kind: str = "data-quality", day: dt.date = DAY, severity: str = "block") -> Incident:
    return Incident(kind, key, day, "r", severity, "o", "e", "m", "c")  # type: ignore[arg-type]


def test_what_lasts_is_opened_once_and_resolved_once() -> None:
    one, other = incident("a"), incident("b")
    assert changes([], [one]) == ([one], [])
    assert changes([one], [replace(one, observed="worse"), other]) == ([other], [])
    assert changes([one, other], [other]) == ([], [one])
    assert changes([one], [], judged=["disk"]) == ([], [])


def test_one_cause_is_one_incident_and_what_is_open_stays() -> None:
    refused, failed, missing = incident(), incident("n", "night-failed"), incident("m", "night-missing")
    assert without_consequences([refused, failed, missing], set()) == [refused]
    assert without_consequences([failed, missing], set()) == [failed]
    assert without_consequences([refused, failed, missing], {missing.id}) == [refused, missing]
    warned = incident(severity="warn")
    assert without_consequences([warned, failed], set()) == [warned, failed]


def test_a_message_says_what_was_found_what_to_do_and_where_to_read() -> None:
    (found,) = data_blocked([check()], link, LIMITS, set())
    text = text_of(found, at(NEXT, 2))
    for part in ("null_share", "0.1", "at most 0.01", "Mend it.", str(DAY), link(DAY), found.runbook):
        assert part in text
    assert text_of(found, at(NEXT, 2), at(NEXT, 5, 20)).startswith(
        f"Resolved after 3 h 20 min: data-quality of {DAY}. "
    )


def test_an_incident_survives_json() -> None:
    (found,) = data_blocked([check()], link, LIMITS, set())
    assert Incident.from_plain(found.as_plain()) == found


@pytest.mark.parametrize("kind", [*KINDS, "watch-silent"])
def test_the_runbook_has_a_section_for_every_alert(kind: str) -> None:
    document, anchor = f"{RUNBOOK}{kind}".split("#")
    headings = [line[3:] for line in (ROOT / document).read_text().splitlines() if line.startswith("## ")]
    assert anchor in {heading.lower().replace(":", "").replace(" ", "-") for heading in headings}
