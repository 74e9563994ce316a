"""Two nights' releases to serve: made once for all tests, copied for those that change them."""

import datetime as dt
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from places import Place, landed

from retrieval.recommender import Snapshot
from retrieval.synthetic import planted_world
from storage.reader import read_snapshot
from storage.releases import ReleaseStore

NOW = dt.datetime(2026, 3, 6, 4, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Served:
    """A store with two releases of nights in a row."""

    root: Path
    former: str
    latter: str

    @property
    def store(self) -> ReleaseStore:
        return ReleaseStore(self.root)

    def folder(self, id_: str) -> Path:
        return self.root / id_

    def snapshot(self, id_: str) -> Snapshot:
        return read_snapshot(self.folder(id_))

    def promote(self, id_: str) -> None:
        """Make a release live, also an earlier one."""
        self.store.rollback(id_, at=NOW, who="ada@host", why="a test", hold=False)

    def copied(self, root: Path) -> "Served":
        """The same releases in a store that may be changed."""
        shutil.copytree(self.root, root)
        return Served(root, self.former, self.latter)


def two_nights(place: Place) -> Served:
    """The releases of the last two nights of a place; the latter is live."""
    from flows.nightly import nightly

    where = (str(place.recipe_file), str(place.lake.root), str(place.landing))
    ids = [nightly(day, *where).release.id for day in place.world.days[-2:]]
    return Served(place.lake.releases, *ids)


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def flip(path: Path) -> None:
    """Change one byte in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def spoil(served: Served, how: str) -> str:
    """Spoil a file of the live release; its name."""
    folder, other = served.folder(served.latter), served.folder(served.former)
    name = "sources/two_tower/model/user_tower.onnx" if how == "missing" else "sources/two_tower/vectors.npy"
    if how == "missing":
        (folder / name).unlink()
    elif how == "surplus":
        name = "sources/two_tower/model/left.npy"
        shutil.copyfile(other / "sources/two_tower/vectors.npy", folder / name)
    elif how == "swapped":
        shutil.copyfile(other / name, folder / name)
    else:
        (folder / name).write_bytes((folder / name).read_bytes()[:-40])
    return name


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Served:
    """Two nights of the small world."""
    world = planted_world(n_users=60, n_items=80, n_days=16)
    return two_nights(landed(tmp_path_factory.mktemp("released"), world))


@pytest.fixture
def served(released: Served, tmp_path: Path) -> Served:
    """The same two releases, to be changed."""
    return released.copied(tmp_path / "releases")
