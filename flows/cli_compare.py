"""The command that compares variants of a recipe."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows import console
from flows.options import Day, Json, Lake, Landing
from flows.settings import EXPERIMENTS, Settings
from retrieval.experiment import Experiment

compare_app = typer.Typer()


@compare_app.command()
def compare(
    experiment: Annotated[str, typer.Argument(help="A file, or the name of one in deployments/experiments")],
    day: Day,
    lake: Lake = None,
    landing: Landing = None,
    json: Json = False,
) -> None:
    """Train variants of a recipe with several seeds and put what they say of items side by side."""
    asked = Experiment.read(Path(experiment) if experiment.endswith(".toml") else EXPERIMENTS / f"{experiment}.toml")
    settings = Settings.given(lake=lake, landing=landing, recipe=asked.recipe)
    settings.read_recipe()  # what is wrong with it is said before a server is started
    from flows.compare import compare_variants
    from retrieval.experiment import FIGURES

    with console.progress_shown(quiet=json):
        result = compare_variants(asked, day.date(), str(settings.lake), settings.landing)
    if json:
        console.print_json(asdict(result.comparison) | {"page": str(result.page)})
        return
    shown = {name: said for name, said in FIGURES.items() if name != "recall_at_500"}
    rows = [(row.name, *(f"{row.figures[name].mean:.4f}" for name in shown)) for row in result.comparison.rows]
    console.print_table(asked.question, ("way to answer", *shown.values()), rows)
    console.print_facts({"page": str(result.page)})
