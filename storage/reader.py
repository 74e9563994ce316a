"""A release's folder into a snapshot that answers: no orchestration, no training code, no logs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from retrieval.calibration import Calibration
from retrieval.domain import Catalogue, Dataset, Histories, People
from retrieval.errors import ReleaseError
from retrieval.merging import Merge
from retrieval.packing import unpack
from retrieval.recipe import AnsweringRecipe
from retrieval.recommender import Snapshot
from retrieval.retrievers.protocol import Retriever
from retrieval.text import TextEncoder
from storage.bundle import (
    BLENDED_WITH,
    CATALOGUE,
    DISPLAY,
    HISTORIES,
    INDEX,
    MODEL,
    PEOPLE,
    RECIPE,
    RELEASE,
    SCORES,
    SOURCES,
    TEXT_ENCODER,
    TEXT_VECTORS,
)
from storage.encoders import read_encoder
from storage.spaces import read_source
from storage.states import read_state


def read_snapshot(folder: Path, encoder: TextEncoder | None = None) -> Snapshot:
    """The release of a folder; arrays, strings and index are memory-mapped.

    `encoder` is the release's own where it is in memory already.
    """
    recipe = _recipe(folder)
    facts = json.loads((folder / RELEASE).read_text())
    dataset = Dataset(
        facts["day_number"] + 1,
        unpack(Catalogue, read_state(folder / CATALOGUE)),
        unpack(People, read_state(folder / PEOPLE)),
        unpack(Histories, read_state(folder / HISTORIES)),
        np.load(folder / TEXT_VECTORS, mmap_mode="r", allow_pickle=False),
    )
    sources = {name: _source(recipe, folder / SOURCES / name, name) for name in recipe.sources}
    encoder = encoder or read_encoder(folder / TEXT_ENCODER)
    merge = Merge(recipe.blend, recipe.policy.of(dataset), read_calibration(folder))
    return Snapshot(facts["id"], dataset, sources, merge, recipe.serving.exclude_seen, encoder)


def _recipe(folder: Path) -> AnsweringRecipe:
    try:
        return AnsweringRecipe.model_validate_json((folder / RECIPE).read_text())
    except ValidationError as error:
        keys = ", ".join(sorted({".".join(map(str, fault["loc"])) for fault in error.errors()}))
        raise ReleaseError(
            f"{folder / RECIPE} is of another version of this software, which differs in {keys}. Open the release with "
            "the version that made it, or run its night again."
        ) from error


def read_calibration(folder: Path) -> Calibration:
    """What the blend of a night or a release goes by."""
    return Calibration.from_plain(json.loads((folder / BLENDED_WITH).read_text()))


def read_display(folder: Path, rows: Sequence[int]) -> list[dict[str, Any]]:
    """What people call items: title, topics, and their attributes as `details`."""
    table = pq.read_table(folder / DISPLAY, columns=["item_id", "title", "topics", "attributes"])
    items = table.take(pa.array(list(rows), pa.int64())).to_pylist()
    return [item | {"details": ", ".join(value for _, value in item.pop("attributes"))} for item in items]


def read_display_ids(folder: Path) -> list[str]:
    """The ids of the items that people are shown, in order."""
    ids: list[str] = pq.read_table(folder / DISPLAY, columns=["item_id"])["item_id"].to_pylist()
    return ids


def named(item: dict[str, Any]) -> str:
    """What people call an item, told from others of the same title."""
    return f"{item['title']} ({item['details']})" if item["details"] else str(item["title"])


def read_scores(folder: Path) -> list[dict[str, Any]]:
    """The scores of a night or a release: one entry a source and kind of pairs."""
    scores: list[dict[str, Any]] = json.loads((folder / SCORES).read_text())
    return scores


def _source(recipe: AnsweringRecipe, folder: Path, name: str) -> Retriever:
    has_index = next(folder.rglob(INDEX), None) is not None
    parts = (folder, folder) if has_index else (None, None)
    return read_source(recipe.sources[name], folder / MODEL, *parts)
