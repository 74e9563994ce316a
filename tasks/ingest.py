"""Landed partitions into the logs: read, judged row by row and as a whole, loaded or refused."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from retrieval.errors import ContractError, DayRefused, PartitionError
from retrieval.progress import advance
from retrieval.rules import Action, Rules
from retrieval.schema import Kind
from storage.landed import Partition
from storage.landing import Landing
from storage.layout import Lake
from storage.logs import KINDS, DayCounts, Logs, open_logs
from storage.logs.reading import Recorded
from tasks.judge import Judge, Pass, unusable
from tasks.run import stage, tell
from validation.verdict import Check

WRITER_SECONDS = 20 * 60.0
"""How long a night waits for a backfill that writes the logs, or a backfill for a night; each writes for minutes."""
PORTION_DAYS = 14
"""Days that a backfill loads in one transaction: what a cancelled one has finished stays."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of the partitions asked for."""

    logs_digest: str
    counts: tuple[DayCounts, ...]
    checks: tuple[Check, ...]
    reasons: Mapping[str, int]
    """Rows set aside, by reason."""
    refused: Mapping[dt.date, str]
    """Days with a partition that is not in the logs, and why: its files cannot be used, or a rule refused it."""

    def require(self, day: dt.date) -> None:
        """Go on only with a day that is in the logs.

        Raises:
            DayRefused: when a rule refused it.
        """
        if day in self.refused:
            rows = ", ".join(f"{reason} {n:,}" for reason, n in self.reasons.items() if reason != "day_refused")
            raise DayRefused(
                f"{day} is refused, and the live release stands: {self.refused[day]} Rows set aside by reason: "
                f"{rows or 'none'}. Rows in the quarantine: `lamplighter quarantine list --day {day}`."
            )

    @classmethod
    def unusable(cls, error: PartitionError) -> "Ingested":
        """Of a day whose files cannot be used."""
        return cls("", (), (unusable(error),), {}, {error.day: str(error)})

    def rows(self) -> dict[Kind, dict[str, int]]:
        """What became of all rows, by kind."""
        names = ("landed", "loaded", "quarantined", "duplicates", "forgotten", "late")
        kinds: tuple[Kind, ...] = ("events", "items", "users")
        return {k: {name: sum(getattr(e, name) for e in self.counts if e.kind == k) for name in names} for k in kinds}

    def of(self, day: dt.date) -> "Ingested":
        """What became of one day."""
        return replace(
            self,
            counts=tuple(entry for entry in self.counts if entry.day == day),
            checks=tuple(check for check in self.checks if check.day == day),
            refused={other: why for other, why in self.refused.items() if other == day},
        )


@stage("ingest", minutes=60)
def ingest(
    lake: Lake,
    landing: str,
    span: tuple[dt.date, dt.date],
    rules: Rules,
    actions: Mapping[str, Action],
    *,
    required: dt.date | None = None,
    reload: bool = False,
    only: Collection[dt.date] | None = None,
) -> Ingested:
    """Load the landed days of a span that are not in the logs, with items and users up to its end.

    The required day has to have landed, and is judged again if its bytes, the rules or the actions changed; with
    `reload` every landed day of the span is, or `only` some of them, a fortnight in one transaction, and late events
    that wait for a backfill of those days are taken up. A day that is refused, and one besides the required that cannot
    be used, leaves the rest to load. Another writer of the logs is waited for.

    Raises:
        ContractError: when the required day did not land or cannot be used; nothing at all is loaded then.
        LogsError: when another process writes the logs for longer than the wait.
    """
    with open_logs(lake.logs, wait_seconds=WRITER_SECONDS, tell=tell) as logs:
        return load_span(logs, Landing(landing), span, rules, actions, required=required, reload=reload, only=only)


def load_span(
    logs: Logs,
    zone: Landing,
    span: tuple[dt.date, dt.date],
    rules: Rules,
    actions: Mapping[str, Action],
    *,
    required: dt.date | None = None,
    reload: bool = False,
    only: Collection[dt.date] | None = None,
) -> Ingested:
    """Load the landed days of a span into open logs, as `ingest` does."""
    judge, found = Judge(rules, actions), Pass()
    advance("ingest", 0, 1)
    if reload and not logs.waiting(*span):
        require_landed(zone, span)
    again = _Again(span, only) if reload else None
    partitions = _to_load(zone, logs, span, required, again, judge, found)
    if again is None:
        _load(logs, zone, partitions, required, judge, found)
    else:
        _load_in_portions(logs, zone, partitions, judge, found)
        _take_up(logs, again, judge, found)
    advance("ingest", 1, 1)
    return _summary(logs, found, span, required)


@dataclass(frozen=True, slots=True)
class _Again:
    """The days that a backfill loads again: a span's, all or some of them."""

    span: tuple[dt.date, dt.date]
    only: Collection[dt.date] | None

    def __contains__(self, day: dt.date) -> bool:
        return self.span[0] <= day <= self.span[1] and (self.only is None or day in self.only)


def _load_in_portions(logs: Logs, zone: Landing, partitions: list[Partition], judge: Judge, found: Pass) -> None:
    """Load some days in each transaction, so that a run which ends in between has not worked for nothing."""
    days = sorted({partition.day for partition in partitions})
    for start in range(0, len(days), PORTION_DAYS):
        portion = days[start : start + PORTION_DAYS]
        _load(logs, zone, [p for p in partitions if portion[0] <= p.day <= portion[-1]], None, judge, found)
        advance("ingest", start + len(portion), len(days) + 1)


