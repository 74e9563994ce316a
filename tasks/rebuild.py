"""The logs made again from the landing zone, and compared with those there are."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import ContractError, LogsDamaged, LogsError
from retrieval.rules import Action, Rules
from storage.landing import Landing
from storage.layout import Lake
from storage.logs import KINDS, open_logs
from storage.logs.opening import alone
from storage.logs.upkeep import (
    Difference,
    beside,
    carry_over,
    differences,
    keep_damaged,
    lost,
    put_in_place,
)
from tasks.ingest import load_span
from tasks.judge import Judge


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
    lake: Lake, landing: str, rules: Rules, actions: Mapping[str, Action], *, accept_loss: bool, at: dt.datetime
) -> Rebuilt:
    """Make the logs again from the landing zone and let them take the former ones' place.

    Forgotten users stay out, and taken-up late events in. Logs that cannot be read are kept under `backups/`.

    Raises:
        ContractError: when nothing has landed.
        LogsError: when rows that cannot be loaded any more would be lost, or a list of forgotten users that cannot be
            read, unless `accept_loss` says so; the logs are as they were then.
    """
    zone, fresh = Landing(landing), lake.logs.with_name("rebuilt.duckdb")
    days = [day for kind in KINDS for day in zone.days(kind)]
    if not days:
        raise ContractError(f"nothing has landed in {landing}. Name the landing zone with --landing.")
    is_damaged = _is_damaged(lake)
    if is_damaged and not accept_loss:
        raise LogsError(
            f"{lake.logs} cannot be read, and with it who is to stay forgotten. Put a saved file in its place, or make "
            f"the logs anew with --accept-loss and forget those users again."
        )
    fresh.parent.mkdir(parents=True, exist_ok=True)
    with alone(lake.logs):
        try:
            made = _make(fresh, lake, zone, (min(days), max(days)), Judge(rules, actions), accept_loss, at)
            if is_damaged:
                keep_damaged(lake.logs, at)
            put_in_place(fresh, lake.logs)
        finally:
            for leftover in fresh.parent.glob(f"{fresh.stem}.*"):
                leftover.unlink()
    return made


def _make(
    fresh: Path,
    lake: Lake,
    zone: Landing,
    span: tuple[dt.date, dt.date],
    judge: Judge,
    accept_loss: bool,
    at: dt.datetime,
) -> Rebuilt:
    fresh.unlink(missing_ok=True)
    with open_logs(fresh) as logs, beside(logs, lake.logs) as former:
        with logs.transaction():
            carry_over(logs, former)
            logs.note("rebuild", at, {"first": span[0], "last": span[1]})
        found = load_span(logs, zone, span, judge.rules, judge.actions)
        gone = lost(logs, former)
        if gone and not accept_loss:
            raise LogsError(
                f"{len(gone)} partitions of the logs cannot be loaded any more (first: {gone[0][0]} of {gone[0][1]}): "
                f"their files are not landed, cannot be used or are refused, and the rows would be lost. Land them "
                f"again, or allow it with --accept-loss. The logs are as they were."
            )
        return Rebuilt(found.logs_digest, former is not None, tuple(differences(logs, former)), found.refused)


def _is_damaged(lake: Lake) -> bool:
    """Whether there are logs that cannot be read; readable ones of a former version are brought up to date."""
    if not lake.logs.exists():
        return False
    try:
        with open_logs(lake.logs):
            return False
    except LogsDamaged:
        return True
