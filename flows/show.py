"""What runs did, as people read it and as plain values for machines."""

from dataclasses import asdict
from typing import Any

from flows import console
from flows.backfill import BackfillResult
from flows.demo import DemoResult
from flows.nightly import NightResult
from flows.status import release_as_json
from retrieval.blend import BLEND
from retrieval.comparison import EVERYBODY
from retrieval.wording import share
from retrieval.worth import WorthRow, points, proposal, with_costs, worth_rows
from storage.bundle import MIXER
from storage.reader import named, read_display, read_snapshot
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
        "refused_days": _refused(result.ingested),
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
    _show_rows(result.ingested)
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


def backfill_as_json(result: BackfillResult) -> dict[str, Any]:
    """A backfill: its rows, its refused days and its nights."""
    return {
        "rows": result.ingested.rows(),
        "reasons": dict(result.ingested.reasons),
        "days": sum(entry.kind == "events" for entry in result.ingested.counts),
        "refused_days": _refused(result.ingested),
        "nights": [night_as_json(night) for night in result.nights],
    }


def show_backfill(result: BackfillResult) -> None:
    """A backfill in a screenful."""
    console.out.print(f"days      {backfill_as_json(result)['days']:,} read")
    _show_rows(result.ingested)
    for night in result.nights:
        show_night(night)


def demo_as_json(result: DemoResult) -> dict[str, Any]:
    """The demo: what was imported, the history and the three nights."""
    return {
        "imported": asdict(result.imported),
        "history": backfill_as_json(result.history),
        "nights": [night_as_json(night) for night in result.nights],
    }


def show_demo(result: DemoResult) -> None:
    """What the demo did, and what one household would get."""
    imported = result.imported
    console.out.rule("Nine months of history")
    console.out.print(
        f"landed    {imported.n_events:,} events of {imported.n_users:,} households, {imported.n_items:,} products"
    )
    show_backfill(result.history)
    for night in result.nights:
        show_night(night)
    _show_one_household(result.nights[-1])


def _show_one_household(night: NightResult) -> None:
    recommender, folder = read_snapshot(night.folder), night.folder
    histories = recommender.dataset.histories
    user = int((histories.offsets[1:] - histories.offsets[:-1]).argmax())
    (household,) = recommender.dataset.people.ids.names([user])
    newest = list(dict.fromkeys(histories.items[histories.offsets[user] : histories.offsets[user + 1]][::-1].tolist()))[
        :8
    ]
    found = recommender.recommend([household], 8).items[0]
    pairs = zip(read_display(folder, newest), read_display(folder, found.tolist()), strict=False)
    console.print_table(
        f"Household {household}: lamplighter recommend --user {household}",
        ("bought last", "would get"),
        [(named(bought), named(gets)) for bought, gets in pairs],
    )
    (item,) = recommender.dataset.catalogue.ids.names([newest[0]])
    alike = recommender.similar([item], 8).items[0]
    (own,) = read_display(folder, [newest[0]])
    console.print_table(
        f"Like {own['title']}: lamplighter similar --item {item}",
        ("item", "title"),
        [(entry["item_id"], named(entry)) for entry in read_display(folder, alike.tolist())],
    )
    console.out.print(f"Open the report: {night.report}", soft_wrap=True)


def _refused(ingested: Ingested) -> dict[str, str]:
    return {day.isoformat(): why for day, why in ingested.refused.items()}


def _show_rows(ingested: Ingested) -> None:
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
