"""Whether the ground that nights stand on is sound: versions, room, clocks; each finding with its cure."""

import datetime as dt
import email.utils
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from validation.health import GIB

State = Literal["ok", "look", "bad", "skipped"]
INSTALL = "Install again as the Makefile does: `pip install -c constraints.txt -e .`"
MAX_SKEW_SECONDS = 60.0
"""Further apart than this, a schedule starts its night visibly early or late; S3 refuses clocks 15 minutes apart."""
EARLIEST = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""No machine that runs this software can truly have an earlier clock."""
N_NAMED = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: it is in order, worth a look, wrong, or there was nothing to check."""

    check: str
    state: State
    found: str
    cure: str = ""


def python_version(running: str, required: str, tested: str) -> Finding:
    """The interpreter beside what the package needs and what it is tested with."""
    if running not in SpecifierSet(required):
        return Finding("python", "bad", f"{running}, expected {required}", "Make the environment with another Python.")
    if not running.startswith(f"{tested}."):
        return Finding(
            "python", "look", f"{running}; tests run on {tested}", f"Use Python {tested} if anything is odd."
        )
    return Finding("python", "ok", running)


def libraries(installed: Mapping[str, str], requirements: Sequence[str]) -> Finding:
    """Every direct requirement beside what is installed, by canonical name; those of extras are left out."""
    asked = [Requirement(text) for text in requirements]
    asked = [wanted for wanted in asked if wanted.marker is None or wanted.marker.evaluate({"extra": ""})]
    wrong = []
    for wanted in asked:
        version = installed.get(canonicalize_name(wanted.name))
        if version is None:
            wrong.append(f"{wanted.name} is not installed, expected {wanted.specifier or 'any'}")
        elif not wanted.specifier.contains(version, prereleases=True):
            wrong.append(f"{wanted.name} is {version}, expected {wanted.specifier}")
    if wrong:
        return Finding("libraries", "bad", "; ".join(wrong), f"{INSTALL}.")
    return Finding("libraries", "ok", f"all {len(asked)} are what pyproject.toml asks for")


def beside_constraints(installed: Mapping[str, str], constraints: str) -> Finding:
    """What is installed beside the versions that this software was tested with; others may do as well."""
    n, other = 0, []
    for line in constraints.splitlines():
        try:
            wanted = Requirement(line)
        except InvalidRequirement:  # a comment, or nothing
            continue
        version = installed.get(canonicalize_name(wanted.name))
        n += version is not None
        if version is not None and not wanted.specifier.contains(version, prereleases=True):
            other.append(f"{wanted.name} {version} instead of {str(wanted.specifier).removeprefix('==')}")
    if other:
        more = f", and {len(other) - N_NAMED} more" if len(other) > N_NAMED else ""
        return Finding(
            "tested versions", "look", f"{', '.join(other[:N_NAMED])}{more}", f"{INSTALL}, if anything is odd."
        )
    return Finding("tested versions", "ok", f"{n} as in constraints.txt")


def room(free_bytes: int, min_free_gib: float, where: str) -> Finding:
    """What is left on a disk."""
    said = f"{free_bytes / GIB:,.1f} GiB free at {where}"
    if free_bytes >= min_free_gib * GIB:
        return Finding("disk", "ok", said)
    cure = "Run `lamplighter releases sweep --keep 7`, or give it more room."
    return Finding("disk", "bad", f"{said}, expected at least {min_free_gib:g}", cure)


def clock(now: dt.datetime, newest: dt.datetime | None, date_header: str | None) -> Finding:
    """This machine's clock beside the newest thing that is known to have happened, and beside another's clock.

    `date_header` is the Date of an answer, in whole seconds, that came at about `now`.
    """
    cure = "Set the clock: let the system follow an NTP server."
    said = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if now < EARLIEST:
        return Finding("clock", "bad", f"{said} cannot be", cure)
    if newest is not None and now < newest - dt.timedelta(seconds=MAX_SKEW_SECONDS):
        return Finding(
            "clock", "bad", f"{said} is before the live release was made live, {newest:%Y-%m-%d %H:%M}", cure
        )
    if date_header is None:
        return Finding("clock", "ok", f"{said}; no server to compare with")
    skew = (now - email.utils.parsedate_to_datetime(date_header)).total_seconds()
    if abs(skew) > MAX_SKEW_SECONDS:
        return Finding("clock", "bad", f"{said} is {skew:+,.0f} s from the Prefect server's", cure)
    return Finding("clock", "ok", f"{said}, {skew:+.0f} s from the Prefect server's")
