"""Figures of the night over nights, beside what is usual for them."""

import datetime as dt
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from retrieval.plots import COLOURS, INK, RC, WIDTH, spread, svg

TRENDS = {
    "n_events_of_day": "events of the day",
    "n_items": "items in the catalogue",
    "n_fresh_items": "fresh items",
    "seconds": "seconds of the night",
}
"""What is drawn over nights, by its name among a night's figures."""
FEWEST = 5
"""Fewer nights have nothing usual."""


def figure_chart(points: Sequence[tuple[str, float]], label: str) -> str:
    """One figure by day; with enough nights a band holds the middle half of them, and a line is the median."""
    days = [dt.date.fromisoformat(day) for day, _ in points]
    values = [value for _, value in points]
    low, middle, high = np.percentile(values, (25, 50, 75))
    with matplotlib.rc_context(RC | {"svg.hashsalt": label}):
        figure = Figure(figsize=(WIDTH, 2.5), layout="constrained")
        axes = figure.add_subplot()
        numbers = [day.toordinal() for day in days]
        if len(points) >= FEWEST:
            axes.axhspan(low, high, color=COLOURS[5], alpha=0.3, linewidth=0, label="middle half of nights")
            axes.axhline(middle, color=INK, linestyle=":", linewidth=1, label="median")
        axes.plot(numbers, values, color=COLOURS[0], marker="o", markersize=4, linewidth=1.6)
        axes.set_ylim(0, 1.12 * max(values) or 1.0)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        shown = [days[i] for i in spread(len(days), 3)]
        axes.set_xticks([day.toordinal() for day in shown], [day.isoformat() for day in shown])
        if len(points) >= FEWEST:
            figure.legend(loc="outside lower center", ncols=2, frameon=False, handlelength=2.5)
        return svg(figure, label)
