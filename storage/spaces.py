"""The vector spaces of a source as files: one folder a head, the source's own folder where it has one space."""

import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from retrieval.errors import ModelError
from retrieval.index import IndexQuality, VectorIndex
from retrieval.retrievers.indexed import join
from retrieval.retrievers.protocol import FamilyConfig, Fitted, MultiHead, Retriever
from retrieval.spaces import Placed, Space
from storage.bundle import INDEX, QUALITY, VECTORS
from storage.states import read_state

FILES = {"targets": VECTORS, "triggers": "triggers.npy", "ranked": "ranked.npy"}
"""The file of each part of a space."""


def write_space(folder: Path, head: str, space: Space) -> None:
    """The vectors of one head."""
    (folder / head).mkdir(exist_ok=True)
    for field in fields(space):
        part = getattr(space, field.name)
        if part is not None:
            np.save(folder / head / FILES[field.name], part, allow_pickle=False)


def write_index(folder: Path, head: str, index: VectorIndex, quality: IndexQuality, facts: dict[str, Any]) -> None:
    """The graph over one head's vectors, and how good it is."""
    (folder / head).mkdir(exist_ok=True)
    faiss.write_index(index.graph, str(folder / head / INDEX))
    (folder / head / QUALITY).write_text(json.dumps(facts | asdict(quality), indent=1))


def read_source(config: FamilyConfig, model: Path, vectors: Path | None, index: Path | None) -> Retriever:
    """One fitted source from the folders of its parts; without an index it compares with every item.

    Raises:
        ModelError: when the parts are of different catalogues.
    """
    fitted = config.restore(read_state(model))
    if vectors is None:
        return join(fitted, {})
    return join(
        fitted, {head: _placed(fitted, model, vectors / head, index and index / head) for head in _heads(fitted)}
    )


def _heads(fitted: Fitted) -> Iterable[str]:
    return fitted.heads if isinstance(fitted, MultiHead) else ("",)


def _placed(fitted: Fitted, model: Path, vectors: Path, index: Path | None) -> Placed:
    there = {name: vectors / file for name, file in FILES.items() if (vectors / file).exists()}
    parts = {name: np.load(path, mmap_mode="r", allow_pickle=False) for name, path in there.items()}
    space = Space(**parts)
    n_vectors = len(space.searched)
    if index is None:
        return Placed.exactly(space)
    graph = faiss.read_index(str(index / INDEX), faiss.IO_FLAG_MMAP_IFC)
    if not n_vectors == graph.ntotal == fitted.n_items:
        raise ModelError(
            f"{vectors / VECTORS} holds {n_vectors:,} vectors, {index / INDEX} {graph.ntotal:,}, and {model} knows "
            f"{fitted.n_items:,} items: they are not of one night. Remove them and run the night again."
        )
    effort = json.loads((index / QUALITY).read_text())["ef_search"]
    return Placed(VectorIndex(graph, space.searched, effort), space)
