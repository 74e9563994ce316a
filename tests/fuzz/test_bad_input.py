"""Whatever lands: a night loads it, sets it aside or refuses it with one sentence; no row is lost, nothing else is touched."""

import itertools
import logging
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import hostile
import hostile_bytes
import hostile_names
import hostile_parquet
import hostile_text
import pytest
from trial import LENIENT, STRICT, blamed

MAKERS = (hostile_bytes, hostile_names, hostile_parquet, hostile_text)
BATCHES = (24, 25)
"""Days of one landing zone; with an odd number all are loaded a second time."""
SHARES = 8


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)  # a path without a folder would be written here, and seen
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)


def shuffled() -> list[str]:
    return random.Random(7).sample(hostile.names(), len(hostile.names()))


def check(names: Sequence[str], root: Path) -> None:
    found = []
    left = list(names)
    for batch in itertools.count():
        taken, left = left[: BATCHES[batch % 2]], left[BATCHES[batch % 2] :]
        if not taken:
            break
        found += blamed(taken, root / str(batch), STRICT if batch % 4 == 3 else LENIENT)
    print(f"{len(names)} hostile partitions, {len(found)} faults")
    assert not found, "make one again with hostile.case(NAME, day)\n" + "\n".join(found)


def test_a_few_hostile_partitions_are_loaded_set_aside_or_refused(tmp_path: Path) -> None:
    check(shuffled()[:60], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
def test_hostile_partitions_are_loaded_set_aside_or_refused(share: int, tmp_path: Path) -> None:
    names = shuffled()
    assert len(names) >= 2000
    check(names[share::SHARES], tmp_path)
