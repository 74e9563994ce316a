"""What a job gave: figures by question, kept by the digest of all that decides them, so that a killed run goes on."""

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from peer_environments import version
from peer_files import RANKING, Ranking
from peer_grid import Grid, Model, Settings
from peer_pool import Pool
from peer_splits import WrittenSplit

from retrieval import metrics
from retrieval.domain import UNKNOWN, Candidates
from retrieval.errors import ModelError
from retrieval.evaluation import Holdout, Pairs

METRICS = ("recall_at_10", "recall_at_100", "ndcg_at_10")
FORMAT = 2
"""Raised when figures are computed otherwise, so that none of before are mixed in."""


@dataclass(frozen=True, slots=True)
class Answers:
    """How good the answers to one kind of questions were, question by question."""

    metrics: dict[str, np.ndarray]
    coverage_at_100: float
    seconds: float

    def mean(self, metric: str) -> float:
        return float(self.metrics[metric].mean())


@dataclass(frozen=True, slots=True)
class Result:
    """One fit and its answers, or why there are none."""

    fit_seconds: float
    fit_cpu_seconds: float
    """Of all threads: what a busy machine changes least."""
    by_pairs: dict[Pairs, Answers]
    error: str | None = None

    def write(self, path: Path) -> None:
        """Whole or not at all: a run may be killed at any moment."""
        arrays = {f"{p}/{name}": v for p, answers in self.by_pairs.items() for name, v in answers.metrics.items()}
        facts = {
            "fit": [self.fit_seconds, self.fit_cpu_seconds],
            "by_pairs": {p: [answers.coverage_at_100, answers.seconds] for p, answers in self.by_pairs.items()},
            "error": self.error,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            np.savez_compressed(file, facts=np.array(json.dumps(facts)), **arrays)
        Path(file.name).replace(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        with np.load(path, allow_pickle=False) as held:
            facts = json.loads(str(held["facts"]))
            by_pairs = {
                pairs: Answers({name: held[f"{pairs}/{name}"] for name in METRICS}, coverage, seconds)
                for pairs, (coverage, seconds) in facts["by_pairs"].items()
            }
        return cls(*facts["fit"], by_pairs, facts["error"])


@dataclass(frozen=True, slots=True)
class Laboratory:
    """Gives jobs to workers and judges what they answer; never the same job twice."""

    pool: Pool
    cache: Path
    grid: Grid

    def result(self, model: Model, settings: Settings, split: WrittenSplit, lap: int = 0) -> Result:
        """What a family with these settings makes of a split; `lap` tells repeats of one fit apart."""
        known = self.known(model, settings, split, lap)
        if known is not None:
            return known
        result = self._run(model, settings, split)
        result.write(self._path(model, settings, split, lap))
        return result

    def known(self, model: Model, settings: Settings, split: WrittenSplit, lap: int = 0) -> Result | None:
        """What was found before."""
        path = self._path(model, settings, split, lap)
        return Result.read(path) if path.exists() else None

    def forget_failure(self, model: Model, settings: Settings, split: WrittenSplit) -> None:
        """Let what failed be tried again."""
        known = self.known(model, settings, split)
        if known is not None and known.error:
            self._path(model, settings, split, lap=0).unlink()

    def _path(self, model: Model, settings: Settings, split: WrittenSplit, lap: int) -> Path:
        said = [FORMAT, split.digest, model.library, version(model.library), model.family, settings]
        said += [self.grid.k, self.grid.seed, self.grid.threads, lap]
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:20]
        return self.cache / "results" / f"{digest}.npz"

    def _run(self, model: Model, settings: Settings, split: WrittenSplit) -> Result:
        out = Path(tempfile.mkdtemp(prefix="ranking-", dir=self.pool.logs))
        grid = self.grid
        job = {"split": str(split.folder), "out": str(out), "family": model.family, "settings": settings}
        job |= {"pairs": list(split.holdouts), "k": grid.k, "seed": grid.seed, "threads": grid.threads}
        try:
            said = self.pool.ask(model.library, job, grid.limit_seconds)
            if "error" in said:
                return Result(0.0, 0.0, {}, str(said["error"]))
            by_pairs = {
                pairs: judged(Ranking.read(out / RANKING.format(pairs=pairs)), holdout, said["answer_seconds"][pairs])
                for pairs, holdout in split.holdouts.items()
            }
            return Result(said["fit_seconds"], said["fit_cpu_seconds"], by_pairs)
        except ModelError as error:
            return Result(0.0, 0.0, {}, str(error))
        finally:
            shutil.rmtree(out)


def judged(ranking: Ranking, holdout: Holdout, seconds: float) -> Answers:
    """The figures of a ranking, by the same definitions for every library.

    Raises:
        ModelError: when a ranking names an item twice, or one that its question excludes.
    """
    found, n_items = Candidates(ranking.items, ranking.scores), len(holdout.queries.eligible)
    _refuse_unfair(found, holdout, n_items)
    hit = metrics.hits(found, holdout.targets, n_items)
    figures = {
        "recall_at_10": metrics.recall(hit, holdout.targets, 10),
        "recall_at_100": metrics.recall(hit, holdout.targets, 100),
        "ndcg_at_10": metrics.ndcg(hit, holdout.targets, 10),
    }
    return Answers(figures, metrics.breadth(metrics.shown(found, n_items, 100)), seconds)


def _refuse_unfair(found: Candidates, holdout: Holdout, n_items: int) -> None:
    keys = (np.arange(len(found))[:, None] * n_items + found.items)[found.items != UNKNOWN]
    excluded = holdout.queries.excluded
    n_twice = len(keys) - len(np.unique(keys))
    n_barred = int(np.isin(keys, excluded.owners() * n_items + excluded.values).sum())
    if n_twice or n_barred:
        raise ModelError(
            f"rankings name {n_twice} items twice and {n_barred} that their questions exclude; expected neither. "
            f"Mend the adapter of the library."
        )
