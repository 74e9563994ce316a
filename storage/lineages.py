"""The spaces of a night's vectors, and the releases they came from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise
from pathlib import Path, PurePosixPath

import numpy as np

from retrieval.convergence import Lineage, Positions, aligned
from retrieval.domain import Catalogue
from retrieval.errors import ReleaseError
from retrieval.packing import unpack
from storage.bundle import BATCH, CATALOGUE, SOURCES, VECTORS
from storage.convergence import History, NightOfSpace
from storage.manifest import Manifest
from storage.refs import Ref, digest_of
from storage.releases import Release, ReleaseStore
from storage.states import read_state


@dataclass(frozen=True, slots=True)
class SourceSpace:
    """One matrix of vectors of a source: its only one, or that of one head."""

    source: str
    head: str
    """Its folder beside the other heads'; empty for the only one."""

    @property
    def name(self) -> str:
        return f"{self.source}/{self.head}" if self.head else self.source


@dataclass(frozen=True, slots=True)
class Followed:
    """What decides which rows of a night are kept."""

    settled_days: int
    seed: int


@dataclass(frozen=True, slots=True)
class Tonight:
    """The night that is followed back: its day, and the artifacts that its catalogue and its vectors are in."""

    day: int
    prepared: Ref
    vectors: Ref


@dataclass(frozen=True, slots=True)
class _Place:
    """One night's part of a space: what it is known by, and how it is read."""

    day: int
    sha256: str
    catalogue_digest: str
    read: Callable[[], tuple[Path, Path]]
    """The folder of the catalogue and the file of the vectors."""

    def positions(self) -> Positions:
        folder, file = self.read()
        catalogue = unpack(Catalogue, read_state(folder))
        vectors = np.load(file, mmap_mode="r", allow_pickle=False)
        return Positions.of(self.day, catalogue.ids.ids.to_pylist(), catalogue.first_seen, vectors)

    def key(self, space: SourceSpace, by: Followed) -> str:
        return digest_of([space.name, self.day, self.sha256, self.catalogue_digest, by.settled_days, by.seed])


def spaces_of(source: str, vectors: Ref) -> list[SourceSpace]:
    """Every space whose vectors are in an artifact."""
    paths = (PurePosixPath(entry.path) for entry in Manifest.read(vectors.path).files)
    heads = sorted(path.parent.as_posix() for path in paths if path.name == VECTORS)
    return [SourceSpace(source, "" if head == "." else head) for head in heads]


def followed_back(
    history: History, store: ReleaseStore, space: SourceSpace, now: Tonight, parent: Release | None, by: Followed
) -> Lineage:
    """The lineage of this night's space, as far back as a cohort is followed.

    What the history lacks is read from the releases, and written down.
    """
    lacking: list[tuple[_Place, str]] = []
    known: tuple[_Place, str] | None = None
    former_nights = _of_releases(store, parent, space, now.day - by.settled_days)
    for place, earlier in pairwise(chain([_of_artifacts(now, space)], former_nights, [None])):
        assert place is not None  # only the end is
        key = place.key(space, by)
        if history.has(key, earlier.key(space, by) if earlier else None):
            known = place, key
            break
        lacking.append((place, key))
    before = known[0].positions() if known and lacking else None
    former = known[1] if known else None
    for place, key in reversed(lacking):
        after = place.positions()
        turn = aligned(before, after, by.settled_days, by.seed) if before else None
        kept = after.worth_keeping(by.settled_days, by.seed)
        history.write(NightOfSpace(key, space.name, place.sha256, kept), former, turn)
        before, former = after, key
    assert former is not None  # tonight is either known or was lacking
    return history.lineage(former, now.day - by.settled_days)


def _of_artifacts(now: Tonight, space: SourceSpace) -> _Place:
    file = Path(space.head, VECTORS)
    entries = {entry.path: entry.sha256 for entry in Manifest.read(now.vectors.path).files}
    catalogue = _digest_of_catalogue(Manifest.read(now.prepared.path))
    paths = now.prepared.path / CATALOGUE, now.vectors.path / file
    return _Place(now.day, entries[file.as_posix()], catalogue, lambda: paths)


def _of_releases(store: ReleaseStore, newest: Release | None, space: SourceSpace, first_day: int) -> Iterator[_Place]:
    """A release and those that it came from; one that is torn or has no such space ends the line, not the night."""
    file, release = Path(SOURCES, space.source, space.head, VECTORS), newest
    while release is not None and release.facts["day_number"] >= first_day:
        sha256 = next((e.sha256 for e in release.manifest.files if e.path == file.as_posix()), None)
        if sha256 is None:
            return
        read = partial(_fetched, store, release, file)
        yield _Place(release.facts["day_number"], sha256, _digest_of_catalogue(release.manifest), read)
        try:
            release = store.get(release.parent) if release.parent and store.has(release.parent) else None
        except ReleaseError:
            return


def _fetched(store: ReleaseStore, release: Release, file: Path) -> tuple[Path, Path]:
    folder = store.fetch(release.id, without=BATCH)
    return folder / CATALOGUE, folder / file


def _digest_of_catalogue(manifest: Manifest) -> str:
    return digest_of([(e.path, e.sha256) for e in manifest.files if e.path.startswith(f"{CATALOGUE}/")])
