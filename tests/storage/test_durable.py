"""Files, folders and artifacts that are whole or absent, also when their writer is killed."""

import datetime as dt
import errno
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.errors import ArtifactError
from storage.artifacts import ArtifactStore
from storage.durable import STAGING, staged_folder, sweep_staging, write_durable
from storage.layout import Lake
from storage.manifest import MANIFEST, Manifest

DAY = dt.date(2026, 3, 5)
KEY = "k" * 64


def leftovers(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{STAGING}*"))


def test_a_write_replaces_all_of_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "pointer.json"
    for content in (b"long " * 1000, b"short"):
        write_durable(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_former_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pointer.json"
    write_durable(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        write_durable(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


WRITE_FOR_EVER = """
import sys
from pathlib import Path
from storage.durable import write_durable
print("go", flush=True)
while True:
    for letter in sys.argv[2:]:
        write_durable(Path(sys.argv[1]), letter.encode() * 200_000)
"""


def test_a_reader_sees_one_whole_file_or_another_while_two_writers_are_killed(
    tmp_path: Path, python: Callable[..., subprocess.Popen[str]]
) -> None:
    path = tmp_path / "pointer"
    write_durable(path, b"a" * 200_000)
    for _ in range(3):
        writers = [python(WRITE_FOR_EVER, path, *letters) for letters in ("ab", "cd")]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "go\n"
        for _ in range(100):
            content = path.read_bytes()
            assert len(content) == 200_000
            assert len(set(content)) == 1
        assert [writer.poll() for writer in writers] == [None, None], "a writer stumbled over the other"
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
    sweep_staging(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "target"
    with staged_folder(target) as staging:
        (staging / "a").write_text("a")
        assert not target.exists()
    assert (target / "a").read_text() == "a"
    assert leftovers(target.parent) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_folder_whose_maker_fails_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), staged_folder(tmp_path / "target") as staging:
        (staging / "a").write_text("a")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_every_file_and_folder_is_on_the_disk_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with staged_folder(tmp_path / "target") as staging:
        (staging / "deep" / "er").mkdir(parents=True)
        (staging / "deep" / "er" / "a").write_text("a")
    written = [tmp_path / "target", *(tmp_path / "target").rglob("*"), tmp_path]
    assert {path.stat().st_ino for path in written} <= set(synced)


def test_a_folder_that_another_run_finished_first_is_left_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "target"
    with staged_folder(target) as slow:
        (slow / "a").write_text("slow")
        with staged_folder(target) as fast:
            (fast / "a").write_text("fast")
    assert (target / "a").read_text() == "fast"
    assert leftovers(tmp_path) == []


def test_the_leftovers_of_the_dead_are_swept_and_those_of_the_living_are_not(
    tmp_path: Path, python: Callable[..., subprocess.Popen[str]]
) -> None:
    here = socket.gethostname()
    dead = python("pass")
    dead.communicate()
    living = python("import sys; sys.stdin.read()")
    try:
        for process in (dead, living):
            (tmp_path / f"{STAGING}{process.pid}-x-{here}").mkdir()
            (tmp_path / f"{STAGING}{process.pid}-x-{here}" / "file").write_text("half")
            (tmp_path / f"{STAGING}{process.pid}-y-{here}").write_text("half a file")
        (tmp_path / f"{STAGING}{dead.pid}-z-elsewhere").mkdir()
        (tmp_path / "finished").mkdir()
        assert sweep_staging(tmp_path) == 2
        names = {path.name for path in tmp_path.iterdir()}
        kept = {f"{STAGING}{living.pid}-x-{here}", f"{STAGING}{living.pid}-y-{here}"}
        assert names == {"finished", f"{STAGING}{dead.pid}-z-elsewhere", *kept}
    finally:
        living.communicate()
    assert sweep_staging(tmp_path / "absent") == 0


# Manifests.


def filled(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "a.bin").write_bytes(bytes(range(200)))
    (folder / "sub" / "b.txt").write_text("b")
    return folder


def test_the_digest_is_of_files_and_names_and_not_of_facts(tmp_path: Path) -> None:
    one = Manifest.of_folder(filled(tmp_path / "one"), {"seconds": 1.5})
    two = Manifest.of_folder(filled(tmp_path / "two"), {"seconds": 99, "other": None})
    assert one.digest == two.digest
    (tmp_path / "two" / "a.bin").rename(tmp_path / "two" / "c.bin")
    assert Manifest.of_folder(tmp_path / "two", {}).digest != one.digest


def test_a_manifest_read_back_is_the_one_written(tmp_path: Path) -> None:
    folder = filled(tmp_path / "one")
    manifest = Manifest.of_folder(folder, {"n": 3, "name": "x"})
    manifest.write(folder)
    assert Manifest.read(folder) == manifest
    assert Manifest.of_folder(folder, {"n": 3, "name": "x"}) == manifest
    manifest.check(folder)
    assert manifest.size == 201
    assert [entry.path for entry in manifest.without("a.bin").files] == ["sub/b.txt"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"files": []}', b'{"files": [{"path": 1}], "facts": {}}', b"\xff"]
)
def test_a_damaged_manifest_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(ArtifactError, match=r"manifest.json is damaged"):
        Manifest.read(tmp_path)


def test_an_absent_manifest_means_unfinished(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="never finished"):
        Manifest.read(tmp_path)


# Artifacts.


def flip(folder: Path) -> None:
    content = bytearray((folder / "a.bin").read_bytes())
    content[100] ^= 1
    (folder / "a.bin").write_bytes(content)


HARMS: dict[str, Callable[[Path], Any]] = {
    "a byte flipped": flip,
    "a file missing": lambda folder: (folder / "sub" / "b.txt").unlink(),
    "a file added": lambda folder: (folder / "more").write_text("x"),
    "cut short": lambda folder: (folder / "a.bin").write_bytes(b"12"),
    "no manifest": lambda folder: (folder / MANIFEST).unlink(),
    "a damaged manifest": lambda folder: (folder / MANIFEST).write_text('{"files": ['),
}


class Maker:
    """Makes the same artifact and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> dict[str, Any]:
        self.calls += 1
        (folder / "sub").mkdir()
        (folder / "a.bin").write_bytes(bytes(range(200)))
        (folder / "sub" / "b.txt").write_text("b")
        return {"call": self.calls}


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(Lake(tmp_path))


def test_an_artifact_is_made_once(store: ArtifactStore) -> None:
    maker = Maker()
    first, second = (store.once("train", DAY, KEY, maker) for _ in range(2))
    assert maker.calls == 1
    assert (first.made_now, second.made_now) == (True, False)
    assert first.ref == second.ref
    assert first.facts == second.facts == {"call": 1}


def test_another_key_stage_or_day_is_another_artifact(store: ArtifactStore) -> None:
    maker = Maker()
    for stage, day, key in (
        ("a", DAY, KEY),
        ("b", DAY, KEY),
        ("a", DAY + dt.timedelta(1), KEY),
        ("a", DAY, "z" * 64),
    ):
        assert store.once(stage, day, key, maker).made_now


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_artifact_is_made_anew(store: ArtifactStore, harm: str) -> None:
    maker = Maker()
    first = store.once("train", DAY, KEY, maker)
    HARMS[harm](first.ref.path)
    again = store.once("train", DAY, KEY, maker)
    assert maker.calls == 2
    assert again.made_now
    assert again.ref == first.ref
    Manifest.read(again.ref.path).check(again.ref.path)


def test_a_maker_that_fails_leaves_nothing_and_may_try_again(store: ArtifactStore, tmp_path: Path) -> None:
    def failing(folder: Path) -> dict[str, Any]:
        (folder / "half").write_text("x")
        raise ValueError

    with pytest.raises(ValueError):
        store.once("train", DAY, KEY, failing)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert store.once("train", DAY, KEY, Maker()).made_now


MAKE = """
import datetime as dt, os, sys, time
from pathlib import Path
from storage.artifacts import ArtifactStore
from storage.layout import Lake

def make(folder):
    (folder / "a.bin").write_bytes(sys.argv[3].encode() * 100_000)
    print("making", flush=True)
    sys.stdin.readline()
    return {"pid": os.getpid()}

made = ArtifactStore(Lake(Path(sys.argv[1]))).once("train", dt.date(2026, 3, 5), sys.argv[2], make)
print(made.ref.digest, made.facts["pid"], flush=True)
"""


def test_two_processes_that_make_the_same_artifact_at_once_end_with_the_same_one(
    store: ArtifactStore, tmp_path: Path, python: Callable[..., subprocess.Popen[str]]
) -> None:
    processes = [python(MAKE, tmp_path, KEY, letter) for letter in "ab"]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "making\n"
    answers = [process.communicate("go\n")[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert answers[0] == answers[1]
    found = store.once("train", DAY, KEY, Maker())
    assert not found.made_now
    assert [found.ref.digest, str(found.facts["pid"])] == answers[0]


def test_an_artifact_whose_maker_is_killed_is_never_taken_for_finished(
    store: ArtifactStore, tmp_path: Path, python: Callable[..., subprocess.Popen[str]]
) -> None:
    parent = Lake(tmp_path).artifacts("train", DAY)
    dying, living = (python(MAKE, tmp_path, key, "x") for key in (KEY, "o" * 64))
    for process in (dying, living):
        assert process.stdout is not None
        assert process.stdout.readline() == "making\n"
    dying.send_signal(signal.SIGKILL)
    dying.communicate()
    assert all(path.name.startswith(STAGING) for path in parent.iterdir())
    assert store.once("train", DAY, KEY, Maker()).made_now
    assert [path.name.split("-")[1] for path in leftovers(parent)] == [str(living.pid)]
    living.communicate("go\n")
    assert living.returncode == 0
    assert leftovers(parent) == []


def test_a_lake_keeps_large_content_to_the_byte(store: ArtifactStore) -> None:
    content = np.random.default_rng(0).bytes(3_000_000)

    def make(folder: Path) -> dict[str, Any]:
        (folder / "a.bin").write_bytes(content)
        return {}

    assert (store.once("train", DAY, KEY, make).ref.path / "a.bin").read_bytes() == content
