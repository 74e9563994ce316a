"""Every active user's and every item's answers ahead of time, as Parquet for a key-value store."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrieval.batch import Batch, cores
from storage.bundle import ITEMS, USERS
from storage.rankings import write_rankings
from storage.reader import read_calibration
from storage.refs import Ref
from tasks.evaluate import read_merge
from tasks.prepare import read_serving
from tasks.run import Night, stage
from tasks.sources import SourceRefs


@stage("batch", minutes=240)
def batch(night: Night, prepared: Ref, encoded: Ref, sources: Mapping[str, SourceRefs], scored: Ref) -> Ref:
    """Answer for all as readers of the release would be answered."""
    recipe, config = night.recipe, night.recipe.batch

    def make(folder: Path) -> dict[str, Any]:
        dataset = read_serving(prepared, night.day)
        fitted = {name: source.restore(recipe, name) for name, source in sources.items()}
        merge = read_merge(recipe, dataset, encoded, scored)
        asked = Batch(dataset, fitted, merge, recipe.serving.exclude_seen, config)
        catalogue, people, written = dataset.catalogue.ids, dataset.people.ids, {"n_users": 0, "n_items": 0}
        facts = {"day": night.day.isoformat(), "recipe": recipe.name, "recipe_id": recipe.id}
        how: dict[str, Any] = {"rows_per_file": config.rows_per_file, "facts": facts}
        if config.k:
            found, names = asked.of_users(cores()), asked.source_names
            written["n_users"] = write_rankings(folder / USERS, found, people, catalogue, sources=names, **how)
        if config.similar_k:
            written["n_items"] = write_rankings(folder / ITEMS, asked.of_items(cores()), catalogue, catalogue, **how)
        return written | {"k": config.k, "similar_k": config.similar_k}

    inputs = [prepared, encoded] + [ref for source in sources.values() for ref in source.refs]
    return night.once("batch", inputs, [recipe.id, read_calibration(scored.path).as_plain()], make).ref
