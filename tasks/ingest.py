"""Landed days into the logs: read, judged row by row and day by day, kept or refused as a whole."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from retrieval.errors import DayRefused
from retrieval.progress import advance
from retrieval.rules import Action, Rules
from storage.landing import Landing, Partition
from storage.layout import Lake
from storage.logs import KINDS, DayCounts, Logs, open_logs
from tasks.run import stage
from validation.events import judge_days
from validation.verdict import Check, blocking


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of the landed days asked for."""

    logs_digest: str
    counts: tuple[DayCounts, ...]
    checks: tuple[Check, ...]
    reasons: Mapping[str, int]
    """Rows refused, by reason."""
    refused: Mapping[dt.date, str]
    """Days that a critical rule refused, with the rules' sentences."""


@stage("ingest", minutes=60, retries=2)
def ingest(
    lake: Lake,
    landing: str,
    span: tuple[dt.date, dt.date],
    rules: Rules,
    actions: Mapping[str, Action],
    *,
    required: dt.date | None = None,
    reload: bool = False,
) -> Ingested:
    """Load the landed days of a span that are not in the logs, in one pass, and items and users landed up to its end.

    The required day has to have landed, and is loaded again if its bytes changed; with `reload` that holds for every
    landed day of the span. A refused day leaves the other days to be loaded.

    Raises:
        ContractError: when the required day did not land, or a file cannot be used; nothing is loaded then.
    """
    zone = Landing(landing)
    with open_logs(lake.logs) as logs:
        advance("ingest", 0, 1)
        partitions = _to_load(zone, logs, span, required, reload)
        with logs.staging(zone, partitions, tuple(actions)) as staged:
            verdicts = judge_days(staged.metrics(rules), rules)
            accepted = {day: checks for day, checks in verdicts.items() if not blocking(checks)}
            staged.accept({day: [asdict(check) for check in checks] for day, checks in accepted.items()})
            counts, reasons = [_as_decided(entry, accepted) for entry in staged.counts()], staged.reasons()
        checks = [check for found in verdicts.values() for check in found]
        if required is not None and required not in verdicts:
            counts, reasons, recorded = logs.recorded(required)
            checks = [Check(**entry) for entry in recorded]
        advance("ingest", 1, 1)
        failed = {day: blocking(found) for day, found in verdicts.items() if day not in accepted}
        return Ingested(
            logs_digest=logs.digest(span[1]),
            counts=tuple(counts),
            checks=tuple(checks),
            reasons=reasons,
            refused={day: " ".join(check.sentence() for check in found) for day, found in failed.items()},
        )


def require(ingested: Ingested, day: dt.date) -> None:
    """Stop the night when its day was refused.

    Raises:
        DayRefused: with every critical rule that failed.
    """
    if day in ingested.refused:
        raise DayRefused(
            f"the events of {day} are refused; logs and live release stay as they were: {ingested.refused[day]}"
        )


def _as_decided(counts: DayCounts, accepted: Mapping[dt.date, object]) -> DayCounts:
    """The counts of a partition; of a refused day every row is refused."""
    if counts.kind != "events" or counts.day in accepted:
        return counts
    return replace(counts, loaded=0, refused=counts.landed, duplicates=0)


def _to_load(
    zone: Landing, logs: Logs, span: tuple[dt.date, dt.date], required: dt.date | None, reload: bool
) -> list[Partition]:
    """Days never loaded, and days to look at again whose bytes are not the ones loaded."""
    found = []
    for kind in KINDS:
        loaded = logs.loaded(kind)
        days = set()
        for day in zone.days(kind, until=span[1]):
            inside = day >= span[0]
            if (day not in loaded and (inside or kind != "events")) or day == required or (reload and inside):
                days.add(day)
        if kind == "events" and required is not None:
            days.add(required)  # one that did not land is an error, which `partition` raises
        partitions = (zone.partition(kind, day) for day in sorted(days))
        found += [partition for partition in partitions if loaded.get(partition.day) != partition.digest]
    return found
