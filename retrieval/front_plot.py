"""Recall against relevance: every way to say what is like an item as a point, the merge's shares as a line."""

from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, PercentFormatter

from retrieval.plots import RC, WIDTH, Style, styles, svg

RECALL = "recall_at_100"
RELEVANCE = {"narrow_at_100": "answers of all the trigger's topics", "teacher_at_100": "likeness of texts"}
"""What relevance is read off, and what the axis says: the texts where nothing has a topic."""


WIDE = 4.0
"""Times the least relevance from which the axis is logarithmic."""
ROOM = (0.04, 0.05)
"""Width and height, as shares of the axes, within which two texts would cover each other."""


def front_chart(lines: Sequence[tuple[str, Sequence[dict[str, Any]]]], label: str) -> str:
    """Lines of scores by name; a score is a point with its intervals, told by `label` where it has one.

    A score has `recall_at_100`, `narrow_at_100`, `teacher_at_100` as {"mean", "low", "high"}, and a text under `said`.
    """
    looks = styles(name for name, _ in lines)
    has_topics = any(score["narrow_at_100"]["mean"] > 0 for _, scores in lines for score in scores)
    metric = "narrow_at_100" if has_topics or not lines else "teacher_at_100"
    with matplotlib.rc_context(RC | {"svg.hashsalt": label}):
        figure = Figure(figsize=(WIDTH, 3.6 + 0.22 * ((len(lines) + 1) // 2)), layout="constrained")
        axes = figure.add_subplot()
        for name, scores in lines:
            _line(axes, name, scores, looks[name], metric)
        _scale(axes, [score[metric] for _, scores in lines for score in scores])
        axes.set_xlabel(RELEVANCE[metric])
        axes.set_ylabel("recall@100")
        axes.yaxis.set_major_locator(MaxNLocator(5))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        axes.margins(0.12)
        _tell(axes, [score for _, scores in lines for score in scores], metric)
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False, handlelength=3.0)
        return svg(figure, label)


def _line(axes: Axes, name: str, scores: Sequence[dict[str, Any]], look: Style, metric: str) -> None:
    xs, ys = ([score[of]["mean"] for score in scores] for of in (metric, RECALL))
    axes.plot(xs, ys, color=look.colour, marker=look.marker, linestyle=look.line, linewidth=1.4, label=name)
    for x, y, score in zip(xs, ys, scores, strict=True):
        relevance, recall = score[metric], score[RECALL]
        axes.plot([relevance["low"], relevance["high"]], [y, y], color=look.colour, linewidth=0.8, alpha=0.6)
        axes.plot([x, x], [recall["low"], recall["high"]], color=look.colour, linewidth=0.8, alpha=0.6)


def _scale(axes: Axes, relevance: Sequence[dict[str, float]]) -> None:
    """Logarithmic relevance where it differs by several times: content alone would press all else into a corner."""
    means, least = [value["mean"] for value in relevance], min((value["low"] for value in relevance), default=0.0)
    if least > 0 and max(means) > WIDE * min(means):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))


def _tell(axes: Axes, scores: Sequence[dict[str, Any]], metric: str) -> None:
    """Texts beside points, above and below in turns; none where a text stands already."""
    axes.autoscale_view()
    to_axes = axes.transData + axes.transAxes.inverted()
    told: list[tuple[float, float]] = []
    for score in scores:
        if not score.get("said"):
            continue
        at = (score[metric]["mean"], score[RECALL]["mean"])
        x, y = to_axes.transform(at)
        if any(abs(x - left) < ROOM[0] and abs(y - low) < ROOM[1] for left, low in told):
            continue
        beside = (4, -12) if len(told) % 2 == 0 else (4, 6)
        axes.annotate(score["said"], at, xytext=beside, textcoords="offset points", fontsize=8)
        told.append((float(x), float(y)))


def lines_of(scores: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """A night's scores as lines: each source's merge by its shares, each other way a point of its own."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for score in scores:
        name, said = " ".join(filter(None, [score["source"], score["head"]])), ""
        if score["alpha"] is not None:
            said = f"α {score['alpha']:g}"
        lines.setdefault(name, []).append(score | {"said": said})
    return list(lines.items())
