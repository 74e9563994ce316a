"""The graph over each space of a source, and its recall against exact search on real queries."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.index import build_tuned
from retrieval.queries import ask
from retrieval.retrievers.protocol import AnswersByVectors
from retrieval.seeds import generator
from storage.refs import Ref
from storage.spaces import read_source, write_index
from tasks.prepare import read_dataset
from tasks.run import Night, stage


@stage("build_index", minutes=120)
def build_index(night: Night, prepared: Ref, source: str, model: Ref, vectors: Ref) -> Ref:
    """Build a graph a space and raise its effort until it finds what exact search finds."""
    config = night.recipe.index
    section = [config.model_dump(), night.recipe.sources[source].model_dump(), night.recipe.seed]

    def make(folder: Path) -> dict[str, Any]:
        fitted = read_source(night.recipe.sources[source], model.path, vectors.path, None)
        assert isinstance(fitted, AnswersByVectors)
        dataset = read_dataset(prepared, night.day)
        rng = generator(night.recipe.seed, "probes", source)
        active = np.flatnonzero(np.diff(dataset.histories.offsets))
        probes = fitted.asked(ask(dataset, np.sort(rng.permutation(active)[: config.probe_queries])))
        built = {}
        for head, space in fitted.spaces().items():
            index, quality = build_tuned(space.vectors, probes[head], config)
            write_index(folder, head, index, quality, {"source": f"{source} {head}".strip()})
            built[head] = quality
        worst = min(built, key=lambda head: built[head].recall_at_10)
        return {"source": f"{source} {worst}".strip()} | asdict(built[worst])

    return night.once(f"build_index-{source}", [prepared, model, vectors], section, make).ref
