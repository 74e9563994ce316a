"""What a night did, as people read it and as plain values for machines."""

from typing import Any

from flows import console
from flows.nightly import NightResult
from flows.status import release_as_json
from retrieval.blend import BLEND
from retrieval.comparison import EVERYBODY
from retrieval.wording import share
from retrieval.worth import WorthRow, points, proposal, with_costs, worth_rows
from storage.bundle import MIXER
from tasks.checks import Judged
from tasks.ingest import Ingested


def night_as_json(result: NightResult) -> dict[str, Any]:
    """A night: its release, its rows and its seconds."""
    release = release_as_json(result.release, result.folder, is_live=result.is_live)
    return {
        "id": result.release.id,
        "day": result.release.day.isoformat(),
        "digest": result.release.digest,
        "is_live": result.is_live,
        "reason": result.reason,
        "decision": result.release.decision,
        "compared_with": result.release.compared_with,
        "differences": result.judged.differences,
        "seconds": round(result.seconds, 1),
        "stages": result.stage_seconds(),
        "rows": result.ingested.rows(),
        "reasons": dict(result.ingested.reasons),
        "refused_days": refused_as_json(result.ingested),
        "facts": result.facts(),
        "batch": {name: result.stages["batch"][name] for name in ("n_users", "k", "n_items", "similar_k")},
        "scores": release["scores"],
        "mix": with_costs(result.mix, result.microseconds_per_query),
        "indexes": release["indexes"],
        "report": result.report,
    }


def show_night(result: NightResult) -> None:
    """A night in a screenful."""
    found = night_as_json(result)
    state = "live" if result.is_live else f"kept, not live: {result.reason}"
    console.out.rule(f"{found['day']}: release {found['id']} is {state}")
    show_rows(result.ingested)
    stages = ", ".join(f"{name} {value:.1f}" for name, value in found["stages"].items())
    console.out.print(f"seconds   {found['seconds']} in all; when each stage was done: {stages}", soft_wrap=True)
    facts = found["facts"]
    console.out.print(
        f"items     {facts['n_items']:,} embedded, {facts['n_fresh_items']:,} of them fresh; "
        f"{facts['n_encoded']:,} of {facts['n_texts']:,} texts encoded by {result.stages['encode']['encoder']}",
        soft_wrap=True,
    )
    for source, quality in found["indexes"].items():
        console.out.print(f"index     {source}: recall@10 {quality['recall_at_10']:.4f} of exact search")
    ahead = result.stages["batch"]
    console.out.print(
        f"batch     {ahead['n_users']:,} users with {ahead['k']} items each, "
        f"{ahead['n_items']:,} items with {ahead['similar_k']} alike"
    )
    console.scores_table(f"Quality on {found['day']}, which no model has seen", found["scores"])
    _show_worth(result)
    _show_judgement(found, result.judged)
    console.out.print(f"report    {found['report']}", soft_wrap=True)


def _show_worth(result: NightResult) -> None:
    """What each source is worth, and the quota that finds most."""
    rows = [
        (
            row.source,
            f"{row.recall['mean']:.4f}",
            points(row.marginal),
            share(row.overlap),
            share(row.share),
            _cost(row),
        )
        for row in worth_rows(result.mix, result.microseconds_per_query)
    ]
    columns = ("source", f"recall@{result.mix['k']}", "marginal, with its interval", "overlap", "share", "µs a query")
    console.print_table(f"What each source is worth to {result.mix['n_users']:,} users", columns, rows)
    console.out.print(f"quota     {proposal(result.mix)}", soft_wrap=True)
    console.out.print(f"mixer     {result.folder / MIXER}", soft_wrap=True)


def _cost(row: WorthRow) -> str | None:
    return None if row.microseconds_per_query is None else f"{row.microseconds_per_query:,.0f}"


def _show_judgement(found: dict[str, Any], judged: Judged) -> None:
    """What the gate saw of everybody, and every test that failed."""
    general = [d for d in found["differences"] if (d["of"], d["segment"]) == (BLEND, EVERYBODY)]
    if general:
        change = "{mean:+.4f} ({low:+.4f} to {high:+.4f})"
        rows = [
            (d["metric"], f"{d['live']:.4f}", f"{d['candidate']:.4f}", change.format(**d["change"])) for d in general
        ]
        columns = ("blend", "live", "this release", "change, with its interval")
        console.print_table(f"Beside the live release {found['compared_with']}", columns, rows)
    checks = [*judged.acceptance, *judged.gate]
    failed = [check for check in checks if not check.passed]
    console.out.print(f"gate      {found['decision']}: {len(checks) - len(failed)} of {len(checks)} tests passed")
    for check in failed:
        console.complain("failed" if check.blocks else "warning", check.sentence())


def refused_as_json(ingested: Ingested) -> dict[str, str]:
    """Days that are not in the logs, and why."""
    return {day.isoformat(): why for day, why in ingested.refused.items()}


def show_rows(ingested: Ingested) -> None:
    """What became of all rows, and which days were refused."""
    for kind, counts in ingested.rows().items():
        shown = {name: n for name, n in counts.items() if n or name not in ("forgotten", "late")}
        numbers = ", ".join(f"{name} {n:,}" for name, n in shown.items())
        console.out.print(f"{kind:<9} {numbers}")
    if ingested.reasons:
        console.out.print("reasons   " + ", ".join(f"{name} {count:,}" for name, count in ingested.reasons.items()))
    for day, why in ingested.refused.items():
        console.complain("refused", f"{day}: {why}")


def show_differences(found: dict[str, Any]) -> None:
    """Two releases side by side."""
    for part in ("facts", "sizes", "counts", "scores"):
        rows = [
            (name, _short(pair["a"]), _short(pair["b"]), "" if pair["is_same"] else _short(pair.get("change", "other")))
            for name, pair in found[part].items()
        ]
        console.print_table(f"{part.capitalize()} of {found['a']} and {found['b']}", (part, "a", "b", "change"), rows)


def _short(value: Any) -> Any:
    return f"{value:.4f}" if isinstance(value, float) else value
