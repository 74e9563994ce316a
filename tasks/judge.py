"""Partitions judged by a recipe's rules and put where they belong: in the logs, or whole in the quarantine."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from retrieval.rules import Action, Rules
from retrieval.schema import Kind
from storage.landed import Partition
from storage.landing import Landing
from storage.logs import DayCounts, Logs, Staged, Verdict, settle
from storage.logs.reading import Recorded
from storage.refs import digest_of
from validation.metrics import judge_metrics
from validation.tables import judge_table
from validation.verdict import Check, blocking

Key = tuple[Kind, dt.date]
Checks = dict[Key, list[Check]]


@dataclass(slots=True)
class Pass:
    """What one pass over partitions found."""

    counts: dict[Key, DayCounts] = field(default_factory=dict)
    checks: Checks = field(default_factory=dict)
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


@dataclass(frozen=True, slots=True)
class Judge:
    """By what partitions are judged."""

    rules: Rules
    actions: Mapping[str, Action]

    @property
    def digest(self) -> str:
        """Rows judged by another digest may be judged otherwise now."""
        return digest_of([self.rules.model_dump(), {name: a.model_dump() for name, a in self.actions.items()}])

    def load(self, logs: Logs, zone: Landing, partitions: Sequence[Partition], found: Pass) -> None:
        """Judge landed partitions and put their rows where they belong; inside a transaction.

        Days in the logs that look otherwise beside what has landed now than when they were judged are judged again.

        Raises:
            PartitionError: naming files that cannot be used.
        """
        changed = self._settle(Staged.landed(logs.connection, zone, partitions), found)
        if changed:
            self.again(logs, changed, found)

    def again(self, logs: Logs, partitions: Sequence[Partition], found: Pass) -> None:
        """Judge what the logs keep of partitions, set aside or not; inside a transaction."""
        self._settle(Staged.kept(logs.connection, partitions), found)

    def _settle(self, staged: Staged, found: Pass) -> list[Partition]:
        """Judge staged partitions and settle them; returns those in the logs whose verdict would be another now."""
        logs, days = Logs(staged.connection), {p.day for p in staged.partitions if p.kind == "events"}
        staged.judge_catalogue()
        ratios = staged.catalogue_ratios(self.rules)
        checks = self._judge_catalogue(staged, ratios)
        former = {(e.counts.kind, e.counts.day): e for e in logs.recorded() if not e.counts.is_refused}
        refused = [p for p in staged.partitions if p.kind == "items" and blocking(checks["items", p.day])]
        spoilt_items = [p.day for p in refused if _corrects(p, former)]
        staged.judge_events(self.actions, self.rules, [p.day for p in refused], spoilt_items)
        metrics = staged.day_metrics(self.rules)
        judged = judge_metrics(metrics, self.rules)
        checks |= {("events", day): judged[day] for day in days}
        measured = {("events", day): metrics[day] for day in days} | {
            ("items", day): {"catalogue_ratio": ratio} for day, ratio in ratios.items()
        }
        verdicts = {
            key: Verdict(bool(blocking(results)), measured.get(key, {}), [asdict(check) for check in results])
            for key, results in checks.items()
        }
        spoilt = [p for p in staged.partitions if verdicts[p.kind, p.day].is_refused and _corrects(p, former)]
        settled = tuple(p for p in staged.partitions if p not in spoilt)
        found.add(settle(replace(staged, partitions=settled), verdicts, self.digest), checks, staged.reasons(spoilt))
        refused_now = {day: bool(blocking(results)) for day, results in judged.items() if day not in days}
        recorded = [entry for entry in logs.recorded("events") if entry.counts.day in refused_now]
        return [entry.partition for entry in recorded if entry.counts.is_refused != refused_now[entry.counts.day]]

    def _judge_catalogue(self, staged: Staged, ratios: Mapping[dt.date, float | None]) -> Checks:
        checks: Checks = {(p.kind, p.day): [] for p in staged.partitions}
        for kind in ("items", "users"):
            days = [p.day for p in staged.partitions if p.kind == kind]
            for day, results in judge_table(kind, staged.rows(kind), days, self.rules).items():
                checks[kind, day] += results
        shrunk = {day: {"catalogue_ratio": ratio} for day, ratio in ratios.items()}
        for day, results in judge_metrics(shrunk, self.rules, "items").items():
            checks["items", day] += results
        return checks


def _corrects(partition: Partition, former: Mapping[Key, Recorded]) -> bool:
    """Whether other bytes than these are in the logs: who corrects a day badly shall not lose what was good before."""
    key = partition.kind, partition.day
    return key in former and former[key].bytes != partition.digest
