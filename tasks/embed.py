"""Every item of the catalogue, fresh ones included, through a source's item tower."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from retrieval.dataset import day_number
from retrieval.retrievers.indexed import embed as embed_spaces
from retrieval.retrievers.protocol import Encoder, MultiHead
from storage.refs import Ref
from storage.spaces import write_space
from storage.states import read_state
from tasks.encode import read_text_vectors
from tasks.prepare import read_dataset
from tasks.run import Night, stage


@stage("embed", minutes=60)
def embed(night: Night, prepared: Ref, encoded: Ref, source: str, model: Ref) -> Ref | None:
    """One vector an item, or one for each of the source's heads; None for a source that answers without vectors."""
    config = night.recipe.sources[source]
    fitted = config.restore(read_state(model.path))
    if not isinstance(fitted, Encoder | MultiHead):
        return None

    def make(folder: Path) -> dict[str, Any]:
        dataset = replace(read_dataset(prepared, night.day), text_vectors=read_text_vectors(encoded))
        spaces = embed_spaces(fitted, dataset)
        for head, space in spaces.items():
            write_space(folder, head, space)
        fresh, catalogue = dataset.catalogue.fresh(day_number(night.day)), dataset.catalogue
        dims = {head: space.targets.shape[1] for head, space in spaces.items()}
        return {"source": source, "n_items": len(catalogue), "n_fresh": int(fresh.sum()), "dim": sum(dims.values())}

    return night.once(f"embed-{source}", [prepared, encoded, model], config.model_dump(), make).ref
