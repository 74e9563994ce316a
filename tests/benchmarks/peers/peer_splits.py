"""A split: what may be learnt from, the questions asked at its end, and, in a folder of their own, the right answers."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from peer_files import QUESTIONS, TRAINING, Questions, Training

from retrieval.domain import DAY, Catalogue, Dataset, Histories, People, Ragged
from retrieval.evaluation import Holdout, Pairs
from retrieval.packing import pack, unpack
from storage.states import read_state, write_state

VECTORS, FACTS = "text_vectors.npy", "split.json"
EVERYBODY = 1 << 40


@dataclass(frozen=True, slots=True)
class Split:
    """Everything before a moment, and what users chose from then on."""

    name: str
    """The window's first day, `validation` or `test`."""
    dataset: Dataset
    holdouts: dict[Pairs, Holdout]

    @classmethod
    def of(cls, name: str, dataset: Dataset, chosen_after: Histories, pairs: tuple[Pairs, ...]) -> Self:
        """Every user who chose something afterwards is asked once, with the history of before."""
        both = Holdout.of(dataset, chosen_after, EVERYBODY, seed=0).both()
        return cls(name, dataset, {kind: both[kind] for kind in pairs})


@dataclass(frozen=True, slots=True)
class WrittenSplit:
    """A split on disk, as workers read it."""

    name: str
    folder: Path
    digest: str
    holdouts: dict[Pairs, Holdout]
    """The questions with what is right, by kind of pairs; what is right is never written where a worker looks."""
    askers: dict[Pairs, pa.StringArray]
    """Who asks, by the set's own ids: the same person may ask again in a later window."""


def write_split(split: Split, folder: Path) -> WrittenSplit:
    """Put a split where workers of every library can read it; the right answers stay in memory."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    dataset = split.dataset
    for name in ("catalogue", "people", "histories"):
        write_state(folder / name, pack(getattr(dataset, name)))
    np.save(folder / VECTORS, dataset.text_vectors, allow_pickle=False)
    (folder / FACTS).write_text(json.dumps({"day": dataset.day}))
    _training(dataset).write(folder / TRAINING)
    for pairs in ("all", "new"):
        holdout = split.holdouts.get(pairs) or split.holdouts["new"]
        _questions(holdout).write(folder / QUESTIONS.format(pairs=pairs))
    askers = {pairs: dataset.people.ids.ids.take(pa.array(h.queries.users)) for pairs, h in split.holdouts.items()}
    return WrittenSplit(split.name, folder, _digest(folder, split), split.holdouts, askers)


def read_dataset(folder: Path) -> Dataset:
    """What our own families learn from; arrays stay on disk until they are touched."""
    return Dataset(
        json.loads((folder / FACTS).read_text())["day"],
        unpack(Catalogue, read_state(folder / "catalogue")),
        unpack(People, read_state(folder / "people")),
        unpack(Histories, read_state(folder / "histories")),
        np.load(folder / VECTORS, allow_pickle=False),
    )


def _training(dataset: Dataset) -> Training:
    positives = dataset.histories.positives()
    shape = np.array([len(dataset.people), len(dataset.catalogue)])
    return Training(
        positives.owners().astype(np.int32), positives.items, positives.times, shape, np.array(dataset.day * DAY)
    )


def _questions(holdout: Holdout) -> Questions:
    assert holdout.queries.eligible.all(), "peers cannot be told what may not be shown: every item must be eligible"
    excluded = holdout.queries.excluded
    return Questions(holdout.queries.users, excluded.offsets, excluded.values)


def _digest(folder: Path, split: Split) -> str:
    """Changes with anything that is learnt from, asked, or right."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    for pairs, holdout in sorted(split.holdouts.items()):
        targets: Ragged = holdout.targets
        digest.update(f"{pairs}\n".encode() + targets.offsets.tobytes() + targets.values.tobytes())
    return digest.hexdigest()[:16]
