"""What an experiment found, as a page, a table for documents and figures for machines."""

import datetime as dt
import json
from dataclasses import asdict
from pathlib import Path

from retrieval.comparison_page import charts_of, heads_table, render_comparison, settling_table, table_of
from retrieval.experiment import Comparison, Experiment
from retrieval.plots import as_file
from storage.layout import Lake


def write_comparison(lake: Lake, day: dt.date, experiment: Experiment, comparison: Comparison) -> Path:
    """The page's path; the tables, the charts and the figures lie beside it."""
    folder = lake.comparison(experiment.name, day)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "comparison.json").write_text(json.dumps(asdict(comparison), indent=1))
    tables = [table_of(comparison), heads_table(comparison), settling_table(comparison)]
    (folder / "table.md").write_text("\n".join(filter(None, tables)))
    for name, chart in charts_of(experiment, comparison).items():
        (folder / f"{name}.svg").write_text(as_file(chart))
    page = folder / "comparison.html"
    page.write_text(render_comparison(experiment, comparison, day))
    return page
