"""A night's spaces, followed back along the line of releases that it came from."""

import datetime as dt
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bundles import facts_of

from retrieval.convergence import Lineage
from retrieval.dataset import build_catalogue, day_number
from retrieval.packing import pack
from retrieval.synthetic import planted_world
from storage.bundle import CATALOGUE, RELEASE, SOURCES, VECTORS
from storage.convergence import History
from storage.lineages import Followed, SourceSpace, Tonight, followed_back, spaces_of
from storage.manifest import Manifest
from storage.refs import Ref
from storage.releases import Release, ReleaseStore
from storage.states import write_state

WORLD = planted_world(n_items=60, n_fresh=2, n_days=9, landings=(6, 7, 8))
BY = Followed(settled_days=3, seed=1)
HEADS = ("engagement", "relevance")
DIM = 5


class House:
    """A release store, a history, and nights of a source with two heads."""

    def __init__(self, root: Path) -> None:
        self.root, self.store, self.history = root, ReleaseStore(root / "releases"), History(root / "h" / "h.duckdb")

    def vectors(self, index: int, head: str, version: str = "") -> np.ndarray:
        n_items = len(build_catalogue(WORLD.catalogue(WORLD.days[index])))
        rng = np.random.default_rng([index, HEADS.index(head), len(version)])
        start = np.random.default_rng(HEADS.index(head)).standard_normal((60, DIM))[:n_items]
        return (start + 0.05 * rng.standard_normal((n_items, DIM))).astype(np.float32)

    def night(self, index: int, version: str = "") -> Tonight:
        """The artifacts of a night."""
        refs = []
        for name, fill in (("prepare", self._catalogue), ("embed", self._heads)):
            folder = self.root / f"{name}-{index}{version}"
            if not folder.exists():
                fill(folder, index, version)
                Manifest.of_folder(folder, {}).write(folder)
            refs.append(Ref(str(folder), Manifest.read(folder).digest))
        return Tonight(day_number(WORLD.days[index]), *refs)

    def release(self, index: int, parent: Release | None, version: str = "", heads: bool = True) -> Release:
        day = WORLD.days[index]
        id_ = f"{day}-x{version}"

        def fill(folder: Path) -> None:
            self._catalogue(folder, index, version)
            if heads:
                self._heads(folder / SOURCES / "towers", index, version)
            facts = facts_of(id_, day, parent.id if parent else None, None) | {"day_number": day_number(day)}
            (folder / RELEASE).write_text(json.dumps(facts))

        return self.store.add(id_, fill)

    def line(self, *indices: int) -> Release:
        """Releases of nights in a row; the newest."""
        parent: Release | None = None
        for index in indices:
            parent = self.release(index, parent)
        assert parent is not None
        return parent

    def follow(self, now: Tonight, parent: Release | None, head: str = "relevance") -> Lineage:
        return followed_back(self.history, self.store, SourceSpace("towers", head), now, parent, BY)

    def _catalogue(self, folder: Path, index: int, version: str) -> None:
        write_state(folder / CATALOGUE, pack(build_catalogue(WORLD.catalogue(WORLD.days[index]))))

    def _heads(self, folder: Path, index: int, version: str) -> None:
        for head in HEADS:
            (folder / head).mkdir(parents=True)
            np.save(folder / head / VECTORS, self.vectors(index, head, version))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def days(lineage: Lineage) -> list[dt.date]:
    return [dt.date(1970, 1, 1) + dt.timedelta(days=night.day) for night in lineage.nights]


def same(one: Lineage, two: Lineage) -> bool:
    return days(one) == days(two) and all(
        np.array_equal(a.vectors, b.vectors) and a.ids.tolist() == b.ids.tolist()
        for a, b in zip(one.nights, two.nights, strict=True)
    )


def test_every_head_is_a_space_of_its_own_and_a_single_one_has_the_source_s_name(house: House, tmp_path: Path) -> None:
    spaces = spaces_of("towers", house.night(8).vectors)
    assert [space.name for space in spaces] == ["towers/engagement", "towers/relevance"]
    single = tmp_path / "single"
    single.mkdir()
    np.save(single / VECTORS, np.zeros((3, 2), np.float32))
    Manifest.of_folder(single, {}).write(single)
    assert [space.name for space in spaces_of("towers", Ref(str(single), "x"))] == ["towers"]


def test_a_new_lake_over_an_old_store_finds_the_line_that_the_old_one_had(house: House) -> None:
    parent: Release | None = None
    for index in (5, 6, 7):
        house.follow(house.night(index), parent)
        parent = house.release(index, parent)
    grown = house.follow(house.night(8), parent)
    assert days(grown) == list(WORLD.days[5:9])
    shutil.rmtree(house.history.path.parent)
    assert same(house.follow(house.night(8), parent), grown)
    assert not same(house.follow(house.night(8), parent, "engagement"), grown)


def test_no_night_is_followed_back_further_than_an_item_settles(house: House) -> None:
    assert days(house.follow(house.night(8), house.line(3, 4, 5, 6, 7))) == list(WORLD.days[5:9])


@pytest.mark.parametrize("ends", ["swept", "torn", "without the space"])
def test_a_line_ends_where_a_release_cannot_be_read(house: House, ends: str) -> None:
    old = house.release(5, None, heads=ends != "without the space")
    parent = house.release(7, house.release(6, old))
    folder = house.root / "releases" / old.id
    breaks: dict[str, Callable[[], object]] = {
        "swept": lambda: shutil.rmtree(folder),
        "torn": lambda: (folder / "manifest.json").write_text("{"),
        "without the space": lambda: None,
    }
    breaks[ends]()
    assert days(house.follow(house.night(8), parent)) == list(WORLD.days[6:9])


def test_a_night_made_again_follows_its_own_parents(house: House) -> None:
    first = house.line(6, 7)
    before = house.follow(house.night(8), first)
    again = house.follow(house.night(8, "b"), first)
    assert days(again) == days(before) and not same(again, before)
    other = house.release(7, None, "other")
    assert days(house.follow(house.night(8), other)) == list(WORLD.days[7:9])
    assert same(house.follow(house.night(8), first), before)
