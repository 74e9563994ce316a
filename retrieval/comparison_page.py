"""The page of an experiment: its question, its front of recall against relevance, and its table."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from markupsafe import Markup

from retrieval.experiment import FIGURES, Comparison, Experiment, Row
from retrieval.front_plot import front_chart
from retrieval.metrics import Estimate
from retrieval.pages import environment
from retrieval.settling import settling_lines
from retrieval.similarity import HeadHealth

HEAD_FIGURES = {"overlap@100": "overlap_at_100", "CKA": "cka", "gradient cosine": "gradient_cosine"}
"""How far apart heads are, and what it is called in `HeadHealth`."""


def render_comparison(experiment: Experiment, comparison: Comparison, day: dt.date) -> str:
    """The page, self-contained."""
    charts = {name: Markup(drawn) for name, drawn in charts_of(experiment, comparison).items()}  # matplotlib escapes
    return (
        environment()
        .get_template("comparison.html.j2")
        .render(
            experiment=experiment,
            comparison=comparison,
            day=day.isoformat(),
            heads=list(FIGURES.values()),
            rows=[(row.name, [cell(row, name) for name in FIGURES]) for row in comparison.rows],
            settling_chart=charts.get("settling"),
            chart=charts["front"],
            health_heads=list(HEAD_FIGURES),
            health_rows=heads_rows(comparison),
        )
    )


def table_of(comparison: Comparison) -> str:
    """The table in Markdown: each figure with its interval, and its change from the baseline."""
    head = ["", *FIGURES.values()]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {row.name} | {' | '.join(cell(row, name) for name in FIGURES)} |" for row in comparison.rows]
    return "\n".join(lines) + "\n"


def _settling_chart(comparison: Comparison) -> str:
    found = comparison.settling
    return settling_lines(found, "Share of the way left by nights") if found else ""


def settling_table(comparison: Comparison) -> str:
    """How soon fresh items are where they stay, in Markdown; nothing where that was not followed."""
    if not comparison.settling:
        return ""
    n = max(len(found.left) for found in comparison.settling.values())
    head = ["", "cohorts", "items", "nights to half", "to nine tenths", "lead", *(f"left at {age}" for age in range(n))]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for name, found in comparison.settling.items():
        figures = [f"{found.nights_to_half:.2f}", f"{found.nights_to_nine_tenths:.2f}", f"{found.lead:.2f}"]
        left = [f"{share:.2f}" for share in found.left]
        lines.append(f"| {' | '.join([name, str(found.n_cohorts), str(found.n_items), *figures, *left])} |")
    return "\n".join(lines) + "\n"


def heads_table(comparison: Comparison) -> str:
    """How far apart the heads of each variant are with each seed, in Markdown; nothing where all have one head."""
    if not comparison.heads:
        return ""
    lines = [f"| {' | '.join(['', *HEAD_FIGURES])} |", f"|{'---|' * (1 + len(HEAD_FIGURES))}"]
    lines += [f"| {' | '.join([name, *cells])} |" for name, cells in heads_rows(comparison)]
    return "\n".join(lines) + "\n"


def heads_rows(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """Each variant's name, and its figures seed by seed."""
    return [(name, [_by_seed(found, of) for of in HEAD_FIGURES.values()]) for name, found in comparison.heads.items()]


def _by_seed(found: Sequence[HeadHealth], figure: str) -> str:
    values = [getattr(health, figure) for health in found]
    return ", ".join("none" if value is None else f"{value:.3f}" for value in values)


def charts_of(experiment: Experiment, comparison: Comparison) -> dict[str, str]:
    """The page's charts by name, as SVG elements."""
    charts = {"front": front_chart(front_of(experiment, comparison), experiment.question)}
    return charts | ({"settling": drawn} if (drawn := _settling_chart(comparison)) else {})


def cell(row: Row, name: str) -> str:
    """.1234 [.1200, .1300], +12 % [+8, +16]."""
    said = _interval(row.figures[name])
    change = row.change.get(name)
    if change is None or change.low == change.high == 0:
        return said
    return f"{said}, {100 * change.mean:+.0f} % [{100 * change.low:+.0f}, {100 * change.high:+.0f}]"


def front_of(experiment: Experiment, comparison: Comparison) -> list[tuple[str, list[dict[str, Any]]]]:
    """Lines of the chart: each variant's merge over its shares, other ways as points; or each way over the variants."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for row in comparison.rows:
        name, _, alpha = row.name.partition(" α=")
        said = f"α {alpha}" if alpha else ""
        if experiment.front == "variants":
            said = max((v for v in experiment.variants if row.name.startswith(f"{v} ")), key=len)
            name = row.name.removeprefix(f"{said} ")
        figures = {figure: asdict(estimate) for figure, estimate in row.figures.items()}
        lines.setdefault(name, []).append(figures | {"said": said})
    if experiment.front == "variants":  # the baseline's row is the first, wherever its variant stands
        order = list(experiment.variants)
        lines = {name: sorted(scores, key=lambda score: order.index(score["said"])) for name, scores in lines.items()}
    return list(lines.items())


def _interval(value: Estimate) -> str:
    return f"{value.mean:.4f} [{value.low:.4f}, {value.high:.4f}]"
