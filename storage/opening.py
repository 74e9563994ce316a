"""A release opened to answer from: found by the pointer or by its id, verified, read and tried out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from retrieval.errors import ArtifactError, ReleaseError
from retrieval.recommender import Snapshot
from retrieval.text import TextEncoder
from storage.bundle import BATCH, TEXT_ENCODER
from storage.manifest import MANIFEST, FileEntry, Manifest
from storage.reader import read_snapshot
from storage.releases import Release, ReleaseStore

Verify = Literal["full", "size", "lazy"]
"""full: every byte before the first answer; size: sizes only; lazy: sizes first, every byte beside the answers."""
Target = tuple[str, str | None] | None
"""The id to answer from, and the manifest that became live with it."""
ATTEMPTS = 3


@dataclass(slots=True)
class Opened:
    """A release in memory; its files stay mapped as long as somebody holds it."""

    snapshot: Snapshot
    release: Release
    folder: Path
    target: Target
    fault: str | None = None
    """What was found wrong with its files after it began to answer."""

    def whole(self) -> Snapshot:
        """What answers.

        Raises:
            ReleaseError: when a file turned out not to be what was published.
        """
        if self.fault is not None:
            raise ReleaseError(self.fault)
        return self.snapshot

    def compare_bytes(self) -> None:
        """Compare every file with the manifest, and remember what is wrong."""
        try:
            self.release.manifest.check(self.folder, without=BATCH)
        except (ArtifactError, FileNotFoundError) as error:
            if (self.folder / MANIFEST).exists():  # otherwise a sweep took it, whose files were whole
                self.fault = f"release {self.release.id} is torn: {error}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the release to answer from comes from: the live one of a store, or one that was named."""

    store: ReleaseStore
    id: str | None

    def target(self) -> Target:
        """What there is to answer from now; None where nothing is live."""
        if self.id is not None:
            return self.id, None
        pointer = self.store.pointer()
        return (pointer.release, pointer.manifest_sha256) if pointer else None

    def open(self, former: Opened | None = None, *, full: bool) -> Opened:
        """The release, tried out; what `former` has in memory and did not change is taken over.

        A release that is swept away, or a local copy that turns out damaged, while it is being read is read anew.

        Raises:
            ReleaseError: when there is none, or it is torn; it names the file.
        """
        for left in reversed(range(ATTEMPTS)):
            target = self.target()
            try:
                return self._read(target, former, full=full)
            except ReleaseError:
                is_other = self.target() != target or (target is not None and self.store.drop_copy(target[0]))
                if not (is_other and left):
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _read(self, target: Target, former: Opened | None, *, full: bool) -> Opened:
        release = self.store.get(self.id) if self.id is not None else self.store.current()
        folder = self.store.fetch(release.id, without=BATCH)
        try:
            release.manifest.check(folder, full=full, without=BATCH)
            snapshot = _snapshot(release.manifest, folder, former)
        except (ArtifactError, FileNotFoundError) as error:
            raise ReleaseError(f"release {release.id} is torn: {error}") from error
        return Opened(snapshot, release, folder, target)


def try_out(snapshot: Snapshot) -> None:
    """A question of every kind, so that the first real one waits for nothing."""
    dataset = snapshot.dataset
    users = dataset.people.ids.names(np.flatnonzero(np.diff(dataset.histories.offsets))[:3])
    items = dataset.catalogue.ids.names(range(min(3, len(dataset.catalogue))))
    topic = next(iter(dataset.catalogue.topic_names.names(range(min(1, len(dataset.catalogue.topic_names))))), None)
    snapshot.recommend(users, 10)
    snapshot.explain(snapshot.questions_of(users[:1]), 10)
    snapshot.recommend_after([items, []], 10, condition=topic)
    snapshot.similar(items, 10)
    snapshot.search(dataset.catalogue.texts[:2].to_pylist(), 10)


def _snapshot(manifest: Manifest, folder: Path, former: Opened | None) -> Snapshot:
    try:
        snapshot = read_snapshot(folder, _same_encoder(manifest, former))
        try_out(snapshot)
        return snapshot
    except Exception as error:  # what damaged bytes make the libraries raise has no type in common
        manifest.check(folder, without=BATCH)  # names the file
        raise ArtifactError(
            f"{folder} is as published but cannot be read ({type(error).__name__}: {error}). Open it with the version "
            "that made it, or run its night again."
        ) from error


def _same_encoder(manifest: Manifest, former: Opened | None) -> TextEncoder | None:
    """The text encoder in memory, where the release has the same: a session takes long, and holds up every answer."""
    if former is None or former.fault is not None:
        return None
    same = _encoder_files(manifest) == _encoder_files(former.release.manifest)
    return former.snapshot.encoder if same else None


def _encoder_files(manifest: Manifest) -> list[FileEntry]:
    return [entry for entry in manifest.files if entry.path.startswith(f"{TEXT_ENCODER}/")]
