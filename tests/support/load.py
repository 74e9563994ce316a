"""A service under an even load that goes from release to release: what its callers wait, at rest and during a swap.

A program of its own, because the shapes that tests check would be most of what is measured.
"""

import itertools
import json
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from served import Served

from storage.serving import Answer, Recommender, open_release

N_THREADS, K, N_USERS = 4, 10, 50


@dataclass(frozen=True)
class Call:
    """One question: when it was due, when it was answered, and whether rightly."""

    due: float
    end: float
    fault: str | None


@dataclass
class Load:
    """Questions at fixed times, from several threads; one that is late counts from when it was due."""

    recommender: Recommender
    expected: dict[str, dict[str, Answer]]
    per_second: float
    calls: list[Call] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self, thread: int) -> None:
        users = itertools.cycle(sorted(next(iter(self.expected.values()))))
        apart, due = N_THREADS / self.per_second, time.perf_counter() + thread / self.per_second
        for user in itertools.islice(users, thread * N_USERS // N_THREADS, None):
            if self.stop.wait(max(0.0, due - time.perf_counter())):
                return
            self.calls.append(Call(due, *self._one(user)))
            due += apart

    def _one(self, user: str) -> tuple[float, str | None]:
        try:
            found = self.recommender.recommend([user], K)
        except Exception as error:
            return time.perf_counter(), f"failed: {error}"
        end = time.perf_counter()
        return end, None if found == self.expected[found.release_id][user] else "mixed"


def expectations(served: Served) -> dict[str, dict[str, Answer]]:
    """What each release answers to each user, asked alone."""
    found = {}
    for id_ in (served.former, served.latter):
        with open_release(served.root, id_) as recommender:
            users = recommender.opened.snapshot.dataset.people.ids.names(range(N_USERS))
            found[id_] = {user: recommender.recommend([user], K) for user in users}
    return found


def rest(seconds: float) -> Iterator[tuple[float, float]]:
    """A span of time in which nothing else happens."""
    start = time.perf_counter()
    time.sleep(seconds)
    yield start, time.perf_counter()


def measure(served: Served, n_swaps: int, per_second: float) -> dict[str, object]:
    """Swaps under load, a rest as long as a swap before each: the same process, the same questions."""
    recommender = open_release(served.root)
    load = Load(recommender, expectations(served), per_second)
    rests, swaps = [], []
    with ThreadPoolExecutor(N_THREADS) as pool:
        asking = [pool.submit(load.ask, thread) for thread in range(N_THREADS)]
        time.sleep(1)
        for target in itertools.islice(itertools.cycle([served.former, served.latter]), n_swaps):
            served.promote(target)
            start = time.perf_counter()
            assert recommender.refresh(), recommender.last_error
            swaps.append((start, time.perf_counter()))
            time.sleep(0.2)
            rests += rest(max(0.3, swaps[-1][1] - swaps[-1][0]))
        load.stop.set()
        for done in asking:
            done.result()
    faults = [call.fault for call in load.calls if call.fault is not None]
    return {
        "n_calls": len(load.calls),
        "n_failed": sum(fault != "mixed" for fault in faults),
        "n_mixed": faults.count("mixed"),
        "swap_ms": round(1e3 * float(np.median([end - start for start, end in swaps])), 1),
        "rest": waits(load.calls, rests),
        "swap": waits(load.calls, swaps),
    }


def waits(calls: list[Call], spans: list[tuple[float, float]]) -> dict[str, float]:
    """How long those calls took that overlap one of the spans."""
    starts, ends = (np.array(times) for times in zip(*spans, strict=True))
    overlapping = [call for call in calls if ((call.due < ends) & (call.end > starts)).any()]
    took = 1e3 * np.array([call.end - call.due for call in overlapping])
    p50, p99 = np.percentile(took, [50, 99])
    return {"n": len(took), "p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


if __name__ == "__main__":
    root, former, latter, n_swaps, per_second = sys.argv[1:]
    print(json.dumps(measure(Served(Path(root), former, latter), int(n_swaps), float(per_second))))
