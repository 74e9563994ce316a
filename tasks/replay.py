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
from storage.logs.opening import require_there
from storage.logs.quarantine import Wanted
from storage.logs.reading import Recorded
from tasks.ingest import load_catalogue
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

    Items and users that landed and are not in the logs are loaded first. A partition whose landed files have changed is
    read from them, any other from what the logs keep of it. Doing it twice moves nothing more. What was done is written
    to the logs' audit.

    Raises:
        LogsError: when another process writes.
    """
    zone, judge = Landing(landing), Judge(rules, actions)
    require_there(lake.logs)
    with open_logs(lake.logs) as logs:
        chosen = sorted(wanted.partitions(logs).items(), key=lambda entry: (KINDS.index(entry[0][0]), entry[0][1]))
        if chosen:  # the rows may have waited for their catalogue
            load_catalogue(logs, zone, max(day for (_, day), _ in chosen), judge, Pass())
        return [_replay(logs, zone, kind, day, n_before, judge, at) for (kind, day), n_before in chosen]


def _replay(
    logs: Logs, zone: Landing, kind: Kind, day: dt.date, n_before: int, judge: Judge, at: dt.datetime
) -> Replayed:
    (entry,) = logs.recorded(kind, day)
    found, corrected = Pass(), _corrected(zone, entry)
    source = "landing" if corrected else "logs"
    try:
        with logs.transaction():
            if corrected:
                judge.load(logs, zone, [corrected], found)
            else:
                judge.again(logs, [entry.partition], found)
            n_after = Wanted(kind, day).partitions(logs).get((kind, day), 0)
            done = Replayed(kind, day, source, max(n_before - n_after, 0), n_after, found.refused().get(day, ""))
            logs.note("replay", at, {"kind": kind, "day": day, "source": source, "moved": done.moved, "left": n_after})
    except PartitionError as error:
        return Replayed(kind, day, source, 0, n_before, str(error))
    return done


def _corrected(zone: Landing, entry: Recorded) -> Partition | None:
    """The landed partition, when it is there and is not the one that the logs know."""
    try:
        landed = zone.partition(entry.counts.kind, entry.counts.day)
    except PartitionError:
        return None
    return landed if landed.digest != entry.bytes else None
