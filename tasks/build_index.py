"""The graph over a source's item vectors, and its recall against exact search on real queries."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from retrieval.index import build_index as build
from retrieval.index import tune
from retrieval.queries import ask
from retrieval.retrievers.protocol import Encoder
from retrieval.seeds import generator
from storage.bundle import INDEX, QUALITY, VECTORS
from storage.refs import Ref
from storage.states import read_state
from tasks.prepare import read_dataset
from tasks.run import Night, stage


@stage("build_index", minutes=120)
def build_index(night: Night, prepared: Ref, source: str, model: Ref, vectors: Ref) -> Ref:
    """Build the graph and raise its effort until it finds what exact search finds."""
    config = night.recipe.index
    section = [config.model_dump(), night.recipe.sources[source].model_dump(), night.recipe.seed]

    def make(folder: Path) -> dict[str, Any]:
        encoder = night.recipe.sources[source].restore(read_state(model.path))
        assert isinstance(encoder, Encoder)
        dataset = read_dataset(prepared, night.day)
        rng = generator(night.recipe.seed, "probes", source)
        active = np.flatnonzero(np.diff(dataset.histories.offsets))
        users = np.sort(rng.permutation(active)[: config.probe_queries])
        probes = encoder.embed_queries(ask(dataset, users))
        built = build(np.load(vectors.path / VECTORS, mmap_mode="r", allow_pickle=False), config)
        index, quality = tune(built, probes, config)
        faiss.write_index(index.graph, str(folder / INDEX))
        facts = {"source": source} | asdict(quality)
        (folder / QUALITY).write_text(json.dumps(facts, indent=1))
        return facts

    return night.once(f"build_index-{source}", [prepared, model, vectors], section, make).ref
