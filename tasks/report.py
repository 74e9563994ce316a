"""The night's page: what was loaded, checked, trained, measured, and what people would get."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

import numpy as np

from retrieval.changes import Since, changed_keys, moved
from retrieval.dataset import day_number
from retrieval.domain import UNKNOWN
from retrieval.errors import ReleaseError
from retrieval.mixer_page import Mixer, render_mixer, sample_users
from retrieval.pages import CheckResult, RowCounts
from retrieval.recommender import Snapshot
from retrieval.report_parts import PAIRS, Judgement, Lineage, NightReport, SampleItem, SampleUser, StageTime
from retrieval.reporting import render
from retrieval.seeds import generator
from storage.bundle import BATCH, MIXER, NIGHT, RECIPE, REPORT, SCORES
from storage.differences import catalogue_change
from storage.reader import named, read_display, read_scores
from storage.refs import Ref
from storage.releases import Release, ReleaseStore
from storage.room import free_bytes
from tasks.checks import Judged
from tasks.converge import read_convergence
from tasks.evaluate import read_merge
from tasks.examples import read_examples
from tasks.ingest import Ingested
from tasks.mix import read_hand, read_mix
from tasks.prepare import read_held_out, read_serving
from tasks.publish import Parts
from tasks.run import LIBRARIES, Night, code_digest, stage
from tasks.similar import read_similar
from validation.reasons import REASONS
from validation.verdict import Check

N_SAMPLES = 5
N_SHOWN = 10
N_EARLIER_NIGHTS = 60


@stage("report", minutes=30)
def report(night: Night, parts: Parts, judged: Judged, ingested: Ingested, seconds: Mapping[str, float]) -> Ref:
    """Render the pages of a night whose parts are all there; `seconds` are those of stages that leave no artifact."""

    def make(folder: Path) -> dict[str, Any]:
        told = _describe(night, parts, judged, ingested, seconds)
        (folder / REPORT).write_text(render(told))
        (folder / NIGHT).write_text(json.dumps(told.figures()))
        (folder / MIXER).write_text(render_mixer(_mixer(night, parts, parts.release_id(night, judged))))
        return {}

    section = [parts.release_id(night, judged), [asdict(entry) for entry in ingested.counts]]
    return night.once(
        "report", [*(ref for _, ref in parts.stages()), judged.accepted, judged.compared], section, make
    ).ref


def _describe(
    night: Night, parts: Parts, judged: Judged, ingested: Ingested, seconds: Mapping[str, float]
) -> NightReport:
    facts = parts.facts() | judged.facts()
    counts = {name: value for name in ("prepare", "encode") for name, value in facts[name].items()}
    quality = [value for name, value in facts.items() if name.startswith("index")]
    id_ = parts.release_id(night, judged)
    users, items, fresh = _samples(night, parts, id_)
    return NightReport(
        release_id=id_,
        day=night.day,
        recipe_name=night.recipe.name,
        recipe_id=night.recipe.id,
        code_digest=code_digest(),
        parent=parts.parent,
        lineage=_lineage(night, ingested),
        since=_since(night, parts, counts),
        examples=read_examples(night.lake, ((entry.kind, entry.day) for entry in ingested.counts)),
        free_bytes=free_bytes(night.lake.root),
        stages=[StageTime(name, value) for name, value in seconds.items()]
        + [StageTime(name, value["seconds"], _detail(value)) for name, value in facts.items()],
        rows=[RowCounts(kind, **rows) for kind, rows in ingested.rows().items()],
        n_days_loaded=sum(entry.kind == "events" for entry in ingested.counts),
        reasons=dict(ingested.reasons),
        reason_meanings=REASONS,
        checks=_checks(night, ingested),
        judgement=Judgement(
            judged.ruling.decision,
            judged.incumbent,
            [_plain(check) for check in (*judged.gate, *judged.acceptance)],
            judged.differences,
        ),
        scores=read_scores(parts.scored.path),
        history=_history(night, parts),
        indexes=quality,
        microseconds_per_query=facts["evaluate"]["microseconds_per_query"],
        mix=read_mix(parts.mixed),
        similar=read_similar(parts.similar),
        convergence=read_convergence(parts.converged),
        facts={name: value for name, value in counts.items() if name.startswith("n_")},
        fresh_items=fresh,
        users=users,
        items=items,
    )


def _lineage(night: Night, ingested: Ingested) -> Lineage:
    versions = {"python": python_version()} | {name: version(name) for name in LIBRARIES}
    return Lineage(ingested.logs_digest, night.day - dt.timedelta(days=night.recipe.history.days), versions)


def _since(night: Night, parts: Parts, counts: Mapping[str, Any]) -> Since | None:
    """What changed since the parent; None where there is none, or it cannot be read: that must not end the night."""
    store, id_ = night.store, parts.parent
    if id_ is None:
        return None
    try:
        parent, folder = store.get(id_), store.fetch(id_, without=BATCH)
    except ReleaseError:
        return None
    return Since(
        release_id=id_,
        day=parent.day.isoformat(),
        recipe=changed_keys(json.loads((folder / RECIPE).read_text()), night.recipe.model_dump(mode="json")),
        is_same_code=parent.facts["code"] == code_digest(),
        figures=moved(parent.facts, counts, read_scores(folder), read_scores(parts.scored.path)),
        catalogue=catalogue_change(folder, parts.prepared.path, N_SHOWN),
    )


def _mixer(night: Night, parts: Parts, id_: str) -> Mixer:
    """The mixer over a sample of those users whom the sources' worth was measured on."""
    hand, _, items = read_hand(night, parts.prepared, parts.scored)
    return Mixer(
        release_id=id_,
        day=night.day,
        pairs=PAIRS[night.recipe.serving.pairs],
        sample=sample_users(hand, generator(night.recipe.seed, "mixer")),
        items=items,
        mix=read_mix(parts.mixed),
        microseconds_per_query=parts.facts()["evaluate"]["microseconds_per_query"],
    )


