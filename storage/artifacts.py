"""Immutable folders, each made once by one stage for one day, found again by what they were made from."""

import datetime as dt
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.errors import ArtifactError
from storage.durable import staged_folder, sweep_staging
from storage.layout import Lake
from storage.manifest import MANIFEST, Manifest
from storage.refs import Ref

Make = Callable[[Path], dict[str, Any]]
"""Fills a folder and returns the facts worth keeping in its manifest."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A finished folder and the facts its maker wrote down."""

    ref: Ref
    facts: dict[str, Any]
    made_now: bool


@dataclass(frozen=True, slots=True)
class ArtifactStore:
    """The artifacts of a lake."""

    lake: Lake

    def once(self, stage: str, day: dt.date, key: str, make: Make) -> Artifact:
        """The artifact of this key: the finished one when there is one, otherwise made now.

        A folder that a killed run left unfinished never carries the final name, so it is never taken for a result.
        """
        parent = self.lake.artifacts(stage, day)
        folder = parent / key[:16]
        found = self._finished(folder)
        if found is not None:
            return found
        sweep_staging(parent)
        with staged_folder(folder) as staging:
            facts = make(staging)
            Manifest.of_folder(staging, facts).write(staging)
        manifest = Manifest.read(folder)  # another run's, when that was first
        return Artifact(Ref(str(folder), manifest.digest), manifest.facts, made_now=True)

    def _finished(self, folder: Path) -> Artifact | None:
        if not (folder / MANIFEST).exists():
            shutil.rmtree(folder, ignore_errors=True)
            return None
        try:
            manifest = Manifest.read(folder)
            manifest.check(folder)
        except ArtifactError:
            shutil.rmtree(folder)
            return None
        return Artifact(Ref(str(folder), manifest.digest), manifest.facts, made_now=False)
