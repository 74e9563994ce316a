"""Quarantined rows into the logs, after the rules or the landed files were mended."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from retrieval.errors import PartitionError
from retrieval.rules import Action, Rules
from retrieval.schema import Kind
from storage.landed import Partition
from storage.landing import Landing
from storage.layout import Lake
from storage.logs import KINDS, Logs, open_logs
from storage.logs.quarantine import Wanted
from storage.logs.reading import Recorded
from tasks.judge import Judge, Pass


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did with one partition."""

    kind: Kind
    day: dt.date
    source: str
    """Where its rows were read: `landing` when its files had changed, otherwise the `logs` themselves."""
    moved: int
    """Rows that left the quarantine for the logs."""
    left: int
    """Rows that stay in the quarantine."""
    problem: str
    """Why it was left as it was, or is refused; empty when it is neither."""


def replay(
    lake: Lake, landing: str, wanted: Wanted, rules: Rules, actions: Mapping[str, Action], *, at: dt.datetime
) -> list[Replayed]:
    """Judge again every partition that has such rows, by the rules of now; good rows move to the logs.

    A partition whose landed files have changed is read from them, any other from what the logs keep of it. Doing it
    twice moves nothing more. What was done is written to the logs' audit.

    Raises:
        LogsError: when another process writes.
    """
    zone, judge = Landing(landing), Judge(rules, actions)
    with open_logs(lake.logs) as logs:
        chosen = sorted(wanted.partitions(logs).items(), key=lambda entry: (KINDS.index(entry[0][0]), entry[0][1]))
        done = [_replay(logs, zone, kind, day, n_before, judge) for (kind, day), n_before in chosen]
        if done:
            with logs.transaction():
                moved = sum(entry.moved for entry in done)
                logs.note("replay", at, {"partitions": len(done), "moved": moved, "left": sum(e.left for e in done)})
    return done


def _replay(logs: Logs, zone: Landing, kind: Kind, day: dt.date, n_before: int, judge: Judge) -> Replayed:
    (entry,) = logs.recorded(kind, day)
    found, problem = Pass(), ""
    corrected = _corrected(zone, entry)
    try:
        with logs.transaction():
            if corrected:
                judge.load(logs, zone, [corrected], found)
            else:
                judge.again(logs, [entry.partition], found)
    except PartitionError as error:
        problem = str(error)
    problem = problem or found.refused().get(day, "")
    n_after = Wanted(kind, day).partitions(logs).get((kind, day), 0)
    return Replayed(kind, day, "landing" if corrected else "logs", max(n_before - n_after, 0), n_after, problem)


def _corrected(zone: Landing, entry: Recorded) -> Partition | None:
    """The landed partition, when it is there and is not the one that the logs know."""
    try:
        landed = zone.partition(entry.counts.kind, entry.counts.day)
    except PartitionError:
        return None
    return landed if landed.digest != entry.bytes else None
