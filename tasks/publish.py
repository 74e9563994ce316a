"""The night's parts into one verified bundle, and `current` onto it."""

import datetime as dt
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from retrieval.dataset import day_number
from retrieval.packing import pack
from retrieval.progress import advance
from retrieval.recommender import with_day
from storage.bundle import (
    BATCH,
    BLENDED_WITH,
    CALIBRATION,
    CATALOGUE,
    CONVERGENCE,
    DISPLAY,
    FORMAT,
    HISTORIES,
    MIX,
    MIXER,
    MODEL,
    NIGHT,
    PEOPLE,
    POLICIES,
    RECIPE,
    RELEASE,
    REPORT,
    SCORES,
    SIMILAR,
    SOURCES,
    TEXT_ENCODER,
    TEXT_VECTORS,
    VECTORS,
    VERDICT,
)
from storage.manifest import MANIFEST, Manifest
from storage.opening import Origin
from storage.refs import Ref, digest_of
from storage.releases import Promotion, Release
from storage.states import write_state
from tasks.accept import COUNTED
from tasks.checks import Judged
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
    converged: Ref
    mixed: Ref
    similar: Ref
    batch: Ref
    parent: str | None

    def stages(self) -> list[tuple[str, Ref]]:
        """The artifact of each stage, in order."""
        stages = [("prepare", self.prepared), ("encode", self.encoded)]
        for name, source in self.sources.items():
            stages.append((f"train {name}", source.model))
            if source.vectors and source.index:
                stages += [(f"embed {name}", source.vectors), (f"index {name}", source.index)]
        last = {"evaluate": self.scored, "converge": self.converged, "mix": self.mixed}
        return [*stages, *last.items(), ("similar", self.similar), ("batch", self.batch)]

    def facts(self) -> dict[str, dict[str, Any]]:
        """What each stage wrote down of its artifact, by the stage's name."""
        return {name: Manifest.read(ref.path).facts for name, ref in self.stages()}

    def made_of(self, night: Night) -> str:
        """The digest of all that the candidate is made of."""
        return digest_of([night.recipe.id, code_digest(), self.parent, [ref.digest for _, ref in self.stages()]])

    def incumbent(self, night: Night) -> Release | None:
        """The live release that the candidate has to stand beside.

        Where the candidate itself is live already, it is the one that it was compared with; none of a later day, which
        has learnt from the very day that both would be asked about.
        """
        store = night.store
        live = store.current() if store.pointer() else None
        if live is not None and live.facts["made_of"] == self.made_of(night):
            former = live.facts["compared_with"]
            live = store.get(former) if former and store.has(former) else None
        return live if live is not None and live.day <= night.day else None

    def release_id(self, night: Night, judged: Judged) -> str:
        """The day and the digest of the candidate and of what it was compared with: known before it is written."""
        return f"{night.day}-{digest_of([self.made_of(night), judged.incumbent])[:12]}"


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
def publish(
    night: Night,
    parts: Parts,
    judged: Judged,
    report: Ref,
    *,
    promote: bool,
    approved: bool,
    at: dt.datetime,
    who: str,
) -> Published:
    """Write the release, check every byte of it and, when asked, make it the live one.

    One of an earlier day than the live one never becomes so, nor any while a person holds the one they went back to,
    nor one that the gate holds unless it is `approved`.
    """
    store = night.store
    id_ = parts.release_id(night, judged)
    advance("publish", 0, 1)
    release = store.add(id_, lambda folder: _fill(folder, night, parts, judged, report, id_))
    Origin(store, id_).open(full=False)  # what cannot be read must not become live
    if promote:
        why = f"the night of {night.day}" + (", approved beforehand" if approved else "")
        outcome = store.promote(id_, at=at, who=who, why=why, approved=approved)
    else:
        outcome = Promotion(store.current_id() == id_, "it was not asked to become live")
    folder = store.fetch(id_, without=BATCH)
    advance("publish", 1, 1)
    return Published(release, folder, outcome.is_live, outcome.reason)


@stage("promote", minutes=60)
def promote_approved(night: Night, held: Published, *, at: dt.datetime, who: str, why: str) -> Published:
    """Make a release live that the gate held and a person approved."""
    outcome = night.store.promote(held.release.id, at=at, who=who, why=why, approved=True)
    return replace(held, is_live=outcome.is_live, reason=outcome.reason)


def _fill(folder: Path, night: Night, parts: Parts, judged: Judged, report: Ref, id_: str) -> None:
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
            _copy(source.vectors.path, target)
            _copy(source.index.path, target)
    for name in (SCORES, CALIBRATION, BLENDED_WITH, POLICIES):
        shutil.copyfile(parts.scored.path / name, folder / name)
    shutil.copyfile(parts.converged.path / CONVERGENCE, folder / CONVERGENCE)
    shutil.copyfile(parts.mixed.path / MIX, folder / MIX)
    shutil.copyfile(parts.similar.path / SIMILAR, folder / SIMILAR)
    for page in (REPORT, MIXER, NIGHT):
        shutil.copyfile(report.path / page, folder / page)
    _copy(parts.batch.path, folder / BATCH)
    (folder / RECIPE).write_text(night.recipe.model_dump_json(indent=1))
    (folder / VERDICT).write_text(json.dumps(judged.as_plain(), indent=1))
    (folder / RELEASE).write_text(json.dumps(_facts(night, parts, judged, id_), indent=1, sort_keys=True))


def _facts(night: Night, parts: Parts, judged: Judged, id_: str) -> dict[str, object]:
    first = night.day - dt.timedelta(days=night.recipe.history.days)
    ruling, counts = judged.ruling, Manifest.read(parts.prepared.path).facts
    return {
        "id": id_,
        "day": night.day.isoformat(),
        "day_number": day_number(night.day),
        "first_day": first.isoformat(),
        "recipe_name": night.recipe.name,
        "recipe_id": night.recipe.id,
        "parent": parts.parent,
        "compared_with": judged.incumbent,
        "decision": ruling.decision,
        "reasons": list(ruling.reasons),
        "made_of": parts.made_of(night),
        "code": code_digest(),
        "logs": parts.prepared.digest,
        "logs_digest": counts["logs_digest"],
        "format": FORMAT,
        **{name: counts[name] for name in COUNTED.values()},
    }


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(MANIFEST), dirs_exist_ok=True)
