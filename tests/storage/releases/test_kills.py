"""`kill -9` at any moment of any change: readers see one whole release or another, and the next run repairs."""

import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from bundles import DAY, NOW, add, contents, fill_with, promote
from changer import OPERATIONS, opened_when_free

from storage.durable import STAGING
from storage.manifest import MANIFEST
from storage.releases import ReleaseStore
from storage.releases.s3 import S3Place

ROOT = Path(__file__).parents[3]


class Reader(threading.Thread):
    """Reads the live release over and over, and compares every byte with what a release of its id holds."""

    def __init__(self, uri: str, copies: Path, pause_seconds: float) -> None:
        super().__init__(daemon=True)
        self.store, self.pause_seconds = ReleaseStore(uri, copies), pause_seconds
        self.stopped = threading.Event()
        self.seen: set[str] = set()
        self.n_reads = 0
        self.faults: list[str] = []

    def run(self) -> None:
        while not self.stopped.wait(self.pause_seconds):
            try:
                release = self.store.current()
                folder = self.store.fetch(release.id)
                found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
            except Exception as fault:
                self.faults.append(repr(fault))
                continue
            self.n_reads += 1
            self.seen.add(release.id)
            found.pop(MANIFEST)
            if release.facts["id"] != release.id or found != contents(release.id, release.parent):
                self.faults.append(f"a mixture in {release.id}")


@dataclass
class Killer:
    """Starts processes that change a store, and kills each at a random moment of one operation."""

    process: subprocess.Popen[str]
    said: Path
    n_whole: int
    """How many whole rounds every second process is left to itself first."""
    rng: random.Random = field(default_factory=lambda: random.Random(3))
    took: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in OPERATIONS})
    hits: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, uri: str, folder: Path, grace_seconds: float, n_whole: int) -> "Killer":
        environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'support'}"}
        command = [sys.executable, "-m", "changer", uri, str(folder / "changer"), str(grace_seconds)]
        with (folder / "said").open("w") as said:
            pipe = subprocess.PIPE
            return cls(
                subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=said, text=True, env=environment),
                folder / "said",
                n_whole,
            )

    def kill(self, round_: int) -> set[str]:
        """Kill one process at a random moment; the releases that may be live afterwards."""
        operation, n_whole = OPERATIONS[round_ % 4], round_ // 4 % 2 * self.n_whole  # half of them while they repair
        delay = self.rng.random() * statistics.median(self.took[operation])
        lines = self.run(f"{round_} {operation} {n_whole} {delay:.6f}")
        assert lines[-1] == ["ended", "-9"], (lines[-1], self.said.read_text())
        return self.look(lines)

    def run(self, order: str) -> list[list[str]]:
        """One process from its start to its end, and what it said."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(order, file=self.process.stdin, flush=True)
        lines: list[list[str]] = []
        while not lines or lines[-1][0] != "ended":
            lines.append(self.process.stdout.readline().split())
            assert lines[-1], self.said.read_text()
        return lines

    def look(self, lines: list[list[str]]) -> set[str]:
        hit, step, before, after = "", "", "", ""
        for what, *words in lines:
            if what == "begin":
                hit, before, after = words
                step = "start"
            elif what == "step":
                step = words[0]
            elif what == "end":
                self.took[hit].append(float(words[1]))
                hit, before = "between two", after
        self.hits[hit] += 1
        if hit != "between two":
            self.steps[f"{hit} {step}"] += 1
        return {before, after}

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.stdout is not None
        self.process.stdout.close()
        assert self.process.wait(30) == 0


def kill_often(uri: str, tmp_path: Path, n_kills: int, n_readers: int) -> None:
    # A reader takes milliseconds in a folder, unless the machine has other work: what it holds must outlast that.
    grace_seconds, n_whole = (5, 1) if uri.startswith("s3:") else (2, 10)
    start = time.monotonic()
    store = ReleaseStore(uri, tmp_path / "copies")
    first = f"{DAY}-first"
    store.add(first, fill_with(contents(first, None)))
    assert promote(store, first)
    readers = [Reader(uri, tmp_path / f"reader-{n}", 0.0 if n_readers > 1 else 0.05) for n in range(n_readers)]
    for reader in readers:
        reader.start()
    killer = Killer.of(uri, tmp_path, grace_seconds, n_whole)
    try:
        killer.look(killer.run(f"0 none {1 + n_readers // 2} 0"))
        killer.hits.clear()
        for round_ in range(8, 8 + n_kills):
            may_be_live = killer.kill(round_)
            live = store.verify(store.current().id)
            assert live.id in may_be_live, (round_, live.id, may_be_live)
            assert not any(reader.faults for reader in readers), [reader.faults for reader in readers]
    finally:
        killer.end()
        for reader in readers:
            reader.stopped.set()
        for reader in readers:
            reader.join()
    assert [reader.faults for reader in readers] == [[]] * n_readers
    n_removed = sum(entry.done for entry in store.trail() if entry.change == "remove")
    repaired(opened_when_free(uri, tmp_path / "copies"))
    seconds = round(time.monotonic() - start, 1)
    seen = set.union(*(reader.seen for reader in readers))
    n_reads = [reader.n_reads for reader in readers]
    figures = {
        "kills": dict(killer.hits),
        "n_reads": n_reads,
        "n_releases_read": len(seen),
        "n_removed": n_removed,
        "seconds": seconds,
    }
    print(f"\n{uri[:5]} {json.dumps(figures | {'steps': dict(sorted(killer.steps.items()))})}")
    assert all(n_reads) and sum(killer.hits.values()) == n_kills
    assert sum(killer.hits[operation] for operation in OPERATIONS) >= n_kills / 2, "kills in the middle of something"
    for operation in OPERATIONS if n_kills >= 100 else ():
        assert killer.hits[operation] >= n_kills / 8


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
    kill_often(release_uri, tmp_path, n_kills=4, n_readers=1)


@pytest.mark.slow
def test_a_hundred_kills_leave_a_store_that_can_be_read_and_repaired(release_uri: str, tmp_path: Path) -> None:
    kill_often(release_uri, tmp_path, n_kills=100, n_readers=4)
