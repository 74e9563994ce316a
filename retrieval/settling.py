"""How soon fresh items are where they stay, way by way: the curves of an experiment's cohorts put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from retrieval.convergence import Curve, Lineage, Positions, aligned, follow
from retrieval.plots import RC, WIDTH, styles, svg

FEWEST = 10
"""Items of a cohort, with fewer of which a median says little."""


@dataclass(frozen=True, slots=True)
class Settling:
    """What became of a way's cohorts that were followed over enough nights."""

    n_cohorts: int
    n_items: int
    nights_to_half: float
    nights_to_nine_tenths: float
    """Medians over cohorts and seeds, by straight lines between nights."""
    left: tuple[float, ...]
    """By age in nights, the share of the way that the median item has before it; means over cohorts and seeds."""
    lead: float
    """The first night's distance to the last one's vectors, as a multiple of established items'; median."""


def curves_of(nights: Sequence[Positions], chosen: np.ndarray, settled_days: int, least_nights: int) -> list[Curve]:
    """The cohorts of one lineage that were met on their first night, that many nights ago or more."""
    turns = [aligned(before, after, settled_days, seed=0) for before, after in pairwise(nights)]
    known = tuple(turn for turn in turns if turn is not None)
    if len(known) < len(turns):
        return []  # too few established items to lay the nights over each other
    lineage = Lineage(tuple(nights), known)
    found = follow(lineage, chosen, settled_days)
    return [curve for curve in found if curve.n_nights >= least_nights and curve.n_items >= FEWEST]


def settling(curves: Sequence[Curve], least_nights: int) -> Settling | None:
    """Together; None where no cohort was followed long enough."""
    moving = [curve for curve in curves if curve.delta[0].median > 0]
    if not moving:
        return None
    lefts = [[curve.delta[age].median / curve.delta[0].median for age in range(least_nights + 1)] for curve in moving]
    halves, tenths = ([curve.nights_to(part) or 0.0 for curve in moving] for part in (0.5, 0.9))
    return Settling(
        n_cohorts=len(moving),
        n_items=sum(curve.n_items for curve in moving),
        nights_to_half=float(np.median(halves)),
        nights_to_nine_tenths=float(np.median(tenths)),
        left=tuple(float(value) for value in np.mean(lefts, axis=0)),
        lead=float(np.median([curve.delta[0].median / max(curve.established[0], 1e-9) for curve in moving])),
    )


def settling_lines(found: Mapping[str, Settling], label: str) -> str:
    """The share of the way left by age, a line a way."""
    looks = styles(found)
    with matplotlib.rc_context(RC | {"svg.hashsalt": label}):
        figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        axes = figure.add_subplot()
        for name, way in found.items():
            look = looks[name]
            axes.plot(
                range(len(way.left)), way.left, color=look.colour, marker=look.marker, linestyle=look.line, label=name
            )
        axes.set_ylim(bottom=0)
        axes.set_xlabel("nights since the first one")
        axes.set_ylabel("share of the way left")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        figure.legend(loc="outside lower center", ncols=1, frameon=False, handlelength=3.5)
        return svg(figure, label)
