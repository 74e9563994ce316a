"""Changes a store for ever, in processes that are killed by `kill -9`: each is forked ready-made, and says what it does.

A line of input starts one: `ROUND OPERATION WHOLE DELAY` has it killed after that many whole rounds, so many seconds
after it begins that operation; `ROUND none 1 0` ends by itself after one round.
Lines of output: `begin OPERATION FROM TO` with the live release before and after, `step WHAT` before every request,
rename and removal, `end OPERATION SECONDS`, `ended CODE` when the process is gone.
"""

import datetime as dt
import itertools
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundles import contents, day_of, fill_with

from storage.releases import ReleaseStore, lease
from storage.releases.s3 import S3Place

OPERATIONS = ("add", "promote", "rollback", "sweep")
_TOLD = {"os.rename", "shutil.rmtree", "os.remove"}


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Told:
    """A bucket that says what is asked of it."""

    def __init__(self, inner: object) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def told(*arguments: Any, **options: Any) -> Any:
            folder, _, last = str(arguments[0]).rpartition("/") if name == "write" else ("", "", "")
            say("step", f"{name}:{folder if folder == 'audit' else last}".rstrip(":"))
            return found(*arguments, **options)

        return told


def opened_when_free(uri: str, copies: Path) -> ReleaseStore:
    """The store, once no killed process holds it any more: what the message of one that is held tells to do."""
    store = ReleaseStore(uri, copies)
    if isinstance(store.place, S3Place):
        store.place.settle_seconds = 0.05
        while (found := lease._Found.of(store.place.bucket)) and not found.is_over:
            time.sleep(0.05)
    return store


def opened(uri: str, copies: Path) -> ReleaseStore:
    lease.LEASE_SECONDS = 1.0
    store = opened_when_free(uri, copies)
    if isinstance(store.place, S3Place):
        store.place.bucket = Told(store.place.bucket)  # type: ignore[assignment]
    sys.addaudithook(lambda event, _: say("step", event) if event in _TOLD else None)
    return store


def killer() -> int:
    """A process that kills this one some seconds after it is told how many; where to tell it."""
    told, tell = os.pipe()
    pid = os.getpid()
    if os.fork() == 0:
        time.sleep(float(os.read(told, 100)))
        os.kill(pid, signal.SIGKILL)
        os._exit(0)
    return tell


@dataclass
class Changer:
    """One process: it goes on until it is killed."""

    store: ReleaseStore
    grace: dt.timedelta
    victim: str
    n_whole: int
    delay: str

    def change_for_ever(self, round_: int) -> None:
        for n in itertools.count():
            if self.victim == "none" and n == self.n_whole:
                os._exit(0)
            live = self.store.current_id()
            id_ = f"{day_of(round_ // 4)}-{round_}-{n}"
            self.n_whole -= self.victim != "none"
            self.do("add", live, live, self.add, id_, live)
            self.do("promote", live, id_, self.promote, id_)
            self.do("rollback", id_, live, self.roll_back)
            self.do("promote", live, id_, self.promote, id_)
            self.do("sweep", id_, id_, self.sweep)

    def do(self, operation: str, live: str | None, to: str | None, change: Callable[..., object], *given: Any) -> None:
        is_last = operation == self.victim and self.n_whole < 0
        tell = killer() if is_last else 0
        say("begin", operation, live, to)
        if is_last:
            os.write(tell, self.delay.encode())
        start = time.monotonic()
        change(*given)
        say("end", operation, time.monotonic() - start)

    def add(self, id_: str, live: str | None) -> None:
        self.store.add(id_, fill_with(contents(id_, live)))

    def promote(self, id_: str) -> None:
        assert self.store.promote(id_, at=dt.datetime.now(dt.UTC), who="night@host", why="night").is_live

    def roll_back(self) -> None:
        self.store.rollback(None, at=dt.datetime.now(dt.UTC), who="ada@host", why="bad", hold=False)

    def sweep(self) -> None:
        self.store.sweep(2, self.grace, at=dt.datetime.now(dt.UTC), who="sweeper@host")


def main() -> None:
    uri, copies, grace_seconds = sys.argv[1:]
    grace = dt.timedelta(seconds=float(grace_seconds))
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                round_, victim, n_whole, delay = line.split()
                Changer(opened(uri, Path(copies)), grace, victim, int(n_whole), delay).change_for_ever(int(round_))
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        say("ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    main()
