"""Numbers and scores in words, for people: the report's page and its charts say them one way."""

import math
from typing import Any

SERVED = "blend"
"""The name under which scores hold what is served."""


def count(number: float) -> str:
    """1,234."""
    return f"{number:,.0f}"


def share(part: float) -> str:
    """12.3 %, or 0.43 % where one decimal would say little."""
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
    return sorted(chosen, key=lambda s: (s["source"] != SERVED, -s["recall_at_100"]["mean"], s["source"]))


def ratio_interval(above: dict[str, float], below: dict[str, float]) -> tuple[float, float, float]:
    """The ratio of two positive means with its 95 % interval: ratio · exp(± √(a² + b²)), a, b relative half widths.

    Taken as independent, by the delta method. Two sources measured on the same users mostly rise and fall together, so
    the interval is wider than it need be.
    """
    ratio = above["mean"] / below["mean"]
    halves = [(estimate["high"] - estimate["low"]) / 2 / estimate["mean"] for estimate in (above, below)]
    spread = math.exp(math.hypot(*halves))
    return ratio, ratio / spread, ratio * spread


def against_popularity(scores: list[dict[str, Any]]) -> tuple[str, bool]:
    """The blend's recall@100 of new pairs beside popularity's, in words; and whether it is surely better."""
    floor = floor_of(scores)
    served = recall_of(scores, "new", SERVED)
    popular = recall_of(scores, "new", floor) if floor else None
    if served is None or popular is None:
        return "The blend was not compared with popularity: one of the two was not measured on new pairs.", False
    if served["mean"] <= 0 or popular["mean"] <= 0:
        found = f"the blend finds {share(served['mean'])}, popularity {share(popular['mean'])}"
        return f"For new pairs, {found}: too few for a ratio.", served["low"] > popular["high"]
    ratio, low, high = ratio_interval(served, popular)
    words = "no clear difference"
    if low > 1 or high < 1:
        words = "better than popularity" if low > 1 else "worse than popularity"
    found = f"recall@100 of the blend is {ratio:.2f} times that of popularity (95 % interval {low:.2f} to {high:.2f})"
    return f"For new pairs, {found}: {words}.", low > 1


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
