"""The night's parts into one verified bundle, and `current` onto it."""

import datetime as dt
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.dataset import day_number
from retrieval.packing import pack
from retrieval.progress import advance
from retrieval.recommender import with_day
from storage.bundle import (
    CATALOGUE,
    DISPLAY,
    HISTORIES,
    INDEX,
    MODEL,
    PEOPLE,
    QUALITY,
    RECIPE,
    RELEASE,
    REPORT,
    SCORES,
    SOURCES,
    TEXT_ENCODER,
    TEXT_VECTORS,
    VECTORS,
)
from storage.manifest import MANIFEST, Manifest
from storage.refs import Ref, digest_of
from storage.releases import Promotion, Release
from storage.states import write_state
from tasks.prepare import read_dataset, read_held_out
from tasks.run import Night, code_digest, stage
from tasks.sources import SourceRefs


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a release is put together from."""

    prepared: Ref
    encoded: Ref
    sources: Mapping[str, SourceRefs]
    scored: Ref
    parent: str | None

    def stages(self) -> list[tuple[str, Ref]]:
        """The artifact of each stage, in order."""
        stages = [("prepare", self.prepared), ("encode", self.encoded)]
        for name, source in self.sources.items():
            stages.append((f"train {name}", source.model))
            if source.vectors and source.index:
                stages += [(f"embed {name}", source.vectors), (f"index {name}", source.index)]
        return [*stages, ("evaluate", self.scored)]

    def facts(self) -> dict[str, dict[str, Any]]:
        """What each stage wrote down of its artifact, by the stage's name."""
        return {name: Manifest.read(ref.path).facts for name, ref in self.stages()}

    def release_id(self, night: Night) -> str:
        """The day and the digest of all that the release is made of: known before it is written."""
        made_of = [night.recipe.id, code_digest(), self.parent, [ref.digest for _, ref in self.stages()]]
        return f"{night.day}-{digest_of(made_of)[:12]}"


@dataclass(frozen=True, slots=True)
class Published:
    """A release in the store, and what became of it."""

    release: Release
    folder: Path
    """Its files, on this machine."""
    is_live: bool
    reason: str
    """Why it is live, or is not."""


@stage("publish", minutes=60)
def publish(night: Night, parts: Parts, report: Ref, *, promote: bool, at: dt.datetime, who: str) -> Published:
    """Write the release, check every byte of it and, when asked, make it the live one.

    One of an earlier day than the live one never becomes so, nor any while a person holds the one they went back to.
    """
    store = night.store
    id_ = parts.release_id(night)
    advance("publish", 0, 1)
    release = store.add(id_, lambda folder: _fill(folder, night, parts, report, id_))
    if promote:
        outcome = store.promote(id_, at=at, who=who, why=f"the night of {night.day}")
    else:
        outcome = Promotion(store.current_id() == id_, "it was not asked to become live")
    folder = store.fetch(id_)
    advance("publish", 1, 1)
    return Published(release, folder, outcome.is_live, outcome.reason)


def _fill(folder: Path, night: Night, parts: Parts, report: Ref, id_: str) -> None:
    for name in (CATALOGUE, PEOPLE):
        _copy(parts.prepared.path / name, folder / name)
    known = with_day(read_dataset(parts.prepared, night.day).histories, read_held_out(parts.prepared))
    write_state(folder / HISTORIES, pack(known))
    shutil.copyfile(parts.encoded.path / VECTORS, folder / TEXT_VECTORS)
    _copy(parts.encoded.path / TEXT_ENCODER, folder / TEXT_ENCODER)
    shutil.copyfile(parts.prepared.path / DISPLAY, folder / DISPLAY)
    for name, source in parts.sources.items():
        target = folder / SOURCES / name
        _copy(source.model.path, target / MODEL)
        if source.vectors and source.index:
            shutil.copyfile(source.vectors.path / VECTORS, target / VECTORS)
            shutil.copyfile(source.index.path / INDEX, target / INDEX)
            shutil.copyfile(source.index.path / QUALITY, target / QUALITY)
    shutil.copyfile(parts.scored.path / SCORES, folder / SCORES)
    shutil.copyfile(report.path / REPORT, folder / REPORT)
    (folder / RECIPE).write_text(night.recipe.model_dump_json(indent=1))
    (folder / RELEASE).write_text(json.dumps(_facts(night, parts, id_), indent=1, sort_keys=True))


def _facts(night: Night, parts: Parts, id_: str) -> dict[str, object]:
    return {
        "id": id_,
        "day": night.day.isoformat(),
        "day_number": day_number(night.day),
        "recipe_name": night.recipe.name,
        "recipe_id": night.recipe.id,
        "parent": parts.parent,
        "code": code_digest(),
        "logs": parts.prepared.digest,
    }


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(MANIFEST))
