"""The logs made again from the landing zone, and compared with those there are."""

import datetime as dt
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from retrieval.errors import LogsError
from retrieval.rules import Action, Rules
from storage.landing import Landing
from storage.layout import Lake
from storage.logs import KINDS, open_logs
from storage.logs.opening import alone
from storage.logs.upkeep import Difference, beside, carry_over, differences, lost, put_in_place
from tasks.ingest import load_span


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What became of the logs."""

    digest: str
    had_former: bool
    """Whether there were logs that could be read, to compare with."""
    differences: tuple[Difference, ...]
    """The kinds and days that hold other rows than before."""
    refused: Mapping[dt.date, str]

    @property
    def is_same(self) -> bool:
        return self.had_former and not self.differences


def rebuild(
    lake: Lake, landing: str, rules: Rules, actions: Mapping[str, Action], *, drop_unlanded: bool, at: dt.datetime
) -> Rebuilt:
    """Make the logs again from the landing zone and let them take the former ones' place.

    Forgotten users stay out, and taken-up late events in.

    Raises:
        LogsError: when days would be lost whose files cannot be loaded any more, unless `drop_unlanded` says so.
    """
    zone, fresh = Landing(landing), lake.logs.with_name("rebuilt.duckdb")
    _bring_up_to_date(lake)
    fresh.parent.mkdir(parents=True, exist_ok=True)
    fresh.unlink(missing_ok=True)
    days = [day for kind in KINDS for day in zone.days(kind)]
    span = min(days, default=at.date()), max(days, default=at.date())
    with alone(lake.logs):
        with open_logs(fresh) as logs, beside(logs, lake.logs) as former:
            with logs.transaction():
                carry_over(logs, former)
                logs.note("rebuild", at, {"partitions": len(days)})
            found = load_span(logs, zone, span, rules, actions)
            changed = differences(logs, former)
            gone = lost(logs, former)
            if gone and not drop_unlanded:
                raise LogsError(
                    f"{len(gone)} partitions of the logs cannot be loaded any more (first: {gone[0][0]} of "
                    f"{gone[0][1]}): their files are not landed, cannot be used or are refused, and the rows would be "
                    f"lost. Land them again, or allow it with --drop-unlanded. The logs are as they were."
                )
        put_in_place(fresh, lake.logs)
    return Rebuilt(found.logs_digest, former is not None, tuple(changed), found.refused)


def _bring_up_to_date(lake: Lake) -> None:
    """Bring logs of a former version up to date, to be compared with; damaged ones are left as they are."""
    if lake.logs.exists():
        with suppress(LogsError), open_logs(lake.logs):
            pass
