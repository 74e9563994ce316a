"""A release is opened whole or refused by the name of the file, in a folder and on S3."""

import functools
import os
import shutil
from pathlib import Path

import pytest
from release_places import BUCKET, Server
from served import NOW, Served, eventually, flip, spoil

from retrieval.errors import ReleaseError
from storage.durable import retire
from storage.manifest import MANIFEST, Manifest
from storage.opening import Origin, Verify
from storage.releases import ReleaseStore
from storage.serving import Recommender, open_release

VERIFY: tuple[Verify, ...] = ("full", "size", "lazy")
MODES = pytest.mark.parametrize("verify", VERIFY)


def test_a_release_is_opened_by_its_id_or_by_its_folder(released: Served, tmp_path: Path) -> None:
    assert open_release(released.root, released.former).release_id == released.former
    elsewhere = shutil.copytree(released.folder(released.former), tmp_path / "model")
    recommender = open_release(elsewhere)
    assert recommender.recommend(["u00000"], 3).release_id == released.former
    assert not recommender.refresh()
    with pytest.raises(ReleaseError, match=r"no release 'gone'"):
        open_release(released.root, "gone")
    with pytest.raises(ReleaseError, match=r"no release is live"):
        open_release(tmp_path / "empty")


@MODES
@pytest.mark.parametrize("how", ["missing", "surplus", "swapped", "short"])
def test_a_bundle_that_is_not_as_published_is_refused_by_the_name_of_the_file(
    served: Served, how: str, verify: Verify
) -> None:
    name = spoil(served, how)
    with pytest.raises(ReleaseError, match=rf"{served.latter} is torn: .*{name}"):
        open_release(served.root, verify=verify)


def test_a_changed_byte_is_refused_at_once_in_full(served: Served) -> None:
    flip(served.folder(served.latter) / "sources/popular/model/counts.npy")
    with pytest.raises(ReleaseError, match=r"is torn: .*popular/model/counts.npy does not match"):
        open_release(served.root, verify="full")
    assert open_release(served.root, verify="size").recommend(["u00000"], 3).ids


def test_a_changed_byte_that_cannot_be_read_is_named_by_size_alone_too(served: Served) -> None:
    path = served.folder(served.latter) / "sources/two_tower/index.faiss"
    path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(ReleaseError, match=r"is torn: .*two_tower/index.faiss does not match"):
        open_release(served.root, verify="size")


def test_a_changed_byte_ends_lazy_answers_until_a_whole_release_is_there(served: Served) -> None:
    path = served.folder(served.latter) / "sources/popular/model/counts.npy"
    flip(path)
    recommender = open_release(served.root, verify="lazy")
    eventually(lambda: recommender.opened.fault is not None)
    for ask in (lambda: recommender.recommend(["u00000"], 3), lambda: recommender.search(["bread"])):
        with pytest.raises(ReleaseError, match=r"is torn: .*popular/model/counts.npy does not match"):
            ask()
    assert not recommender.refresh() and "counts.npy" in str(recommender.last_error)
    served.promote(served.former)
    assert recommender.refresh()
    assert recommender.recommend(["u00000"], 3).release_id == served.former


def test_a_lazy_reader_goes_on_when_a_sweep_takes_the_files_it_was_comparing(served: Served) -> None:
    recommender = open_release(served.root, verify="lazy")
    retire(served.folder(served.latter))
    recommender.opened.compare_bytes()
    assert recommender.recommend(["u00000"], 3).release_id == served.latter


def test_a_release_that_is_swept_away_while_it_is_opened_is_left_for_the_live_one(served: Served) -> None:
    class Sweeping(ReleaseStore):
        """Another release becomes live, and the one asked for is gone, just before its files are read."""

        def fetch(self, id_: str, *, without: str | None = None) -> Path:
            folder = super().fetch(id_, without=without)
            if id_ == served.latter:
                served.promote(served.former)
                shutil.rmtree(folder)
            return folder

    recommender = Recommender(Origin(Sweeping(served.root), None), "full")
    assert recommender.recommend(["u00000"], 3).release_id == served.former


@pytest.fixture
def far(served: Served, moto: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ReleaseStore:
    """The same two releases on an S3 server."""
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    store = ReleaseStore(f"s3://{BUCKET}/{tmp_path.name}-{os.getpid()}", tmp_path / "publisher")
    without = shutil.ignore_patterns(MANIFEST)
    for id_ in (served.former, served.latter):
        copy = functools.partial(shutil.copytree, served.folder(id_), dirs_exist_ok=True, ignore=without)
        store.add(id_, copy)
    store.promote(served.former, at=NOW, who="ada@host", why="a test")
    return store


def test_a_release_on_s3_is_opened_through_a_local_copy_that_mends_itself(
    far: ReleaseStore, served: Served, tmp_path: Path
) -> None:
    cache = tmp_path / "copies"
    recommender = open_release(far.uri, cache=cache)
    expected = open_release(served.root, served.former).recommend(["u00000"], 5)
    assert recommender.recommend(["u00000"], 5) == expected
    (copy,) = cache.glob("*/*/manifest.json")
    assert (served.root / served.former / "batch").is_dir()
    assert not (copy.parent / "batch").exists(), "large, and no reader answers from it"
    flip(copy.parent / "sources/popular/model/counts.npy")
    assert open_release(far.uri, cache=cache).recommend(["u00000"], 5) == expected
    Manifest.read(copy.parent).check(copy.parent)
    far.promote(served.latter, at=NOW, who="ada@host", why="a test")
    assert recommender.refresh()
    assert recommender.recommend(["u00000"], 5) == open_release(served.root).recommend(["u00000"], 5)
