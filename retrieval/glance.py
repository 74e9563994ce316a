"""A night at a glance: whether anybody needs to get up, a row of lights, the key figures."""

from dataclasses import dataclass
from statistics import median

from retrieval.blend import BLEND
from retrieval.comparison import EVERYBODY
from retrieval.pages import Card, CheckResult, Verdict, by_urgency
from retrieval.release_rules import RECALL
from retrieval.report_parts import PAIRS, NightReport
from retrieval.wording import against_popularity, count, recall_of, seconds, share, since

SLOW = 2.0
"""A night that takes so many times as long as the median of those before it is worth a look."""
MIN_NIGHTS, MIN_FREE = 5, 5 << 30
SIGNS = {"good": "✓", "look": "!", "bad": "✗", "none": "–"}


@dataclass(frozen=True, slots=True)
class Light:
    """One part of the night: how it is by sign, word and colour, and where on the page to read on."""

    part: str
    tone: str
    """good, look, bad or none."""
    word: str
    note: str
    anchor: str

    @property
    def sign(self) -> str:
        return SIGNS[self.tone]


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
        Card(
            "Fresh items embedded", count(fresh), [f"{count(encoded)} text{'' if encoded == 1 else 's'} encoded anew"]
        ),
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


def lights(report: NightReport) -> list[Light]:
    """The parts of the night in the order in which they follow from each other."""
    return [_data(report), _quality(report), _fresh(report), _heads(report), _index(report), _time(report)]


def _data(report: NightReport) -> Light:
    failed = [check for check in report.checks if not check.passed]
    n_aside = sum(row.quarantined for row in report.rows)
    note = f"{count(sum(row.loaded for row in report.rows))} rows loaded, {count(n_aside)} set aside"
    if any(row.unaccounted for row in report.rows):
        return Light("Data", "bad", "rows are missing", note, "data")
    rules = f"{count(len(failed))} rule{'s' if len(failed) > 1 else ''}"
    if any(check.severity == "block" for check in failed):
        return Light("Data", "bad", f"{rules} failed", note, "data")
    if failed:
        return Light("Data", "look", f"{rules} failed, of those that warn", note, "data")
    return Light("Data", "good", "in order", note, "data")


def _quality(report: NightReport) -> Light:
    asked = (BLEND, EVERYBODY, RECALL)
    found = [d for d in report.judgement.differences if (d["of"], d["segment"], d["metric"]) == asked]
    note = "no live release to compare with"
    for change in (difference["change"] for difference in found):
        mean, low, high = (100 * change[part] for part in ("mean", "low", "high"))
        note = f"{RECALL} {mean:+.2f} points ({low:+.2f} to {high:+.2f}) against the live release"
    tone, word = {
        "promote": ("good", "passed the gate"),
        "hold": ("bad", "held by the gate"),
        "refuse": ("bad", "refused"),
    }[report.judgement.decision]
    if tone == "good" and report.judgement.failed:
        n = len(report.judgement.failed)
        tone, word = "look", f"passed, {count(n)} {'tests warn' if n > 1 else 'test warns'}"
    return Light("Quality", tone, word, note, "gate")


def _fresh(report: NightReport) -> Light:
    states = [cohort["state"] for space in report.convergence.get("spaces", []) for cohort in space["cohorts"]]
    failing, settling = states.count("failing"), states.count("converging")
    note = f"{count(report.facts.get('n_fresh_items', 0))} new, {count(len(states))} cohorts followed"
    if failing:
        return Light(
            "Fresh items",
            "bad",
            "1 cohort does not settle" if failing == 1 else f"{count(failing)} cohorts do not settle",
            note,
            "fresh",
        )
    if settling:
        return Light(
            "Fresh items",
            "good",
            "1 cohort settles" if settling == 1 else f"{count(settling)} cohorts settle",
            note,
            "fresh",
        )
    return Light("Fresh items", "none", "too early to tell", note, "fresh")


def _heads(report: NightReport) -> Light:
    found = report.similar.get("heads", [])
    if not found:
        return Light("Heads", "none", "no source has any", "one space a source", "similar")
    alike = [c for c in report.judgement.checks if c.rule in ("head_overlap", "head_cka") and not c.passed]
    widest = max(found, key=lambda head: head["overlap_at_100"])
    note = f"{widest['source']}: overlap {share(widest['overlap_at_100'])}, CKA {widest['cka']:.2f}"
    return Light("Heads", "look" if alike else "good", "say the same" if alike else "stay apart", note, "similar")


def _index(report: NightReport) -> Light:
    lowest = min(report.indexes, key=lambda index: index["recall_at_10"], default=None)
    if lowest is None:
        return Light("Index", "none", "no source has one", "", "quality")
    failed = any(c.about in ("index", "vectors", "identity") and not c.passed for c in report.judgement.checks)
    note = f"finds {share(lowest['recall_at_10'])} of what exact search finds ({lowest['source']})"
    return Light("Index", "bad" if failed else "good", "a test failed" if failed else "sound", note, "quality")


def _time(report: NightReport) -> Light:
    before = [night["night"]["seconds"] for night in report.history if night.get("night")]
    room = "" if report.free_bytes is None else f", {report.free_bytes / (1 << 30):,.0f} GiB free"
    note = f"{seconds(report.seconds)}{room}"
    if report.free_bytes is not None and report.free_bytes < MIN_FREE:
        return Light("Time and room", "look", "the disk runs full", note, "stages")
    if len(before) >= MIN_NIGHTS and report.seconds > SLOW * median(before):
        word = f"{report.seconds / median(before):.1f} times as long as usual"
        return Light("Time and room", "look", word, note, "stages")
    return Light("Time and room", "good", "as usual" if len(before) >= MIN_NIGHTS else "enough", note, "stages")
