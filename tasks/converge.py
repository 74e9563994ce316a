"""Whether the vectors of fresh items settle as they should, followed over the nights they came from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.convergence import Lineage
from retrieval.dataset import day_number
from retrieval.evaluation import Holdout
from retrieval.findings import FreshRecall, as_plain, findings_of, fresh_recall
from storage.bundle import CONVERGENCE
from storage.convergence import History
from storage.lineages import Followed, Tonight, followed_back, spaces_of
from storage.refs import Ref, digest_of, digest_of_bytes
from storage.releases import Release
from tasks.checks import write_checks
from tasks.evaluate import read_answers
from tasks.prepare import read_dataset, read_held_out
from tasks.run import Night, stage
from tasks.sources import SourceRefs
from validation.convergence import judge_cohorts


@stage("converge", minutes=60)
def converge(
    night: Night, prepared: Ref, scored: Ref, sources: Mapping[str, SourceRefs], parent: Release | None
) -> Ref:
    """Follow every cohort of fresh items in every space, and judge it; the history keeps what was found."""
    config, history = night.recipe.convergence, History(night.lake.convergence)
    lineages = _lineages(night, history, prepared, sources, parent)

    def make(folder: Path) -> dict[str, Any]:
        catalogue, histories = (dataset := read_dataset(prepared, night.day)).catalogue, dataset.histories
        chosen = np.asarray(catalogue.ids.names(np.unique(histories.positives().items)), str)
        spaces = [as_plain(findings_of(name, found, chosen, config)) for name, found in lineages.items()]
        recall = [as_plain(found) for found in _recall(night, prepared, scored)]
        (folder / CONVERGENCE).write_text(json.dumps({"spaces": spaces, "recall": recall}, indent=1))
        write_checks(folder, {"gate": judge_cohorts(spaces, config, night.day)})
        states = [cohort["state"] for space in spaces for cohort in space["cohorts"]]
        return {"n_cohorts": len(states), "n_failing": states.count("failing")}

    recipe = night.recipe
    section = [
        config.model_dump(),
        recipe.evaluation.model_dump(),
        recipe.serving.pairs,
        list(recipe.sources),
        recipe.seed,
        {name: _digest(found) for name, found in lineages.items()},
    ]
    ref = night.once("converge", [prepared, scored], section, make).ref
    history.write_findings(recipe.name, night.day, read_convergence(ref)["spaces"])
    return ref


def read_convergence(converged: Ref) -> dict[str, Any]:
    """What was found, as plain values: `SpaceFindings` under `spaces`, `FreshRecall` under `recall`."""
    found: dict[str, Any] = json.loads((converged.path / CONVERGENCE).read_text())
    return found


def _lineages(
    night: Night, history: History, prepared: Ref, sources: Mapping[str, SourceRefs], parent: Release | None
) -> dict[str, Lineage]:
    """Where the items of each space were on this night and on those it came from."""
    day, settled_days = day_number(night.day), night.recipe.convergence.settled_days
    by, found = Followed(settled_days, night.recipe.seed), dict[str, Lineage]()
    for source, refs in sources.items():
        if refs.vectors is not None:
            for space in spaces_of(source, refs.vectors):
                now = Tonight(day, prepared, refs.vectors)
                found[space.name] = followed_back(history, night.store, space, now, parent, by)
    history.forget_before(day - 2 * settled_days)
    return found


def _recall(night: Night, prepared: Ref, scored: Ref) -> list[FreshRecall]:
    recipe, dataset = night.recipe, read_dataset(prepared, night.day)
    everything = Holdout.of(dataset, read_held_out(prepared), recipe.evaluation.max_users, recipe.seed)
    targets = everything.both()[recipe.serving.pairs].targets
    return fresh_recall(read_answers(scored, recipe.sources), targets, dataset.catalogue.first_seen, dataset.day)


def _digest(lineage: Lineage) -> str:
    """What was read of the history."""
    nights = [[night.day, night.ids.tolist(), night.first_seen.tobytes().hex()] for night in lineage.nights]
    numbers = [night.vectors.tobytes() for night in lineage.nights] + [t.rotation.tobytes() for t in lineage.turns]
    return digest_of([nights, [digest_of_bytes(part) for part in numbers]])
