"""Summaries as Markdown in docs/benchmarks.md, between marks, and as JSON beside the cache."""

import re
from pathlib import Path
from typing import Any

from peer_grid import Grid
from peer_sets import RealSet
from peer_summary import FIGURES, HOUSE, KNOWN, Lap, Pooled, Summary

from retrieval.metrics import Estimate

BOUND = 1.5
"""Times a fit of ours may take what a like fit takes a peer; above it only where wall and CPU time both say so."""
WORDS = {
    "recall_at_10": "recall@10",
    "recall_at_100": "recall@100",
    "ndcg_at_10": "nDCG@10",
    KNOWN: "recall@100, with a history",
}
DUELS = "Our best family less each library's best, and our best fan-out less our best family; best on the validation window:"
PAIRS = {"all": "All pairs", "new": "Pairs new to the user"}


def replace_section(document: Path, name: str, text: str) -> None:
    """Put a text between the marks of a name; marks that are not there yet come at the end."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    whole = document.read_text()
    if begin not in whole:
        whole = f"{whole.rstrip()}\n\n{begin}\n{end}\n"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    document.write_text(pattern.sub(lambda _: f"{begin}\n{text.strip()}\n{end}", whole))


def section(real_set: RealSet, summaries: list[Summary], laps: list[Lap], grid: Grid) -> str:
    """All that is said of one set."""
    parts = [
        f"## {real_set.title}",
        f"{real_set.protocol[0].upper()}{real_set.protocol[1:]}. {_budget(real_set, grid)}".strip(),
    ]
    for summary in summaries:
        parts += [f"### {PAIRS[summary.pairs]}", _asked(summary), _families(summary, real_set)]
        if summary.duels:
            parts += [DUELS, _duels(summary, real_set)]
        if summary.failures:
            parts.append(_failures(summary))
    if laps:
        parts += [f"### Time of like fits, median of {grid.n_laps}", _laps(laps)]
    return "\n\n".join(parts)


def _budget(real_set: RealSet, grid: Grid) -> str:
    threads = f"Fits by {grid.threads} thread{'s' if grid.threads > 1 else ''}."
    otherwise = grid.sets.get(real_set.name)
    if otherwise is None:
        return threads
    without = f"Not fitted here: {', '.join(otherwise.without)}; {otherwise.reason}."
    return f"{threads} At most {grid.n_trials} trials a family. {without}"


def _asked(summary: Summary) -> str:
    return (
        f"{summary.n_questions:,} questions with {summary.n_targets:,} answers; "
        f"{summary.n_without_history:,} come from people without a history."
    )


def _families(summary: Summary, real_set: RealSet) -> str:
    words, figures = _words(real_set), _told(summary)
    head = ["family", *(f"{words[figure]} [95 %]" for figure in figures), "coverage@100", "fit s", "ms a question"]
    rows = [
        [
            _named(row),
            *(_interval(row.estimates[figure]) for figure in figures),
            f"{row.coverage_at_100:.3f}",
            f"{row.fit_seconds:.2f}",
            f"{row.ms_a_question:.2f}",
        ]
        for row in summary.families
    ]
    return _table(head, rows)


def _duels(summary: Summary, real_set: RealSet) -> str:
    words, figures = _words(real_set), _told(summary)
    rows = [
        [words[duel.by], f"**{duel.ours.model.family}**", _named(duel.other)]
        + [_signed(duel.change[figure]) for figure in figures]
        for duel in summary.duels
    ]
    return _table(["best at", "of ours", "less", *(f"{words[figure]} [95 %]" for figure in figures)], rows)


def _words(real_set: RealSet) -> dict[str, str]:
    """With one right answer to a question, recall is the rate of hits."""
    return WORDS | ({"recall_at_10": "HR@10"} if real_set.is_leave_one_out else {})


def _told(summary: Summary) -> tuple[str, ...]:
    """The figures of a table: people with a history apart where there are others."""
    return FIGURES if summary.n_without_history else tuple(figure for figure in FIGURES if figure != KNOWN)


def _failures(summary: Summary) -> str:
    said = [f"- {failure.model.name}: {failure.why.strip().splitlines()[-1][:200]}" for failure in summary.failures]
    return "\n".join(["Without figures:", "", *said])


def _laps(laps: list[Lap]) -> str:
    libraries = list(dict.fromkeys(library for lap in laps for library in lap.seconds if library != HOUSE))
    rows = [[lap.name, _seconds(lap.seconds[HOUSE]), *(_ratio(lap, library) for library in libraries)] for lap in laps]
    return _table(
        ["fit", "ours, wall and CPU s", *(f"{library}, wall and CPU s (ours / theirs)" for library in libraries)], rows
    )


def _ratio(lap: Lap, library: str) -> str:
    if library not in lap.seconds:
        return "–"
    ours, theirs = lap.seconds[HOUSE], lap.seconds[library]
    if ours is None or theirs is None:
        return _seconds(theirs)
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    verdict = ", above the bound" if min(ratios) > BOUND else ""
    return f"{_seconds(theirs)} ({ratios[0]:.2f} and {ratios[1]:.2f}{verdict})"


def _seconds(value: tuple[float, float] | None) -> str:
    return "failed" if value is None else f"{value[0]:.2f} and {value[1]:.2f}"


def _named(row: Pooled) -> str:
    return f"**{row.model.name}**" if row.model.library == HOUSE else row.model.name


def _interval(value: Estimate) -> str:
    return f"{value.mean:.4f} [{value.low:.4f}, {value.high:.4f}]"


def _signed(value: Estimate) -> str:
    return f"{value.mean:+.4f} [{value.low:+.4f}, {value.high:+.4f}]"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_json(real_set: RealSet, summaries: list[Summary], laps: list[Lap]) -> dict[str, Any]:
    """The same figures with the settings that were chosen, for machines."""
    return {
        "set": real_set.name,
        "pairs": {summary.pairs: _summary_as_json(summary) for summary in summaries},
        "fit_seconds_of_like_fits": {lap.name: lap.seconds for lap in laps},
    }


def _summary_as_json(summary: Summary) -> dict[str, Any]:
    return {
        "n_questions": summary.n_questions,
        "n_without_history": summary.n_without_history,
        "families": {
            row.model.name: {
                **{metric: [e.mean, e.low, e.high] for metric, e in row.estimates.items()},
                "coverage_at_100": row.coverage_at_100,
                "fit_seconds": row.fit_seconds,
                "ms_a_question": row.ms_a_question,
                "validated": row.validated,
                "settings": row.settings,
            }
            for row in summary.families
        },
        "duels": [
            {
                "by": duel.by,
                "ours": duel.ours.model.name,
                "other": duel.other.model.name,
                "change": {metric: [e.mean, e.low, e.high] for metric, e in duel.change.items()},
            }
            for duel in summary.duels
        ],
        "failures": {failure.model.name: failure.why for failure in summary.failures},
    }
