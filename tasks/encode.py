"""The catalogue's texts into content vectors; texts met on any earlier night are not encoded again."""

from pathlib import Path
from typing import Any

import numpy as np

from retrieval.domain import Catalogue
from retrieval.packing import unpack
from storage.bundle import CATALOGUE, TEXT_ENCODER, VECTORS
from storage.embeddings import TextVectors
from storage.encoders import agreement, open_encoder, write_encoder
from storage.refs import Ref
from storage.states import read_state
from tasks.run import Night, stage


@stage("encode", minutes=120)
def encode(night: Night, prepared: Ref) -> Ref:
    """One unit vector a distinct text."""

    def make(folder: Path) -> dict[str, Any]:
        texts = unpack(Catalogue, read_state(prepared.path / CATALOGUE)).texts
        probe = texts[:: max(1, len(texts) // night.recipe.text.probe_texts)].to_pylist()
        encoder = open_encoder(night.recipe.text, night.lake.encoders, probe, _export)
        cache = TextVectors(night.lake.text_vectors / encoder.digest)
        vectors, n_encoded = cache.lookup(texts, encoder.encode)
        np.save(folder / VECTORS, vectors, allow_pickle=False)
        write_encoder(encoder, folder / TEXT_ENCODER)
        agreed = agreement(night.recipe.text, night.lake.encoders)
        return {"encoder": encoder.digest, "int8_agreement": agreed, "n_texts": len(texts), "n_encoded": n_encoded}

    return night.once("encode", [prepared], night.recipe.text.model_dump(), make).ref


def read_text_vectors(encoded: Ref) -> np.ndarray:
    """The vectors of the catalogue's distinct texts."""
    return np.load(encoded.path / VECTORS, mmap_mode="r", allow_pickle=False)


def _export(source: Path, target: Path) -> None:
    from retrieval.export import export_sentence_encoder  # torch is loaded only on the night that exports

    export_sentence_encoder(source, target)
