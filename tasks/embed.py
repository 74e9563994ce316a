"""Every item of the catalogue, fresh ones included, through a source's item tower."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.dataset import day_number
from retrieval.retrievers.protocol import Encoder
from storage.bundle import VECTORS
from storage.refs import Ref
from storage.states import read_state
from tasks.encode import read_text_vectors
from tasks.prepare import read_dataset
from tasks.run import Night, stage


@stage("embed", minutes=60)
def embed(night: Night, prepared: Ref, encoded: Ref, source: str, model: Ref) -> Ref | None:
    """One vector an item; None for a source that answers without vectors."""
    config = night.recipe.sources[source]
    fitted = config.restore(read_state(model.path))
    if not isinstance(fitted, Encoder):
        return None

    def make(folder: Path) -> dict[str, Any]:
        dataset = replace(read_dataset(prepared, night.day), text_vectors=read_text_vectors(encoded))
        vectors = fitted.embed_items(dataset)
        np.save(folder / VECTORS, vectors, allow_pickle=False)
        fresh = dataset.catalogue.fresh(day_number(night.day))
        return {"source": source, "n_items": len(vectors), "n_fresh": int(fresh.sum()), "dim": vectors.shape[1]}

    return night.once(f"embed-{source}", [prepared, encoded, model], config.model_dump(), make).ref
