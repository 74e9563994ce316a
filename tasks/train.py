"""One source fitted on everything before the day, from where the live release's left off."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from retrieval.seeds import derived_seed
from storage.refs import Ref
from storage.states import read_state, write_state
from tasks.encode import read_text_vectors
from tasks.prepare import read_dataset
from tasks.run import Night, stage


@stage("train", minutes=360)
def train(night: Night, prepared: Ref, encoded: Ref, source: str, warm: Ref | None) -> Ref:
    """Fit one of the recipe's sources; `warm` is the same source of an earlier release."""
    config = night.recipe.sources[source]

    def make(folder: Path) -> dict[str, Any]:
        dataset = replace(read_dataset(prepared, night.day), text_vectors=read_text_vectors(encoded))
        former = read_state(warm.path) if warm is not None else None
        model = config.fit(dataset, seed=derived_seed(night.recipe.seed, source), warm=former)
        state = model.state()
        write_state(folder, state)
        return {"source": source, "kind": config.kind} | dict(state.facts)

    inputs = [prepared, encoded] + ([warm] if warm else [])
    return night.once(f"train-{source}", inputs, [source, night.recipe.seed, config.model_dump()], make).ref