def _detail(facts: dict[str, Any]) -> str:
    counts = (f"{value:,} {name[2:].replace('_', ' ')}" for name, value in facts.items() if name.startswith("n_"))
    return ", ".join(list(counts)[:3])


def _checks(night: Night, ingested: Ingested) -> list[CheckResult]:
    return [_plain(c) for c in ingested.checks if c.day == night.day or not c.passed]


def _plain(check: Check) -> CheckResult:
    return CheckResult(**(asdict(check) | {"day": check.day.isoformat()}))


def _history(night: Night, parts: Parts) -> list[dict[str, Any]]:
    store, id_ = night.store, parts.parent
    nights: list[dict[str, Any]] = []
    while id_ is not None and store.has(id_) and len(nights) < N_EARLIER_NIGHTS:
        try:
            release = store.get(id_)
            scores = json.loads(store.read(release, SCORES))
        except ReleaseError:  # an old release that is torn ends the trend, not the night
            break
        nights.append({"day": release.day.isoformat(), "scores": scores, "night": _figures(store, release)})
        id_ = release.parent
    return nights[::-1]


def _figures(store: ReleaseStore, release: Release) -> dict[str, Any] | None:
    """What a release keeps of its night beside its scores; those made before it was kept have nothing."""
    if all(entry.path != NIGHT for entry in release.manifest.files):
        return None
    found: dict[str, Any] = json.loads(store.read(release, NIGHT))
    return found


def _samples(night: Night, parts: Parts, id_: str) -> tuple[list[SampleUser], list[SampleItem], list[SampleItem]]:
    """A few of the day's users and items drawn by the recipe's seed, and fresh items, with what readers would get."""
    recipe, dataset, today = night.recipe, read_serving(parts.prepared, night.day), read_held_out(parts.prepared)
    sources = {name: source.restore(recipe, name) for name, source in parts.sources.items()}
    merge = read_merge(recipe, dataset, parts.encoded, parts.scored)
    recommender = Snapshot(id_, dataset, sources, merge, recipe.serving.exclude_seen)
    rng = generator(recipe.seed, "samples")
    active = np.flatnonzero(np.diff(today.positives().offsets))
    users = [_user(parts, recommender, int(user)) for user in rng.permutation(active)[:N_SAMPLES]]
    items = rng.permutation(np.unique(today.items))[:N_SAMPLES]
    fresh = rng.permutation(np.flatnonzero(dataset.catalogue.fresh(day_number(night.day))))[:N_SAMPLES]
    return users, _items(parts, recommender, items), _items(parts, recommender, fresh)


def _user(parts: Parts, recommender: Snapshot, user: int) -> SampleUser:
    dataset = recommender.dataset
    (id_,) = dataset.people.ids.names([user])
    newest = dataset.histories.take(np.array([user])).items[::-1]
    found = recommender.recommend([id_], N_SHOWN).items[0]
    return SampleUser(id_, _titles(parts, list(dict.fromkeys(newest.tolist()))[:N_SHOWN]), _titles(parts, found))


def _items(parts: Parts, recommender: Snapshot, items: Sequence[int] | np.ndarray) -> list[SampleItem]:
    if not len(items):
        return []
    ids = recommender.dataset.catalogue.ids.names(items)
    found = recommender.similar(ids, N_SHOWN).items
    titles = _titles(parts, items)
    return [SampleItem(t, i, _titles(parts, row)) for t, i, row in zip(titles, ids, found, strict=True)]


def _titles(parts: Parts, rows: Sequence[int] | np.ndarray) -> list[str]:
    return [named(item) for item in read_display(parts.prepared.path, [int(row) for row in rows if row != UNKNOWN])]
