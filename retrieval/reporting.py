"""The night's report: one self-contained HTML page, made of plain values, readable offline and printed."""

import datetime as dt
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from markupsafe import Markup

from retrieval.blend import BLEND
from retrieval.comparison import EVERYBODY
from retrieval.convergence_page import cohort_rows, recall_rows, settling_charts
from retrieval.front_plot import front_chart, lines_of
from retrieval.pages import Card, CheckResult, RowCounts, Verdict, by_subject, by_urgency, environment, reasons_of
from retrieval.plots import sources_chart, trend_chart
from retrieval.release_rules import Decision
from retrieval.wording import against_popularity, count, floor_of, ranked, recall_of, seconds, share, since
from retrieval.worth import proposal, recall_by_segment, worth_rows

PAIRS = {"all": "all pairs", "new": "new pairs"}
FACTS = {
    "n_items": "items in the catalogue",
    "n_users": "users known",
    "n_events_before": "events learnt from",
    "n_events_of_day": "events of the day",
    "n_eligible_items": "items that may be shown the day after",
    "n_fresh_items": "fresh items",
    "n_texts": "distinct texts",
    "n_encoded": "texts encoded this night",
}


@dataclass(frozen=True, slots=True)
class StageTime:
    """How long one stage of the night took."""

    name: str
    seconds: float
    detail: str = ""
    """What it did, in a few words: "92,331 items, 47 fresh"."""


@dataclass(frozen=True, slots=True)
class SampleUser:
    """One user's latest choices and what the release recommends."""

    user_id: str
    history: list[str]
    """Titles, newest first."""
    recommended: list[str]
    """Titles, best first."""


@dataclass(frozen=True, slots=True)
class SampleItem:
    """One item and its neighbours."""

    title: str
    item_id: str
    neighbours: list[str]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the night's release was found to be, alone and beside the live one."""

    decision: Decision
    compared_with: str | None
    """The live release; None where there was none to compare with."""
    checks: list[CheckResult]
    differences: list[dict[str, Any]]
    """A `Difference` as plain values for each metric, source and segment."""

    @property
    def failed(self) -> list[CheckResult]:
        return [check for check in self.checks if not check.passed]

    def sentence(self) -> str:
        """The decision with what it came from."""
        said = {
            "promote": "The release passed its acceptance tests and the gate",
            "hold": "The gate holds the release: it waits for a person",
            "refuse": "The release was refused: it can never become live",
        }[self.decision]
        blocking = [check.rule for check in self.failed if check.severity == "block"]
        return f"{said}, for {', '.join(blocking[:3])}." if blocking else f"{said}."


@dataclass(frozen=True, slots=True)
class NightReport:
    """Everything one night's page shows."""

    release_id: str
    day: dt.date
    recipe_name: str
    recipe_id: str
    code_digest: str
    parent: str | None
    """The release that was live when this one was made."""
    stages: list[StageTime]
    rows: list[RowCounts]
    n_days_loaded: int
    """Days that this run loaded into the logs: 1 on an ordinary night, many on a first one."""
    reasons: dict[str, int]
    """Rows set aside, by reason code."""
    reason_meanings: dict[str, str]
    checks: list[CheckResult]
    """All rules of the day itself, and the failed ones of other days loaded by this run."""
    judgement: Judgement
    scores: list[dict[str, Any]]
    """A `SourceScore` as plain values for each source and kind of pairs; the source "blend" is what is served."""
    history: list[dict[str, Any]]
    """Earlier nights, oldest first: {"day": "2017-10-01", "scores": [...]} of the same shape."""
    indexes: list[dict[str, Any]]
    """{"source", "recall_at_10", "ef_search", "n_vectors", "n_probes"} of each index."""
    microseconds_per_query: dict[str, float]
    """What each source costs, a query."""
    mix: dict[str, Any]
    """A `Mix` as plain values: what each source is worth."""
    similar: dict[str, Any]
    """A `Similar` as plain values: what is said of items."""
    facts: dict[str, Any]
    """Counts of the night: n_items, n_users, n_events_before, n_events_of_day, n_fresh_items, n_texts, n_encoded."""
    convergence: dict[str, Any] = field(default_factory=dict)
    """Whether fresh items' vectors settle: `SpaceFindings` as `spaces`, `FreshRecall` as `recall`, in plain values."""
    fresh_items: list[SampleItem] = field(default_factory=list)
    users: list[SampleUser] = field(default_factory=list)
    items: list[SampleItem] = field(default_factory=list)


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
            cards=cards(report),
            bars=timeline(report.stages),
            total_seconds=sum(stage.seconds for stage in report.stages),
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