def _load(
    logs: Logs, zone: Landing, partitions: list[Partition], required: dt.date | None, judge: Judge, found: Pass
) -> None:
    while partitions:
        try:
            with logs.transaction():
                return judge.load(logs, zone, partitions, found)
        except PartitionError as error:
            if error.day == required:
                raise
            found.note_unusable(error)
            partitions = [p for p in partitions if (p.kind, p.day) != (error.kind, error.day)]


def load_catalogue(logs: Logs, zone: Landing, until: dt.date, judge: Judge, found: Pass) -> None:
    """Load the items and users landed up to a day that are not in the logs."""
    days = (until, until)
    landed = [p for p in _to_load(zone, logs, days, None, None, judge, found) if p.kind != "events"]
    _load(logs, zone, landed, None, judge, found)


def require_landed(zone: Landing, span: tuple[dt.date, dt.date]) -> None:
    """Refuse a span of days of which none has landed: the landing zone may be another one.

    Raises:
        ContractError: saying which days have landed.
    """
    days = zone.days("events")
    if not any(span[0] <= day <= span[1] for day in days):
        landed = f"{days[0]} to {days[-1]}" if days else "none"
        raise ContractError(
            f"no events landed from {span[0]} to {span[1]} in {zone.uri} (landed days: {landed}). "
            f"Name the landing zone with --landing, or other days."
        )


def _take_up(logs: Logs, again: _Again, judge: Judge, found: Pass) -> None:
    """Let the late events that waited for a backfill of these days into them."""
    with logs.transaction():
        waiting = set(logs.take_up(*again.span, only=again.only))
        if waiting:
            judge.again(logs, [e.partition for e in logs.recorded("events") if e.counts.day in waiting], found)


def _summary(logs: Logs, found: Pass, span: tuple[dt.date, dt.date], required: dt.date | None) -> Ingested:
    """What became of everything that was looked at; of the required day also when it was in the logs already."""
    refused = found.refused()
    if required is not None:
        for entry in logs.recorded(day=required):
            key = entry.counts.kind, required
            if key not in found.checks:
                found.counts[key] = entry.counts
                found.checks[key] = [_check(check) for check in entry.checks]
    checks = [check for results in found.checks.values() for check in results]
    reasons = logs.reasons(found.counts)
    for reason, n in found.unsettled.items():
        reasons[reason] = reasons.get(reason, 0) + n
    counts = sorted(found.counts.values(), key=lambda entry: (entry.kind, entry.day))
    return Ingested(logs.digest(span[1]), tuple(counts), tuple(checks), dict(sorted(reasons.items())), refused)


def _check(recorded: Mapping[str, object]) -> Check:
    return Check(**{**recorded, "day": dt.date.fromisoformat(str(recorded["day"]))})  # type: ignore[arg-type]


def _to_load(
    zone: Landing,
    logs: Logs,
    span: tuple[dt.date, dt.date],
    required: dt.date | None,
    again: _Again | None,
    judge: Judge,
    found: Pass,
) -> list[Partition]:
    """The partitions to judge, known by bytes and by what judged them; days whose files cannot be used are noted."""
    partitions: list[Partition] = []
    for kind in KINDS:
        known = {entry.counts.day: entry for entry in logs.recorded(kind)}
        catalogues = logs.catalogue_digests([p for p in partitions if p.kind == "items"])
        for day in sorted(_days_to_look_at(zone, kind, known, span, required, again)):
            try:
                landed = zone.partition(kind, day)
            except PartitionError as error:
                if day == required:
                    raise
                found.note_unusable(error)
                continue
            by = judge.digest_for(kind, day, catalogues)
            if (again and day in again) or not _is_judged(landed, known.get(day), by, is_required=day == required):
                partitions.append(landed)
            elif known[day].counts.is_refused:  # as before, so that nobody takes silence for a cure
                found.counts[kind, day] = known[day].counts
                found.checks[kind, day] = [_check(check) for check in known[day].checks]
    return partitions


def _is_judged(landed: Partition, known: Recorded | None, judged_by: str, *, is_required: bool) -> bool:
    """Whether a partition was judged before by what judges now; the required day is never left refused unasked."""
    if known is None or known.bytes != landed.digest:
        return False
    return known.judged_by == judged_by or not (is_required or known.counts.is_refused)


def _days_to_look_at(
    zone: Landing,
    kind: Kind,
    known: Mapping[dt.date, Recorded],
    span: tuple[dt.date, dt.date],
    required: dt.date | None,
    again: _Again | None,
) -> Iterable[dt.date]:
    """Days not in the logs, the required one, those to load again; items and users of any day before, too.

    Events are loaded of the days to load again alone, where there are such.
    """
    days = set()
    for day in zone.days(kind, until=span[1]):
        inside = day >= span[0] if again is None else day in again
        is_missing = day not in known or known[day].counts.is_refused
        if (is_missing and (inside or kind != "events")) or day == required or (again and day in again):
            days.add(day)
    if kind == "events" and required is not None:
        days.add(required)  # one that did not land is an error, which `partition` raises
    return days
