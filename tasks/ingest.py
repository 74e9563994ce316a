"""Landed days into the logs: read, judged row by row and day by day, kept or refused as a whole."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from retrieval.errors import DayRefused, PartitionError
from retrieval.progress import advance
from retrieval.rules import Action, Rules
from retrieval.schema import Kind
from storage.landing import Landing, Partition
from storage.layout import Lake
from storage.logs import KINDS, DayCounts, Logs, open_logs
from storage.refs import digest_of
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
    """Days that were not loaded, with the reason: files that cannot be used, or critical rules that failed."""


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
    """Load the landed days of a span that are not in the logs, in one pass, with items and users up to its end.

    The required day has to have landed, and is judged again if its bytes, the rules or the actions changed; with
    `reload` every landed day of the span is. Another day that cannot be used or is refused leaves the rest to load.

    Raises:
        ContractError: when the required day did not land, cannot be used or is refused; nothing at all is loaded then.
    """
    zone = Landing(landing)
    judged_by = digest_of([rules.model_dump(), {name: action.model_dump() for name, action in actions.items()}])
    with open_logs(lake.logs) as logs:
        advance("ingest", 0, 1)
        partitions, refused = _to_load(zone, logs, span, required, reload, judged_by)
        while True:
            try:
                found = _load(logs, zone, partitions, required, rules, actions)
                break
            except PartitionError as error:
                if error.day == required:
                    raise
                refused[error.day] = str(error)
                partitions = [p for p in partitions if (p.kind, p.day) != (error.kind, error.day)]
        advance("ingest", 1, 1)
        return replace(found, logs_digest=logs.digest(span[1]), refused={**refused, **found.refused})


def _load(
    logs: Logs,
    zone: Landing,
    partitions: list[Partition],
    required: dt.date | None,
    rules: Rules,
    actions: Mapping[str, Action],
) -> Ingested:
    """Judge partitions and load those accepted, in one transaction."""
    with logs.staging(zone, partitions, tuple(actions)) as staged:
        verdicts = judge_days(staged.metrics(rules), rules)
        blocked = {day: blocking(checks) for day, checks in verdicts.items() if blocking(checks)}
        refused = {day: " ".join(check.sentence() for check in checks) for day, checks in blocked.items()}
        reasons = staged.reasons()
        if required in refused:
            rows = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items()) or "none"
            raise DayRefused(
                f"the events of {required} are refused; logs and live release stay as they were: {refused[required]} "
                f"Rows set aside by reason: {rows}."
            )
        accepted = {day: checks for day, checks in verdicts.items() if day not in refused}
        staged.accept({day: [asdict(check) for check in checks] for day, checks in accepted.items()})
        counts = [_as_decided(entry, accepted) for entry in staged.counts()]
    checks = [check for found in verdicts.values() for check in found]
    if required is not None and required not in verdicts:
        counts, reasons, recorded = logs.recorded(required)
        checks = [Check(**entry) for entry in recorded]
    return Ingested("", tuple(counts), tuple(checks), reasons, refused)


def _as_decided(counts: DayCounts, accepted: Mapping[dt.date, object]) -> DayCounts:
    """The counts of a partition; of a refused day every row is refused."""
    if counts.kind != "events" or counts.day in accepted:
        return counts
    return replace(counts, loaded=0, refused=counts.landed, duplicates=0)


def _to_load(
    zone: Landing, logs: Logs, span: tuple[dt.date, dt.date], required: dt.date | None, reload: bool, judged_by: str
) -> tuple[list[Partition], dict[dt.date, str]]:
    """The partitions to judge, known by their bytes and by what judges them; and days whose files cannot be used."""
    found, unusable = [], {}
    for kind in KINDS:
        loaded = logs.loaded(kind)
        for day in sorted(_days_to_look_at(zone, kind, set(loaded), span, required, reload)):
            try:
                landed = zone.partition(kind, day)
            except PartitionError as error:
                if day == required:
                    raise
                unusable[day] = str(error)
                continue
            partition = replace(landed, digest=digest_of([landed.digest, judged_by]))
            if reload or loaded.get(day) != partition.digest:
                found.append(partition)
    return found, unusable


def _days_to_look_at(
    zone: Landing,
    kind: Kind,
    loaded: set[dt.date],
    span: tuple[dt.date, dt.date],
    required: dt.date | None,
    reload: bool,
) -> set[dt.date]:
    """Days never loaded, the required one, with `reload` the whole span; items and users of any day before, too."""
    days = set()
    for day in zone.days(kind, until=span[1]):
        inside = day >= span[0]
        if (day not in loaded and (inside or kind != "events")) or day == required or (reload and inside):
            days.add(day)
    if kind == "events" and required is not None:
        days.add(required)  # one that did not land is an error, which `partition` raises
    return days
