"""The candidate and the live release asked about the same newest day, which neither has seen."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from retrieval.blend import BLEND
from retrieval.comparison import (
    Difference,
    Groups,
    churn,
    compare_blends,
    compare_sources,
    score_shift,
    vanished,
)
from retrieval.dataset import day_number
from retrieval.domain import Candidates, Dataset, Histories
from retrieval.errors import LamplighterError
from retrieval.evaluation import Holdout
from retrieval.merging import answer
from retrieval.recommender import Snapshot
from retrieval.release_rules import COVERAGE, NDCG, RECALL, SPREAD
from retrieval.retrievers.protocol import AnswersByVectors
from retrieval.seeds import generator
from retrieval.segments import fresh_items, segments, tail_items
from retrieval.soundness import WHOLE, Reading
from retrieval.translation import Translation
from storage.bundle import BATCH, DIFFERENCES
from storage.reader import read_scores, read_snapshot
from storage.refs import Ref
from storage.releases import Release
from tasks.checks import write_checks
from tasks.evaluate import K, read_answers
from tasks.prepare import read_dataset, read_held_out
from tasks.run import Night, stage
from validation.candidates import judge_readings
from validation.gate import cannot_be_asked, judge_differences, judge_floors, judge_segments, judge_sources
from validation.verdict import Check


@stage("compare", minutes=60)
def compare(night: Night, prepared: Ref, scored: Ref, live: Release | None) -> Ref:
    """What users would lose or gain by the candidate, and whether it reaches the floors."""
    recipe = night.recipe

    def make(folder: Path) -> dict[str, Any]:
        differences: list[Difference] = []
        continuity: list[Check] = []
        gate = judge_floors(_served_scores(night, scored), recipe.gate, night.day)
        if live is not None:
            released = night.store.fetch(
                live.id, without=BATCH
            )  # a line that fails is no judgement: the night may try again
            try:
                snapshot = read_snapshot(released)
            except LamplighterError as error:
                gate.append(cannot_be_asked(live.id, str(error), night.day))
            else:
                dataset = read_dataset(prepared, night.day)
                differences, readings = _beside(night, dataset, read_held_out(prepared), scored, snapshot)
                continuity = judge_readings(readings, recipe.acceptance, recipe.index, night.day)
                gate += judge_differences(differences, recipe.gate, night.day)
                gate += judge_sources(recipe.sources, snapshot.sources, night.day)
                gate += judge_segments(recipe.gate.segments, _attributes(dataset), night.day)
        (folder / DIFFERENCES).write_text(json.dumps([asdict(found) for found in differences], indent=1))
        write_checks(folder, {"acceptance": continuity, "gate": gate})
        return {"n_differences": len(differences), "n_failed": sum(not c.passed for c in [*continuity, *gate])}

    section = [recipe.gate.model_dump(), recipe.acceptance.model_dump(), recipe.seed, live.id if live else None]
    return night.once("compare", [prepared, scored], section, make).ref


def _served_scores(night: Night, scored: Ref) -> dict[str, float]:
    served = (BLEND, night.recipe.serving.pairs)
    found = next(score for score in read_scores(scored.path) if (score["source"], score["pairs"]) == served)
    return {
        RECALL: found["recall_at_100"]["mean"],
        NDCG: found["ndcg_at_10"]["mean"],
        COVERAGE: found["coverage_at_100"],
        SPREAD: found["p90_coverage_at_100"],
    }


def _beside(
    night: Night, dataset: Dataset, held_out: Histories, scored: Ref, live: Snapshot
) -> tuple[list[Difference], list[Reading]]:
    recipe = night.recipe
    everything = Holdout.of(dataset, held_out, recipe.evaluation.max_users, recipe.seed)
    holdout = everything.both()[recipe.serving.pairs]
    ours, theirs = read_answers(scored, recipe.sources), _asked(live, dataset, holdout)
    rng = generator(recipe.seed, "gate")
    groups = _groups(night, dataset, holdout)
    differences = compare_blends(theirs[BLEND], ours[BLEND], holdout, groups, recipe.gate, rng)
    differences += compare_sources(_only_sources(theirs), _only_sources(ours), holdout, recipe.gate, rng)
    return differences, [
        Reading("churn", WHOLE, churn(theirs[BLEND], ours[BLEND])),
        Reading("vanished", WHOLE, vanished(theirs[BLEND])),
        *(
            Reading("score_shift", name, score_shift(theirs[name], ours[name]))
            for name in recipe.sources
            if isinstance(live.sources.get(name), AnswersByVectors)
        ),
    ]


def _asked(live: Snapshot, dataset: Dataset, holdout: Holdout) -> dict[str, Candidates]:
    """What the live release answers, in the candidate's rows."""
    translation = Translation.between(dataset, live.dataset)
    found = answer(live.sources, live.merge, translation.question(holdout.queries), K)
    return {name: translation.answer(ranking) for name, ranking in found.items()}


def _groups(night: Night, dataset: Dataset, holdout: Holdout) -> Groups:
    n_items, config = len(dataset.catalogue), night.recipe.gate
    return Groups(
        fresh_items(dataset.catalogue, day_number(night.day), config.fresh_days),
        tail_items(dataset.histories, n_items),
        segments(holdout.queries, dataset.people, config.segments),
    )


def _attributes(dataset: Dataset) -> set[str]:
    """What users' attributes are called."""
    names = dataset.people.feature_names.ids.to_pylist()
    return {name.partition("=")[0] for name in names}


def _only_sources(found: Mapping[str, Candidates]) -> dict[str, Candidates]:
    return {name: ranking for name, ranking in found.items() if name != BLEND}
