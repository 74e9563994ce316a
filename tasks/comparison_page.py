"""What an experiment found, as a page, a table for documents and figures for machines."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from retrieval.comparison_page import render_comparison, settling_table, table_of
from retrieval.experiment import Comparison, Experiment
from retrieval.metrics import estimate
from retrieval.seeds import generator
from storage.layout import Lake


def write_comparison(
    lake: Lake,
    day: dt.date,
    experiment: Experiment,
    comparison: Comparison,
    found: Mapping[str, Sequence[Mapping[str, np.ndarray]]],
) -> Path:
    """The page's path; the table and the figures lie beside it."""
    folder = lake.comparison(experiment.name, day)
    folder.mkdir(parents=True, exist_ok=True)
    by_age = {row.name: [_at_age(found[row.name], age) for age in range(8)] for row in comparison.rows}
    (folder / "comparison.json").write_text(json.dumps(asdict(comparison) | {"fresh_by_age": by_age}, indent=1))
    (folder / "table.md").write_text(f"{table_of(comparison)}\n{settling_table(comparison)}")
    page = folder / "comparison.html"
    page.write_text(render_comparison(experiment, comparison, day))
    return page


def _at_age(by_seed: Sequence[Mapping[str, np.ndarray]], age: int) -> dict[str, float]:
    """Recall@100 of targets of one age, and how many triggers have one."""
    values = np.mean([of["by_age"][age] for of in by_seed], axis=0)
    found = estimate(values, generator(1, "age"))
    return {"mean": found.mean, "low": found.low, "high": found.high, "n": int(np.isfinite(values).sum())}
