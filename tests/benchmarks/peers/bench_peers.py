"""Our families side by side with implicit, LensKit and RecTools on the same splits: `make bench-peers`.

Everything a run finds is kept by digest, so that the same command goes on after a kill and does only what is new.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from peer_grid import GRID, Grid, Model, Settings
from peer_pool import Pool
from peer_results import Laboratory
from peer_sets import ROOT, SETS, RealSet, missing
from peer_splits import WrittenSplit, write_split
from peer_summary import Failure, Lap, Summary, chosen_settings, lap_times, summarise, trials_of
from peer_tables import as_json, replace_section, section

DOCUMENT = ROOT / "docs" / "benchmarks.md"
QUICK = {"n_trials": 2, "n_laps": 1}
QUICK_SPLITS = 3
"""Of a quick run: one to choose settings on, two to report."""


@dataclass(slots=True)
class Progress:
    """Lines that say how far a run is."""

    n_jobs: int = 0
    n_done: int = 0
    began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.began:7.0f} s  {text}", flush=True)


@dataclass(frozen=True, slots=True)
class Run:
    """One command: which families, on which sets, and where everything lies."""

    lab: Laboratory
    models: list[Model]
    data: Path | None
    progress: Progress
    n_splits: int | None
    """How many of a set's last splits are used; None uses all."""
    retries: bool = False
    """Whether what failed in a former run is tried again."""

    def of_set(self, real_set: RealSet) -> tuple[list[Summary], list[Lap]]:
        """Choose settings, fit them on every window, compare."""
        splits = self._splits(real_set)
        validation, tests = splits[0], splits[1:]
        for model, turn, settings in trials_of(self.lab.grid, self.models):
            self._do(f"{real_set.name} validation, trial {turn + 1}", model, settings, validation)
        for split in tests:
            for model, settings in self._chosen(validation, real_set):
                self._do(f"{real_set.name} {split.name}", model, settings, split)
        summaries = [summarise(self.lab, self.models, validation, tests, pairs) for pairs in real_set.pairs]
        entered = {model.library for model in self.models}
        races = [
            race for race in self.lab.grid.races if {race.ours.library, *(t.library for t in race.theirs)} <= entered
        ]
        return summaries, [lap_times(self.lab, race, tests[-1]) for race in races]

    def _splits(self, real_set: RealSet) -> list[WrittenSplit]:
        splits = list(real_set.splits(self.data, self.lab.cache))[-(self.n_splits or 0) :]
        self.progress.say(f"{real_set.name}: {len(splits)} splits")
        return [write_split(split, self.lab.cache / "splits" / real_set.name / split.name) for split in splits]

    def _chosen(self, validation: WrittenSplit, real_set: RealSet) -> list[tuple[Model, Settings]]:
        """Each family with the settings that any kind of pairs chose, once."""
        chosen = []
        for model in self.models:
            found = [chosen_settings(self.lab, model, validation, pairs) for pairs in real_set.pairs]
            settings = [choice[0] for choice in found if not isinstance(choice, Failure)]
            chosen += [(model, s) for row, s in enumerate(settings) if s not in settings[:row]]
        return chosen

    def _do(self, what: str, model: Model, settings: Settings, split: WrittenSplit) -> None:
        if self.retries:
            self.lab.forget_failure(model, settings, split)
        if self.lab.known(model, settings, split) is not None:
            return
        result = self.lab.result(model, settings, split)
        if result.error:
            said = f"FAILED: {result.error.strip().splitlines()[-1][:160]}"
        else:
            figures = ", ".join(f"{p} recall@100 {a.mean('recall_at_100'):.4f}" for p, a in result.by_pairs.items())
            said = f"{figures}, fit {result.fit_seconds:.2f} s"
        self.progress.say(f"{what}: {model.name} {_short(settings)}: {said}")


def _short(settings: Settings) -> str:
    return " ".join(f"{name}={value}" for name, value in settings.items())


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=[s.name for s in SETS], help="this set, may be repeated")
    parser.add_argument(
        "--families", action="append", default=[], help="library.family with wildcards, may be repeated"
    )
    parser.add_argument(
        "--quick", action="store_true", help="MovieLens-100K, two windows, two trials a family, without the slow ones"
    )
    parser.add_argument(
        "--windows", type=int, help="report the first so many windows of a set alone; its caption says so"
    )
    parser.add_argument("--retry-failed", action="store_true", help="do again what failed in a former run")
    parser.add_argument("--grid", type=Path, default=GRID)
    parser.add_argument("--cache", type=Path, default=default_cache())
    asked = parser.parse_args()
    if asked.windows is not None and asked.windows < 1:
        parser.error(f"--windows is {asked.windows}; expected 1 or more")
    return asked


def default_cache() -> Path:
    """Where splits and results are kept: never in the repository."""
    return Path(os.environ.get("LAMPLIGHTER_BENCH_CACHE") or Path(tempfile.gettempdir()) / "lamplighter-bench")


def data_folder() -> Path | None:
    """Where the raw sets lie."""
    named = Path(os.environ.get("LAMPLIGHTER_BENCH_DATA") or ROOT.parent / "shared" / "data")
    return named if named.is_dir() else None


def main() -> int:
    """Run what the command line asks for; documents are written by whole runs alone."""
    asked, progress = arguments(), Progress()
    grid, n_splits = Grid.read(asked.grid), None
    if asked.quick:
        grid, n_splits = grid.model_copy(update=QUICK), QUICK_SPLITS
    names = ["movielens-100k"] if asked.quick else asked.only or [real_set.name for real_set in SETS]
    with Pool(asked.cache / "workers", grid.threads) as pool:
        chosen = (real_set for real_set in SETS if real_set.name in names)
        for real_set in (s.first(asked.windows) if asked.windows else s for s in chosen):
            why = missing(real_set, data_folder())
            if why:
                progress.say(f"{real_set.name} is skipped: {why}")
                continue
            there = grid.of_set(real_set.name)
            models = [m for m in there.models(asked.families) if not (asked.quick and m.name in grid.slow)]
            lab = Laboratory(pool, asked.cache, there)
            run = Run(lab, models, data_folder(), progress, n_splits, asked.retry_failed)
            summaries, laps = run.of_set(real_set)
            text = section(real_set, summaries, laps, there)
            print(f"\n{text}\n", flush=True)
            is_whole = not asked.quick and not asked.families
            found = asked.cache / f"{real_set.name}{'' if is_whole else '-partial'}.json"
            found.write_text(json.dumps(as_json(real_set, summaries, laps), indent=1))
            if is_whole:
                replace_section(DOCUMENT, real_set.name, text)
    progress.say(f"done; figures for machines in {asked.cache}")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a stopped command stops its workers too
    warnings.simplefilter("ignore")  # exporters of text encoders warn about themselves
    sys.exit(main())