def verdict(report: NightReport) -> Verdict:
    """Whether anybody needs to get up: the row counts, the checks, and the blend beside popularity."""
    failed = [check for check in report.checks if not check.passed]
    lost = sum(abs(row.unaccounted) for row in report.rows)
    comparison, is_better = against_popularity(report.scores)
    decision = report.judgement.decision
    sentences = [report.judgement.sentence(), _checks_sentence(report.checks, failed), comparison]
    if lost:
        sentences.insert(0, f"{count(lost)} landed rows are not accounted for.")
    if lost or decision != "promote" or any(check.severity == "block" for check in failed):
        return Verdict("bad", "✗ Needs somebody", sentences)
    if failed or report.judgement.failed or not is_better:
        return Verdict("look", "! Worth a look in the morning", sentences)
    return Verdict("good", "✓ All well", sentences)


def _checks_sentence(checks: list[CheckResult], failed: list[CheckResult]) -> str:
    if not checks:
        return "No checks were run: nothing new was loaded."
    if not failed:
        return f"All {count(len(checks))} checks passed."
    n_blocking = sum(check.severity == "block" for check in failed)
    named = [f"{check.rule} of {check.day}" for check in by_urgency(failed)[:3]]
    more = [f"{count(len(failed) - 3)} more"] if len(failed) > 3 else []
    found = f"{count(len(failed))} of {count(len(checks))} checks failed, {count(n_blocking)} of them blocking"
    return f"{found}: {', '.join(named + more)}."


def cards(report: NightReport) -> list[Card]:
    """The key figures."""
    fresh, encoded = report.facts.get("n_fresh_items", 0), report.facts.get("n_encoded", 0)
    return [
        _events_card(report),
        Card("Fresh items embedded", count(fresh), [f"{count(encoded)} texts encoded anew"]),
        _recall_card(report, "all"),
        _recall_card(report, "new"),
        _index_card(report),
        _time_card(report),
    ]


def _events_card(report: NightReport) -> Card:
    events = next((row for row in report.rows if row.kind == "events"), None)
    if events is None:
        return Card("Events loaded", "0", ["nothing new landed"])
    days = "1 day" if report.n_days_loaded == 1 else f"{count(report.n_days_loaded)} days"
    notes = [f"{count(events.quarantined)} quarantined, {count(events.duplicates)} duplicates", days]
    return Card("Events loaded", count(events.loaded), notes)


def _recall_card(report: NightReport, pairs: str) -> Card:
    label, now = f"Blend recall@100, {PAIRS[pairs]}", recall_of(report.scores, pairs, BLEND)
    if now is None:
        return Card(label, "not measured", [])
    notes = [f"95 % interval {share(now['low'])} to {share(now['high'])}", "first night, nothing to compare with"]
    if report.history:
        last = report.history[-1]
        notes[1] = since(now, recall_of(last["scores"], pairs, BLEND), last["day"])
    return Card(label, share(now["mean"]), notes)


def _index_card(report: NightReport) -> Card:
    lowest = min(report.indexes, key=lambda index: index["recall_at_10"], default=None)
    if lowest is None:
        return Card("Index recall@10", "none", ["no source has a vector index"])
    note = f"against exact search; lowest of {count(len(report.indexes))}: {lowest['source']}"
    return Card("Index recall@10", share(lowest["recall_at_10"]), [note])


def _time_card(report: NightReport) -> Card:
    slowest = max(report.stages, key=lambda stage: stage.seconds, default=None)
    total = sum(stage.seconds for stage in report.stages)
    notes = [f"{total / 60:,.1f} minutes"] if total >= 120 else []
    if slowest:
        notes.append(f"longest: {slowest.name}, {seconds(slowest.seconds)}")
    return Card("Total time", seconds(total), notes)


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


def _plain(value: Any) -> str:
    return count(value) if isinstance(value, int) else str(value)
