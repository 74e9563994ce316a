"""Numbers and scores in words, for people: the report's page and its charts say them one way."""

from typing import Any

from retrieval.blend import BLEND


def count(number: float) -> str:
    """1,234."""
    return f"{number:,.0f}"


def share(part: float) -> str:
    """12.3 %, or 0.43 % where one decimal would say little."""
    if 0 < abs(part) < 0.0001:
        return "under 0.01 %"
    return f"{100 * part:.2f} %" if 0 < abs(part) < 0.01 else f"{100 * part:.1f} %"


def seconds(duration: float) -> str:
    """1,234.5 s."""
    return f"{duration:,.1f} s"


def recall_of(scores: list[dict[str, Any]], pairs: str, source: str) -> dict[str, float] | None:
    """The recall@100 of one source on one kind of pairs; None where it was not measured."""
    return next((s["recall_at_100"] for s in scores if s["pairs"] == pairs and s["source"] == source), None)


def floor_of(scores: list[dict[str, Any]]) -> str | None:
    """The source that shows everybody what is popular, known by its name."""
    return min((score["source"] for score in scores if "popular" in score["source"]), default=None)


def ranked(scores: list[dict[str, Any]], pairs: str) -> list[dict[str, Any]]:
    """The scores of one kind of pairs: what is served, then the best source first."""
    chosen = [score for score in scores if score["pairs"] == pairs]
    return sorted(chosen, key=lambda s: (s["source"] != BLEND, -s["recall_at_100"]["mean"], s["source"]))


def against_popularity(scores: list[dict[str, Any]]) -> tuple[str, bool]:
    """The blend's recall@100 of new pairs beside popularity's, in words; and whether it is surely better."""
    served = next((s for s in scores if s["pairs"] == "new" and s["source"] == BLEND), None)
    ratio = served and served["over_floor"]
    if not ratio:
        return (
            "For new pairs, the blend was not compared with popularity, which found nothing.",
            False,
        )
    words = "no clear difference"
    if ratio["low"] > 1 or ratio["high"] < 1:
        words = "better than popularity" if ratio["low"] > 1 else "worse than popularity"
    interval = f"95 % interval {ratio['low']:.2f} to {ratio['high']:.2f}"
    found = f"recall@100 of the blend is {ratio['mean']:.2f} times that of popularity ({interval})"
    return f"For new pairs, {found}: {words}.", ratio["low"] > 1


def since(now: dict[str, float], before: dict[str, float] | None, day: str) -> str:
    """How an estimate moved since an earlier day, and whether that is more than its interval."""
    if before is None:
        return f"not measured on {day}"
    points = 100 * (now["mean"] - before["mean"])
    if abs(points) < 0.005:
        return f"unchanged since {day}"
    moved = f"▲ up {points:.2f} points" if points > 0 else f"▼ down {-points:.2f} points"
    is_inside = now["low"] <= before["mean"] <= now["high"]
    return f"{moved} since {day}, {'within' if is_inside else 'beyond'} the interval"
