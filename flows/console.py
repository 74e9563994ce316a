"""What a person sees in the terminal: progress with remaining time, tables, one-sentence errors."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from retrieval.progress import listening

WIDTH = 120
"""Columns where the output is no terminal that says how wide it is."""

out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else WIDTH)


def print_json(value: Any) -> None:
    """One JSON document on standard output, nothing else."""
    sys.stdout.write(json.dumps(value, default=str, indent=1) + "\n")


IDS = ("id", "item", "item_id", "parent", "from", "to")
"""Columns that people copy from."""


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table; numbers to the right."""
    if not rows:
        out.print(f"{escape(title)}: none")
        return
    table = Table(title=escape(title), title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) or str(row[index])[:1].isdigit() for row in rows)
        table.add_column(
            column, justify="right" if numeric and rows else "left", overflow="fold", no_wrap=column in IDS
        )
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    out.print(table)


def print_checks(title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    """What checks found: their names, their signs in our own markup, and what was found in anybody's words."""
    table = Table(title=escape(title), title_justify="left", header_style="bold")
    for column in ("check", "state"):
        table.add_column(column, no_wrap=True)
    table.add_column("found", overflow="fold")
    for check, sign, found in rows:
        table.add_row(escape(check), sign, escape(found))
    out.print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """One fact a line."""
    for name, value in facts.items():
        out.print(f"{name.replace('_', ' '):<14} {cell(value)}", soft_wrap=True)


def print_finding(sign: str, sentence: str) -> None:
    """One sentence that is part of the answer, behind a sign that says how bad it is."""
    out.print(f"  [bold {'red' if sign == '✗' else 'yellow'}]{sign}[/] {escape(sentence)}", soft_wrap=True)


def complain(what: str, sentence: str) -> None:
    """One sentence on standard error."""
    err.print(f"[bold red]{what}[/] {escape(sentence)}", soft_wrap=True)


def cell(value: Any) -> str:
    """A value as a person reads it; what logs call things is never markup."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else escape(str(value))


@contextmanager
def progress_shown(*, quiet: bool) -> Iterator[None]:
    """Show all work that says how far it is, on standard error, as bars or, where that is no terminal, as lines."""
    if quiet:
        yield
    elif err.is_terminal:
        with _bars() as bars, listening(_BarListener(bars)):
            yield
    else:
        with listening(_LineListener()):
            yield


def _bars() -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=err, transient=True)


class _BarListener:
    """One bar a piece of work; finished ones leave a line behind."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars
        self.known: dict[str, TaskID] = {}

    def __call__(self, work: str, done: int, total: int) -> None:
        if work not in self.known:
            self.known[work] = self.bars.add_task(work, total=total)
        self.bars.update(self.known[work], completed=done, total=total)
        if done >= total:
            seconds = self.bars.tasks[self.bars.task_ids.index(self.known[work])].elapsed or 0.0
            self.bars.remove_task(self.known.pop(work))
            if seconds > 1:
                err.print(f"[green]✓[/] {work} {seconds:.1f} s")


class _LineListener:
    """A line when a piece of work begins; nothing for its parts."""

    def __init__(self) -> None:
        self.current = ""

    def __call__(self, work: str, done: int, total: int) -> None:
        if work != self.current and done < total:
            self.current = work
            err.print(f"· {work}")


def scores_table(title: str, scores: Sequence[Mapping[str, Any]]) -> None:
    """Quality by source, all pairs and pairs new to the user."""
    rows = []
    for score in scores:
        interval = score["recall_at_100"]
        rows.append(
            (
                score["source"],
                score["pairs"],
                f"{score['recall_at_10']['mean']:.4f}",
                f"{interval['mean']:.4f} [{interval['low']:.4f}, {interval['high']:.4f}]",
                f"{score['over_floor']['mean']:.2f} ×" if score["over_floor"] else None,
                f"{score['ndcg_at_10']['mean']:.4f}",
                f"{score['coverage_at_100']:.4f}",
            )
        )
    print_table(
        title, ("source", "pairs", "recall@10", "recall@100 [95 %]", "of popular", "nDCG@10", "coverage@100"), rows
    )
