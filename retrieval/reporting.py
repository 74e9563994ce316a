"""The night's report: one self-contained HTML page, made of plain values, readable offline and printed."""

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from markupsafe import Markup

from retrieval.blend import BLEND
from retrieval.comparison import EVERYBODY
from retrieval.convergence_page import cohort_rows, recall_rows, settling_charts
from retrieval.front_plot import front_chart, lines_of
from retrieval.glance import cards, lights, verdict
from retrieval.pages import by_subject, environment, reasons_of
from retrieval.plots import sources_chart, trend_chart
from retrieval.report_parts import FACTS, PAIRS, NightReport, StageTime
from retrieval.row_examples import by_reason
from retrieval.trend_plots import TRENDS, figure_chart
from retrieval.wording import count, floor_of, ranked
from retrieval.worth import proposal, recall_by_segment, worth_rows


@dataclass(frozen=True, slots=True)
class Bar:
    """One stage on the night's time line, in percent of the whole."""

    stage: StageTime
    left: float
    width: float


def render(report: NightReport) -> str:
    """The night as one HTML page that needs nothing but itself; same report, same bytes."""
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            verdict=verdict(report),
            lights=lights(report),
            cards=cards(report),
            bars=timeline(report.stages),
            total_seconds=report.seconds,
            quality=[
                (PAIRS[pairs], scores, _sources_chart(report, pairs)) for pairs, scores in _measured(report).items()
            ],
            served=BLEND,
            everybody=EVERYBODY,
            floor=floor_of(report.scores),
            worth=worth_rows(report.mix, report.microseconds_per_query),
            proposal=proposal(report.mix),
            segments=recall_by_segment(report.mix),
            front_chart=_front_chart(report),
            trends=[(PAIRS[pairs], _trend_chart(report, pairs)) for pairs in _measured(report) if report.history],
            figures=_figure_charts(report),
            examples=by_reason(report.examples),
            cohorts=cohort_rows(report.convergence),
            fresh_recalls=recall_rows(report.convergence),
            settling=settling_charts(report.convergence),
            rows=report.rows,
            reasons=reasons_of(report.reasons, report.reason_meanings, report.rows),
            subjects=by_subject(report.checks),
            judged=by_subject(report.judgement.checks),
            facts=[(FACTS.get(name, name), _plain(value)) for name, value in report.facts.items()],
        )
    )


def timeline(stages: list[StageTime]) -> list[Bar]:
    """The stages one after another; the shortest stays visible."""
    total = sum(stage.seconds for stage in stages) or 1.0
    starts = accumulate((stage.seconds for stage in stages), initial=0.0)
    return [
        Bar(stage, min(99.5, 100 * start / total), max(0.5, 100 * stage.seconds / total))
        for stage, start in zip(stages, starts, strict=False)
    ]


def _measured(report: NightReport) -> dict[str, list[dict[str, Any]]]:
    tables = {pairs: ranked(report.scores, pairs) for pairs in PAIRS}
    return {pairs: scores for pairs, scores in tables.items() if scores}


def _sources_chart(report: NightReport, pairs: str) -> Markup:
    chart = sources_chart(
        ranked(report.scores, pairs), f"Recall@100 by source, {PAIRS[pairs]}", floor_of(report.scores)
    )
    return Markup(chart)  # safe: matplotlib escapes all text it writes


def _front_chart(report: NightReport) -> Markup:
    lines = lines_of(report.similar.get("scores", []))
    return Markup(front_chart(lines, "Recall against relevance of what is said to be like an item"))  # safe, as above


def _trend_chart(report: NightReport, pairs: str) -> Markup:
    nights = [*report.history, {"day": report.day.isoformat(), "scores": report.scores}]
    return Markup(trend_chart(nights, pairs, f"Recall@100 over nights, {PAIRS[pairs]}"))  # safe, as above


def _figure_charts(report: NightReport) -> list[tuple[str, Markup]]:
    """A chart of each figure that is followed over nights, where there are two to draw."""
    nights = [(night["day"], night["night"]) for night in report.history if night.get("night")]
    nights.append((report.day.isoformat(), report.figures()))
    charts = []
    for name, label in TRENDS.items():
        points = [(day, float(found[name])) for day, found in nights if name in found]
        if len(points) > 1:
            charts.append((label, Markup(figure_chart(points, f"{label} over nights"))))  # safe, as above
    return charts


def _plain(value: Any) -> str:
    return count(value) if isinstance(value, int) else str(value)
