"""`kill -9` in any stage: the same command finishes the night, and the live release is readable throughout."""

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from places import Place
from prefect.settings import PREFECT_API_URL

from storage.layout import Lake
from storage.logs import open_logs
from storage.releases import Release, ReleaseStore

STAGES = [
    "ingest",
    "prepare",
    "encode",
    "train-popular",
    "train-item_knn",
    "train-two_tower",
    "embed-two_tower",
    "build_index-two_tower",
    "evaluate",
    "report",
    "publish",
]

pytestmark = pytest.mark.usefixtures("prefect_server")


def start(place: Place, day: dt.date | None = None) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-c",
        "from flows.cli import main; main()",
        "nightly",
        "--day",
        str(day or place.last_day),
    ]
    environment = os.environ | {"PREFECT_API_URL": PREFECT_API_URL.value(), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [*command, *place.options], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def kill_in(stage: str, place: Place) -> None:
    """Run the night until a stage says that it begins, and kill it there."""
    with start(place) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.strip() == f"· {stage}":
                process.send_signal(signal.SIGKILL)
                break
        else:
            pytest.fail(f"the night ended without a word of {stage}")
        process.wait()
    assert process.returncode == -signal.SIGKILL


class Reader(threading.Thread):
    """Reads and checks the live release over and over."""

    def __init__(self, place: Place) -> None:
        super().__init__(daemon=True)
        self.store = ReleaseStore(place.lake.releases)
        self.stopped = threading.Event()
        self.seen: set[str] = set()
        self.faults: list[Exception] = []

    def run(self) -> None:
        while not self.stopped.is_set():
            try:
                self.seen.add(self.store.verify(self.store.current().id).id)
            except Exception as fault:
                self.faults.append(fault)


def finish(place: Place, day: dt.date) -> Release:
    """Run a night to its end."""
    process = start(place, day)
    _, said = process.communicate()
    assert process.returncode == 0, said
    return ReleaseStore(place.lake.releases).current()


@pytest.fixture
def expected(place: Place) -> str:
    """The digest of the release that the two nights give when nobody disturbs them."""
    calm = replace(place, lake=Lake(place.lake.root.with_name("calm")))
    return [finish(calm, day) for day in place.world.days[-2:]][-1].digest


@pytest.fixture
def reader(place: Place, expected: str) -> Iterator[Reader]:
    """A reader of the release of the night before."""
    finish(place, place.world.days[-2])
    thread = Reader(place)
    thread.start()
    yield thread
    thread.stopped.set()
    thread.join()


def finish_and_compare(place: Place, reader: Reader, expected: str) -> None:
    live = finish(place, place.last_day)
    assert live.day == place.last_day
    assert live.digest == expected
    assert not reader.faults
    with open_logs(place.lake.logs, read_only=True) as logs:
        (n_rows, n_distinct) = logs.connection.execute(
            "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM (SELECT DISTINCT * FROM events))"
        ).fetchall()[0]
    assert n_rows == n_distinct == sum(place.world.events(day).num_rows for day in place.world.days)
    assert not list(place.lake.root.rglob(".staging-*")), "a killed run's leftovers were not swept"


@pytest.mark.timeout(900)
@pytest.mark.slow
def test_a_night_killed_while_training_and_publishing_is_finished_by_the_same_command(
    place: Place, reader: Reader, expected: str
) -> None:
    for stage in ("train-two_tower", "publish"):
        kill_in(stage, place)
    finish_and_compare(place, reader, expected)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_night_killed_once_in_every_stage_is_finished_by_the_same_command(
    place: Place, reader: Reader, expected: str
) -> None:
    for stage in STAGES:
        kill_in(stage, place)
    finish_and_compare(place, reader, expected)
