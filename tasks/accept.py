"""Acceptance tests of a candidate: its parts fit each other, answer as they should, and are as large as they were."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.domain import Dataset
from retrieval.queries import ask
from retrieval.retrievers.protocol import AnswersByVectors
from retrieval.seeds import generator
from retrieval.soundness import (
    WHOLE,
    Reading,
    allowed_items,
    differing_ids,
    read_source,
    read_texts,
    stale_vectors,
    unknown_names,
)
from storage.bundle import SOURCES
from storage.manifest import Manifest
from storage.reader import read_display_ids
from storage.refs import Ref
from storage.releases import Release
from tasks.checks import write_checks
from tasks.encode import read_text_vectors
from tasks.prepare import read_dataset, read_serving
from tasks.run import Night, stage
from tasks.sources import SourceRefs
from validation.candidates import judge_readings

COUNTED = {
    "item_ratio": "n_items",
    "eligible_ratio": "n_eligible_items",
    "user_ratio": "n_users",
    "event_ratio": "n_events_before",
}
"""The fact that each ratio is of, in the candidate's prepared data and in the live release alike."""


@stage("accept", minutes=60)
def accept(night: Night, prepared: Ref, encoded: Ref, sources: Mapping[str, SourceRefs], live: Release | None) -> Ref:
    """Judge the candidate as it will be served: on the day after its own."""
    recipe = night.recipe

    def make(folder: Path) -> dict[str, Any]:
        dataset, serving = read_serving(prepared, night.day), recipe.serving
        blocked, texts = (serving.blocked_items, serving.blocked_topics), read_text_vectors(encoded)
        allowed = allowed_items(dataset.catalogue, dataset.day, *blocked)
        queries = ask(dataset, _asking(dataset, recipe.acceptance.n_users, recipe.seed)).without_seen()
        learnt = replace(read_dataset(prepared, night.day), text_vectors=texts)
        readings = [
            Reading("missing_ids", WHOLE, differing_ids(_ids(dataset), read_display_ids(prepared.path))),
            Reading("unknown_names", WHOLE, unknown_names(dataset.catalogue, *blocked)),
            *read_texts(texts, dataset.catalogue),
        ]
        for name, refs in sources.items():
            source, rng = refs.restore(recipe, name), generator(recipe.seed, "accept", name)
            readings += read_source(name, source, queries, allowed, rng)
            if isinstance(source, AnswersByVectors):
                readings.append(Reading("stale_vectors", name, stale_vectors(source, learnt)))
        if live is not None:
            readings += _sizes(prepared, sources, live)
        checks = judge_readings(readings, recipe.acceptance, recipe.index, night.day)
        write_checks(folder, {"acceptance": checks})
        return {"n_checks": len(checks), "n_failed": sum(not check.passed for check in checks)}

    inputs = [prepared, encoded] + [ref for source in sources.values() for ref in source.refs]
    serving = [recipe.serving.blocked_items, recipe.serving.blocked_topics]
    families = {name: config.model_dump() for name, config in recipe.sources.items()}
    section = [
        recipe.acceptance.model_dump(),
        recipe.index.min_recall,
        recipe.seed,
        families,
        serving,
        live.id if live else None,
    ]
    return night.once("accept", inputs, section, make).ref


def _ids(dataset: Dataset) -> list[str]:
    ids: list[str] = dataset.catalogue.ids.ids.to_pylist()
    return ids


def _asking(dataset: Dataset, n_users: int, seed: int) -> np.ndarray:
    active = np.flatnonzero(np.diff(dataset.histories.offsets))
    return np.sort(generator(seed, "accept", "users").permutation(active)[:n_users])


def _sizes(prepared: Ref, sources: Mapping[str, SourceRefs], live: Release) -> list[Reading]:
    """The candidate's counts as ratios to the live release's; bytes of the sources that both have."""
    counted = Manifest.read(prepared.path).facts
    readings = [Reading(rule, WHOLE, counted[fact] / max(live.facts[fact], 1)) for rule, fact in COUNTED.items()]
    theirs = {name: _bytes_of(live, name) for name in sources}
    ours = {name: sum(Manifest.read(ref.path).size for ref in source.refs) for name, source in sources.items()}
    both = [name for name, size in theirs.items() if size]
    if both:
        ratio = sum(ours[name] for name in both) / sum(theirs[name] for name in both)
        readings.append(Reading("bytes_ratio", WHOLE, ratio))
    return readings


def _bytes_of(live: Release, source: str) -> int:
    return sum(entry.size for entry in live.manifest.files if entry.path.startswith(f"{SOURCES}/{source}/"))
