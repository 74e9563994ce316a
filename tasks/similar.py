"""How good what the night's sources say about items is: what is chosen next to an item, and what means the same."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from retrieval.item_quality import ItemHoldout, ItemJudge
from retrieval.similarity import measure
from storage.bundle import SIMILAR
from storage.refs import Ref
from tasks.encode import read_text_vectors
from tasks.prepare import read_dataset, read_held_out
from tasks.run import Night, stage
from tasks.sources import SourceRefs

ITEM_TO_ITEM = frozenset({"item_knn", "ease", "sequential_linear", "recent_items"})
"""Families without vectors that answer about an item as about a history of it alone."""


@stage("similar", minutes=60)
def similar(night: Night, prepared: Ref, encoded: Ref, sources: Mapping[str, SourceRefs]) -> Ref:
    """Ask all sources about items of the newest day, which none of them has seen."""
    recipe = night.recipe

    def make(folder: Path) -> dict[str, Any]:
        dataset = replace(read_dataset(prepared, night.day), text_vectors=read_text_vectors(encoded))
        config = recipe.similar
        holdout = ItemHoldout.of(dataset, read_held_out(prepared), config.window_days, config.max_triggers, recipe.seed)
        fitted = {name: source.restore(recipe, name) for name, source in sources.items()}
        by_history = frozenset(name for name, family in recipe.sources.items() if family.kind in ITEM_TO_ITEM)
        found = measure(fitted, by_history, ItemJudge(dataset, holdout, recipe.seed), config)
        (folder / SIMILAR).write_text(json.dumps(asdict(found), indent=1))
        return {"n_triggers": found.n_triggers, "n_ways": len(found.scores)}

    inputs = [prepared, encoded] + [ref for source in sources.values() for ref in source.refs]
    families = {name: config.model_dump() for name, config in recipe.sources.items()}
    return night.once("similar", inputs, [recipe.seed, recipe.similar.model_dump(), families], make).ref


def read_similar(measured: Ref) -> dict[str, Any]:
    """A `Similar` as plain values."""
    found: dict[str, Any] = json.loads((measured.path / SIMILAR).read_text())
    return found
