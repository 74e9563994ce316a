"""Our own families, by the configurations that recipes use."""

import hashlib
import importlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from peer_fan_out import FanOut, FanOutConfig, Fitted, Shelf
from peer_files import Questions, Ranking
from peer_splits import read_dataset
from pydantic import TypeAdapter
from threadpoolctl import threadpool_limits

import retrieval
from retrieval.domain import Dataset, Ragged
from retrieval.queries import ask
from retrieval.retrievers import AnyFamily
from retrieval.retrievers.protocol import FamilyConfig

FAN_OUT = "fan_out"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a night's training is given."""

    dataset: Dataset
    shelf: Shelf


def version() -> str:
    """Changes with the code, so that no figure of former code is kept."""
    digest = hashlib.sha256()
    for path in sorted(Path(retrieval.__path__[0]).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def config_of(family: str, settings: dict[str, Any]) -> FamilyConfig | FanOutConfig:
    """A family's configuration; `kind` may be among the settings where the grid has several entries of one kind."""
    if family.startswith(FAN_OUT):
        return FanOutConfig.model_validate(settings)
    config: FamilyConfig = TypeAdapter(AnyFamily).validate_python({"kind": family} | settings)
    return config


def prepare(folder: Path, family: str, settings: dict[str, Any]) -> Prepared:
    if "tower" in family or family.startswith(FAN_OUT):
        importlib.import_module("retrieval.training")  # loads torch, which is no part of a fit
    return Prepared(read_dataset(folder), _shelf(folder))


@lru_cache(maxsize=1)
def _shelf(folder: Path) -> Shelf:
    """That of the split asked about last; the towers of the one before are let go."""
    return Shelf()


def fit(prepared: Prepared, family: str, settings: dict[str, Any], *, seed: int, threads: int) -> Fitted | FanOut:
    config, dataset, shelf = config_of(family, settings), prepared.dataset, prepared.shelf
    with threadpool_limits(threads):
        if isinstance(config, FanOutConfig):
            return config.fit(lambda source: shelf.taken(source, dataset, seed))
        return shelf.fit(config, dataset, seed)


def answer(prepared: Prepared, model: Fitted | FanOut, questions: Questions, k: int, *, pairs: str) -> Ranking:
    asked = ask(prepared.dataset, questions.users)
    if pairs == "new":
        asked = asked.without_seen()
        expected = Ragged(questions.offsets, questions.excluded)
        assert np.array_equal(asked.excluded.values, expected.values), "the peers are asked something else"
    found = model.retrieve(asked, k)
    return Ranking(found.items, found.scores)
