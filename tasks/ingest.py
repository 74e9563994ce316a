"""Landed partitions into the logs: read, judged row by row and as a whole, loaded or refused."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from retrieval.errors import DayRefused, PartitionError
from retrieval.progress import advance
from retrieval.rules import Action, Rules
from retrieval.schema import Kind
from storage.landed import Partition
from storage.landing import Landing
from storage.layout import Lake
from storage.logs import KINDS, DayCounts, Logs, Staged, Verdict, open_logs, settle
from storage.logs.reading import Recorded
from storage.refs import digest_of
from tasks.run import stage
from validation.metrics import judge_metrics
from validation.tables import judge_table
from validation.verdict import Check, blocking

Key = tuple[Kind, dt.date]


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
                f"{rows or 'none'}. See them with `lamplighter quarantine list --day {day}`."
            )


@dataclass(frozen=True, slots=True)
class Judge:
    """By what partitions are judged."""

    rules: Rules
    actions: Mapping[str, Action]

    @property
    def digest(self) -> str:
        """Rows judged by another digest may be judged otherwise now."""
        return digest_of([self.rules.model_dump(), {name: a.model_dump() for name, a in self.actions.items()}])


@dataclass(slots=True)
class Pass:
    """What one pass over partitions found."""

    counts: dict[Key, DayCounts] = field(default_factory=dict)
    checks: dict[Key, list[Check]] = field(default_factory=dict)
    unsettled: dict[str, int] = field(default_factory=dict)
    """Faults of corrections that were refused: their rows are kept nowhere but in the landing zone."""
    unusable: dict[dt.date, str] = field(default_factory=dict)

    def add(self, counts: Sequence[DayCounts], checks: Mapping[Key, list[Check]], reasons: Mapping[str, int]) -> None:
        self.counts |= {(entry.kind, entry.day): entry for entry in counts}
        self.checks |= checks
        for reason, n in reasons.items():
            self.unsettled[reason] = self.unsettled.get(reason, 0) + n

    def refused(self) -> dict[dt.date, str]:
        """Why days are not, or not wholly, in the logs."""
        found = dict(self.unusable)
        for (_, day), checks in sorted(self.checks.items(), key=lambda entry: entry[0][1]):
            sentences = [check.sentence() for check in blocking(checks)]
            if sentences:
                found[day] = " ".join([*([found[day]] if day in found else []), *sentences])
        return found


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
    """Load the landed days of a span that are not in the logs, with items and users up to its end.

    The required day has to have landed, and is judged again if its bytes, the rules or the actions changed; with
    `reload` every landed day of the span is, and late events that wait for a backfill of those days are taken up.
    A day that is refused, and one besides the required that cannot be used, leaves the rest to load.

    Raises:
        ContractError: when the required day did not land or cannot be used; nothing at all is loaded then.
    """
    with open_logs(lake.logs) as logs:
        return load_span(logs, Landing(landing), span, rules, actions, required=required, reload=reload)


def load_span(
    logs: Logs,
    zone: Landing,
    span: tuple[dt.date, dt.date],
    rules: Rules,
    actions: Mapping[str, Action],
    *,
    required: dt.date | None = None,
    reload: bool = False,
) -> Ingested:
    """Load the landed days of a span into open logs, as `ingest` does."""
    judge, found = Judge(rules, actions), Pass()
    advance("ingest", 0, 1)
    partitions = _to_load(zone, logs, span, required, reload, judge, found)
    _load(logs, zone, partitions, required, judge, found)
    if reload:
        _take_up(logs, span, judge, found)
    advance("ingest", 1, 1)
    return _summary(logs, found, span, required)


def judge_again(logs: Logs, partitions: Sequence[Partition], judge: Judge, found: Pass) -> None:
    """Judge what the logs keep of partitions, set aside or not, and put every row where it belongs now."""
    with logs.transaction():
        _settle(Staged.kept(logs.connection, partitions), judge, found)


def load(logs: Logs, zone: Landing, partitions: Sequence[Partition], judge: Judge, found: Pass) -> None:
    """Judge landed partitions and load those accepted, all or nothing.

    Raises:
        PartitionError: naming files that cannot be used; the logs stay as they were.
    """
    with logs.transaction():
        changed = _settle(Staged.landed(logs.connection, zone, partitions), judge, found)
    if changed:  # beside what has just landed, some days look otherwise than when they were judged
        judge_again(logs, changed, judge, found)


def _load(
    logs: Logs, zone: Landing, partitions: list[Partition], required: dt.date | None, judge: Judge, found: Pass
) -> None:
    while partitions:
        try:
            return load(logs, zone, partitions, judge, found)
        except PartitionError as error:
            if error.day == required:
                raise
            found.unusable[error.day] = str(error)
            partitions = [p for p in partitions if (p.kind, p.day) != (error.kind, error.day)]


def _settle(staged: Staged, judge: Judge, found: Pass) -> list[Partition]:
    """Judge staged partitions and settle them; returns those in the logs whose verdict would be another now."""
    rules, logs = judge.rules, Logs(staged.connection)
    staged.judge_catalogue()
    checks: dict[Key, list[Check]] = {(p.kind, p.day): [] for p in staged.partitions}
    for kind in ("items", "users"):
        days = [p.day for p in staged.partitions if p.kind == kind]
        for day, results in judge_table(kind, staged.rows(kind), days, rules).items():
            checks[kind, day] += results
    ratios = staged.catalogue_ratios(rules)
    for day, results in judge_metrics({d: {"catalogue_ratio": r} for d, r in ratios.items()}, rules, "items").items():
        checks["items", day] += results
    refused_items = [day for (kind, day), results in checks.items() if kind == "items" and blocking(results)]
    staged.judge_events(judge.actions, rules, refused_items)
    metrics = staged.day_metrics(rules)
    judged = judge_metrics(metrics, rules)
    staged_days = {p.day for p in staged.partitions if p.kind == "events"}
    checks |= {("events", day): judged[day] for day in staged_days}
    verdicts = {
        key: Verdict(bool(blocking(results)), _metrics_of(key, metrics, ratios), [asdict(check) for check in results])
        for key, results in checks.items()
    }
    former = {(e.counts.kind, e.counts.day): e for e in logs.recorded() if not e.counts.is_refused}
    settled = [p for p in staged.partitions if not (verdicts[p.kind, p.day].is_refused and _corrects(p, former))]
    counts = settle(replace(staged, partitions=tuple(settled)), verdicts, judge.digest)
    found.add(counts, checks, staged.reasons([p for p in staged.partitions if p not in settled]))
    others = {day: bool(blocking(results)) for day, results in judged.items() if day not in staged_days}
    return [
        entry.partition
        for entry in logs.recorded("events")
        if entry.counts.day in others and entry.counts.is_refused != others[entry.counts.day]
    ]


def _corrects(partition: Partition, former: Mapping[Key, Recorded]) -> bool:
    """Whether other bytes than these are in the logs: who corrects a day badly shall not lose what was good before."""
    key = partition.kind, partition.day
    return key in former and former[key].bytes != partition.digest


def _metrics_of(
    key: Key, metrics: Mapping[dt.date, Mapping[str, float | None]], ratios: Mapping[dt.date, float | None]
) -> Mapping[str, float | None]:
    kind, day = key
    if kind == "events":
        return metrics[day]
    return {"catalogue_ratio": ratios.get(day)} if kind == "items" else {}


def _take_up(logs: Logs, span: tuple[dt.date, dt.date], judge: Judge, found: Pass) -> None:
    """Let the late events of a span's days, which waited for its backfill, into those days."""
    with logs.transaction():
        waiting = set(logs.take_up(*span))
    if waiting:
        judge_again(logs, [e.partition for e in logs.recorded("events") if e.counts.day in waiting], judge, found)


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
    reload: bool,
    judge: Judge,
    found: Pass,
) -> list[Partition]:
    """The partitions to judge, known by bytes and by what judged them; days whose files cannot be used are noted."""
    partitions = []
    for kind in KINDS:
        known = {entry.counts.day: entry for entry in logs.recorded(kind)}
        for day in sorted(_days_to_look_at(zone, kind, known, span, required, reload)):
            try:
                landed = zone.partition(kind, day)
            except PartitionError as error:
                if day == required:
                    raise
                found.unusable[day] = str(error)
                continue
            if reload or not _is_judged(landed, known.get(day), judge, is_required=day == required):
                partitions.append(landed)
            elif known[day].counts.is_refused:  # as before, so that nobody takes silence for a cure
                found.counts[kind, day] = known[day].counts
                found.checks[kind, day] = [_check(check) for check in known[day].checks]
    return partitions


def _is_judged(landed: Partition, known: Recorded | None, judge: Judge, *, is_required: bool) -> bool:
    """Whether a partition was judged before by what judges now; the required day is never left refused unasked."""
    if known is None or known.bytes != landed.digest:
        return False
    return known.judged_by == judge.digest or not (is_required or known.counts.is_refused)


def _days_to_look_at(
    zone: Landing,
    kind: Kind,
    known: Mapping[dt.date, Recorded],
    span: tuple[dt.date, dt.date],
    required: dt.date | None,
    reload: bool,
) -> Iterable[dt.date]:
    """Days not in the logs, the required one, with `reload` the whole span; items and users of any day before, too."""
    days = set()
    for day in zone.days(kind, until=span[1]):
        inside = day >= span[0]
        is_missing = day not in known or known[day].counts.is_refused
        if (is_missing and (inside or kind != "events")) or day == required or (reload and inside):
            days.add(day)
    if kind == "events" and required is not None:
        days.add(required)  # one that did not land is an error, which `partition` raises
    return days
