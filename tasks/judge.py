"""Partitions judged by a recipe's rules and put where they belong: in the logs, or whole in the quarantine."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from retrieval.errors import PartitionError
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
MOST_ROUNDS = 5


UNUSABLE = "landed_files"
"""The rule that a partition's files can be used."""


def unusable(error: PartitionError) -> Check:
    """The result of the rule that a partition's files can be used, where they cannot."""
    return Check(
        kind=error.kind,
        day=error.day,
        about="schema",
        rule=UNUSABLE,
        meaning="files that can be used",
        severity="block",
        passed=False,
        observed="not usable",
        expected="usable",
        cure=str(error),
    )


@dataclass(slots=True)
class Pass:
    """What one pass over partitions found."""

    counts: dict[Key, DayCounts] = field(default_factory=dict)
    checks: Checks = field(default_factory=dict)
    unsettled: dict[str, int] = field(default_factory=dict)
    """Faults of corrections that were refused: their rows are kept nowhere but in the landing zone."""
    unusable: dict[Key, str] = field(default_factory=dict)
    spoilt: set[Key] = field(default_factory=set)
    """Corrections that were refused: the former rows stay."""

    def add(self, counts: Sequence[DayCounts], checks: Mapping[Key, list[Check]], reasons: Mapping[str, int]) -> None:
        self.counts |= {(entry.kind, entry.day): entry for entry in counts}
        self.checks |= checks
        for reason, n in reasons.items():
            self.unsettled[reason] = self.unsettled.get(reason, 0) + n

    def refused(self) -> dict[dt.date, str]:
        """Why days are not, or not wholly, in the logs."""
        found: dict[dt.date, list[str]] = {day: [why] for (_, day), why in self.unusable.items()}
        for (kind, day), checks in sorted(self.checks.items(), key=lambda entry: entry[0][1]):
            sentences = [check.sentence() for check in blocking(checks) if check.rule != UNUSABLE]
            if sentences and (kind, day) in self.spoilt:
                sentences.append(f"The {kind} of {day} that were loaded before stay in the logs.")
            if sentences:
                found.setdefault(day, []).extend(sentences)
        return {day: " ".join(sentences) for day, sentences in found.items()}

    def note_unusable(self, error: PartitionError) -> None:
        """Remember a partition whose files cannot be used."""
        key: Key = error.kind, error.day
        self.unusable[key] = str(error)
        self.checks[key] = [unusable(error)]


@dataclass(frozen=True, slots=True)
class Judge:
    """By what partitions are judged."""

    rules: Rules
    actions: Mapping[str, Action]

    def digest_for(self, kind: Kind, day: dt.date, catalogues: Mapping[dt.date, str]) -> str:
        """What a partition is judged by: rules and actions and, of events, the catalogue up to the day."""
        by = [self.rules.model_dump(), {name: action.model_dump() for name, action in self.actions.items()}]
        until = sorted((landed, bytes_) for landed, bytes_ in catalogues.items() if landed <= day)
        return digest_of([by, until if kind == "events" else []])

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
        changed = list(partitions)
        for _ in range(MOST_ROUNDS):  # rows that come or go may make other days look otherwise, too
            changed = self._settle(Staged.kept(logs.connection, changed), found)
            if not changed:
                break

    def _settle(self, staged: Staged, found: Pass) -> list[Partition]:
        """Judge staged partitions and settle them; returns those in the logs whose verdict would be another now."""
        logs, days = Logs(staged.connection), set(staged.days("events"))
        former = {(e.counts.kind, e.counts.day): e for e in logs.recorded() if not e.counts.is_refused}
        corrections = {(p.kind, p.day) for p in staged.partitions if _corrects(p, former)}
        staged.judge_catalogue()
        checks, measured = self._judge_catalogue(staged, {day for kind, day in corrections if kind == "items"})
        refused = [day for (kind, day), results in checks.items() if kind == "items" and blocking(results)]
        staged.judge_events(self.actions, self.rules, refused, [d for d in refused if ("items", d) in corrections])
        metrics = staged.day_metrics(self.rules)
        judged = judge_metrics(metrics, self.rules)
        checks |= {("events", day): judged[day] for day in days}
        measured |= {("events", day): metrics[day] for day in days}
        verdicts = {
            key: Verdict(bool(blocking(results)), measured.get(key, {}), [asdict(check) for check in results])
            for key, results in checks.items()
        }
        spoilt = [p for p in staged.partitions if verdicts[p.kind, p.day].is_refused and (p.kind, p.day) in corrections]
        settled = tuple(p for p in staged.partitions if p not in spoilt)
        catalogues = logs.catalogue_digests([p for p in staged.partitions if p.kind == "items" and p in settled])
        judged_by = {(p.kind, p.day): self.digest_for(p.kind, p.day, catalogues) for p in settled}
        counts = settle(replace(staged, partitions=settled), verdicts, judged_by)
        for partition in spoilt:
            logs.note_refused_correction(partition)
        found.add(counts, checks, staged.reasons(spoilt))
        found.spoilt |= {(p.kind, p.day) for p in spoilt}
        refused_now = {day: bool(blocking(results)) for day, results in judged.items() if day not in days}
        recorded = [entry for entry in logs.recorded("events") if entry.counts.day in refused_now]
        return [entry.partition for entry in recorded if entry.counts.is_refused != refused_now[entry.counts.day]]

    def _judge_catalogue(
        self, staged: Staged, corrections: set[dt.date]
    ) -> tuple[Checks, dict[Key, Mapping[str, float | None]]]:
        """The results of the suites of items and users, and the metrics of items.

        Catalogues are compared in the order of their days, each with those before it that were not refused.
        """
        checks: Checks = {(p.kind, p.day): [] for p in staged.partitions}
        for kind in ("items", "users"):
            for day, results in judge_table(kind, staged.rows(kind), staged.days(kind), self.rules).items():
                checks[kind, day] += results
        refused = {day for (kind, day), results in checks.items() if kind == "items" and blocking(results)}
        measured: dict[Key, Mapping[str, float | None]] = {}
        waiting = staged.days("items")
        while waiting:
            ratios = staged.catalogue_ratios(self.rules, refused, refused & corrections)
            judged = judge_metrics({day: {"catalogue_ratio": ratios[day]} for day in waiting}, self.rules, "items")
            shrunk = next((day for day in waiting if day not in refused and blocking(judged[day])), waiting[-1])
            for day in [day for day in waiting if day <= shrunk]:
                measured["items", day] = {"catalogue_ratio": ratios[day]}
                checks["items", day] += judged[day] if day not in refused else []
            if blocking(checks["items", shrunk]):
                refused.add(shrunk)
            waiting = [day for day in waiting if day > shrunk]
        return checks, measured


def _corrects(partition: Partition, former: Mapping[Key, Recorded]) -> bool:
    """Whether other bytes than these are in the logs: who corrects a day badly shall not lose what was good before."""
    key = partition.kind, partition.day
    return key in former and former[key].bytes != partition.digest
