"""`kill -9` at any moment of any change: readers see one whole release or another, and the next run repairs."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
from bundles import NOW, add, nights, promote

from storage.durable import STAGING
from storage.releases import ReleaseStore
from storage.releases.s3 import S3Place

ROOT = Path(__file__).parents[3]

CHANGE_FOR_EVER = """
import datetime as dt, os, sys
from pathlib import Path
from bundles import filler, day_of
from retrieval.errors import ReleaseError
from storage.releases import ReleaseStore, lease

lease.LEASE_SECONDS = 2
store = ReleaseStore(sys.argv[1], Path(sys.argv[2]))
store.place.__dict__["settle_seconds"] = 0.05
start = int(sys.argv[3])
n = 0
while True:
    n += 1
    at = dt.datetime.now(dt.UTC)
    id_ = f"{day_of(start)}-{os.getpid()}-{n}"
    live = store.current_id()
    def fill(folder):
        filler(day_of(start), live, id_)(folder)
        for part in "ab":
            (folder / part).write_text(id_ * 1000)
    store.add(id_, fill)
    if n == 1:
        print("go", flush=True)
    try:
        store.promote(id_, at=at, who="night", why="night", by_hand=True)
        if n % 2 == 0:
            store.rollback(None, at=at, who="ada", why="bad", hold=False)
        if n % 3 == 0:
            store.sweep(2, dt.timedelta(seconds=10), at=at, who="sweeper")
    except ReleaseError as error:
        if "is held by" not in str(error):
            raise
"""


class Reader(threading.Thread):
    """Reads the live release over and over, and compares its parts."""

    def __init__(self, uri: str, copies: Path) -> None:
        super().__init__(daemon=True)
        self.store = ReleaseStore(uri, copies)
        self.stopped = threading.Event()
        self.seen: set[str] = set()
        self.faults: list[str] = []

    def run(self) -> None:
        while not self.stopped.is_set():
            try:
                release = self.store.current()
                folder = self.store.fetch(release.id)
                texts = [(folder / part).read_text() for part in "ab" if (folder / part).exists()]
            except Exception as fault:
                self.faults.append(repr(fault))
                continue
            self.seen.add(release.id)
            if release.facts["id"] != release.id or any(text != release.id * 1000 for text in texts):
                self.faults.append(f"a mixture in {release.id}")


def kill_often(uri: str, tmp_path: Path, n_kills: int, seconds: float, n_readers: int) -> None:
    store = ReleaseStore(uri, tmp_path / "copies")
    first = nights(store, 1)[0]
    readers = [Reader(uri, tmp_path / f"reader-{n}") for n in range(n_readers)]
    for reader in readers:
        reader.start()
    rng = random.Random(3)
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'support'}"}
    for round_ in range(n_kills):
        arguments = [uri, str(tmp_path / "changer"), str(round_ // 4)]
        changer = subprocess.Popen(
            [sys.executable, "-c", CHANGE_FOR_EVER, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert changer.stdout is not None
        assert changer.stdout.readline() == "go\n", changer.communicate()[1]
        time.sleep(seconds * rng.random())
        assert changer.poll() is None, changer.communicate()[1]
        changer.send_signal(signal.SIGKILL)
        changer.communicate()
        store.verify(store.current().id)
    for reader in readers:
        reader.stopped.set()
    for reader in readers:
        reader.join()
    assert [reader.faults for reader in readers] == [[]] * n_readers
    assert {first} < set.union(*(reader.seen for reader in readers))
    repaired(store)


def repaired(store: ReleaseStore) -> None:
    """The next run finds a store in order: it publishes, sweeps, and every change has its trace."""
    end = NOW.replace(year=2100)
    id_ = night_after(store)
    store.sweep(2, NOW - NOW, at=end, who="next")
    assert store.current_id() == id_
    assert len(store.ids()) <= 4
    for name in store.ids():
        store.verify(name)
    folders = set(store.place.names()) - {"CURRENT.json", "audit", "pins"}
    assert folders == set(store.ids()), "what killed runs left is gone"
    if not isinstance(store.place, S3Place):
        assert not list(Path(store.uri).glob(f"{STAGING}*"))
    trail = store.trail()
    moves = [entry for entry in trail if entry.done and entry.change != "remove"]
    assert moves[-1].to == id_
    for former, later in pairwise(moves):
        assert (later.former, later.after) == (former.to, former.id), "a change without a trace"


def night_after(store: ReleaseStore) -> str:
    id_ = add(store, 400, "after", parent=store.current_id())
    assert promote(store, id_, at=NOW.replace(year=2099))
    return id_


def test_a_few_kills_leave_a_store_that_can_be_read_and_repaired(release_uri: str, tmp_path: Path) -> None:
    if release_uri.startswith("s3:"):
        kill_often(release_uri, tmp_path, n_kills=6, seconds=2.5, n_readers=1)
    else:
        kill_often(release_uri, tmp_path, n_kills=10, seconds=1.0, n_readers=2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundred_kills_leave_a_store_that_can_be_read_and_repaired(release_uri: str, tmp_path: Path) -> None:
    kill_often(release_uri, tmp_path, n_kills=100, seconds=3.0, n_readers=4)
