"""The report's charts as inline SVG: same values, same bytes; told apart by marker and line as well as by colour."""

import datetime as dt
import html
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from retrieval.blend import BLEND
from retrieval.wording import share

INK, GRID = "#333333", "#d9d9d9"
# Okabe and Ito's colours, less yellow (too pale on white); their black is for what is served.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "v", "P", "X", "<", ">")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "svg.fonttype": "none",  # text stays text: small, searchable, in the reader's own font
    "text.parse_math": False,  # a source's name may hold a dollar sign
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
WIDTH = 4.6  # inches: about a phone's width, so that a chart is never scaled down until its text cannot be read


@dataclass(frozen=True, slots=True)
class Style:
    """How one source is drawn in every chart of a page."""

    colour: str
    marker: str
    line: Any


def styles(sources: Iterable[str]) -> dict[str, Style]:
    """A look for each source, by the order of their names; the served blend is always black with diamonds."""
    others = sorted(set(sources) - {BLEND})
    looks = {
        name: Style(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], LINES[i % len(LINES)])
        for i, name in enumerate(others)
    }
    return {BLEND: Style("#000000", "D", "-")} | looks


def sources_chart(scores: Sequence[dict[str, Any]], label: str, floor: str | None) -> str:
    """Recall@100 of each source with its interval, first on top; a line marks the source named as floor."""
    looks = styles(score["source"] for score in scores)
    with matplotlib.rc_context(RC | {"svg.hashsalt": label}):
        figure = Figure(figsize=(WIDTH, 0.85 + 0.34 * len(scores)), layout="constrained")
        axes = figure.add_subplot()
        for position, score in enumerate(scores):
            _whisker(axes, position, score, looks[score["source"]])
            if score["source"] == floor:
                axes.axvline(score["recall_at_100"]["mean"], color=INK, linewidth=0.9, linestyle=":", zorder=1)
        axes.set_yticks(range(len(scores)), [score["source"] for score in scores])
        axes.set_ylim(len(scores) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, 1.22 * max((score["recall_at_100"]["high"] for score in scores), default=1.0) or 1.0)
        axes.set_xlabel("recall@100, mean and 95 % interval")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        return svg(figure, label)


def _whisker(axes: Axes, position: int, score: dict[str, Any], look: Style) -> None:
    recall = score["recall_at_100"]
    axes.plot([recall["low"], recall["high"]], [position, position], color=look.colour, linewidth=2)
    axes.plot([recall["mean"]], [position], color=look.colour, marker=look.marker, markersize=6)
    axes.annotate(
        share(recall["mean"]),
        (recall["high"], position),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},  # keeps figures readable across the floor's line
    )


def trend_chart(nights: Sequence[dict[str, Any]], pairs: str, label: str) -> str:
    """Recall@100 over nights, one line a source with its interval as a band."""
    looks = styles(score["source"] for night in nights for score in night["scores"])
    with matplotlib.rc_context(RC | {"svg.hashsalt": label}):
        figure = Figure(figsize=(WIDTH, 3.4 + 0.22 * ((len(looks) + 1) // 2)), layout="constrained")
        axes = figure.add_subplot()
        for name, look in reversed(looks.items()):  # the served blend last, on top
            days, recalls = _series(nights, pairs, name)
            if days:
                _line(axes, name, days, recalls, look)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("recall@100")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        shown = [dt.date.fromisoformat(nights[i]["day"]) for i in spread(len(nights), 3)]
        axes.set_xticks([day.toordinal() for day in shown], [day.isoformat() for day in shown])
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles[::-1], names[::-1], loc="outside lower center", ncols=2, frameon=False, handlelength=3.5)
        return svg(figure, label)


def spread(length: int, most: int) -> list[int]:
    """At most so many positions, evenly from the first to the last."""
    steps = min(length, most) - 1
    return [round(i * (length - 1) / steps) for i in range(steps + 1)] if steps > 0 else list(range(length))


def _series(nights: Sequence[dict[str, Any]], pairs: str, source: str) -> tuple[list[int], list[dict[str, float]]]:
    """The nights as day numbers on which a source was measured, and its recall@100 on them."""
    found = [
        (dt.date.fromisoformat(night["day"]).toordinal(), score["recall_at_100"])
        for night in nights
        for score in night["scores"]
        if score["pairs"] == pairs and score["source"] == source
    ]
    return [day for day, _ in found], [recall for _, recall in found]


def _line(axes: Axes, name: str, days: list[int], recalls: list[dict[str, float]], look: Style) -> None:
    low, mean, high = ([recall[key] for recall in recalls] for key in ("low", "mean", "high"))
    served = name == BLEND
    axes.fill_between(days, low, high, color=look.colour, alpha=0.18 if served else 0.12, linewidth=0)
    axes.plot(
        days,
        mean,
        color=look.colour,
        marker=look.marker,
        linestyle=look.line,
        linewidth=2.2 if served else 1.4,
        markersize=5,
        label=f"{name} (served)" if served else name,
    )


def settling_chart(space: dict[str, Any], label: str) -> str:
    """Fresh items' distance to their settled vectors by age, and how far established items move in a night."""
    ages, look = space["ages"], Style(COLOURS[0], MARKERS[0], "-")
    nights = [found["age"] for found in ages]
    low, median, high = ([found["delta"][key] for found in ages] for key in ("low", "median", "high"))
    with matplotlib.rc_context(RC | {"svg.hashsalt": label}):
        figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.fill_between(nights, low, high, color=look.colour, alpha=0.18, linewidth=0, label="half of the items")
        axes.plot(nights, median, color=look.colour, marker=look.marker, linewidth=2, markersize=5, label="median")
        drift = float(np.median([found["median"] for found in space["drift"]]))
        name = "established items, one night"
        axes.axhline(drift, color=COLOURS[1], linestyle="--", linewidth=1.6, label=name)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("nights since the first one")
        axes.set_ylabel("distance to the settled vector")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside lower center", ncols=2, frameon=False, handlelength=3.5)
        return svg(figure, label)


def as_file(element: str) -> str:
    """A chart of a page as a file of its own, on white paper wherever it is looked at."""
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + element.replace("<svg", '<svg style="background: white"', 1)


def svg(figure: Figure, label: str) -> str:
    """The figure as an element of an HTML page, named for screen readers and scaled by its container."""
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    text = buffer.getvalue()
    text = re.sub(r' id="[\w.]+_\d+"', "", text[text.index("<svg") :])  # ids of several charts on one page would clash
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(label)}"', 1)
