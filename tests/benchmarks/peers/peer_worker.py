"""One library's worker: jobs come in as lines of JSON, rankings go out as files, and how long it took as JSON.

Runs by the interpreter of the environment that has the library: `python peer_worker.py LIBRARY`.
"""

import gc
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from peer_files import QUESTIONS, RANKING, Questions

ADAPTERS = {
    "lamplighter": "answers_of_lamplighter",
    "implicit": "answers_of_implicit",
    "lenskit": "answers_of_lenskit",
    "rectools": "answers_of_rectools",
}


def private_output() -> TextIO:
    """What was standard output, for our lines alone: whatever a library prints goes to standard error."""
    ours = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return ours


def work(library: str, jobs: Iterator[str], answers: TextIO) -> None:
    """Do one job after the other; a job that fails says why, and the next one is done."""
    adapter = importlib.import_module(ADAPTERS[library])
    answers.write(json.dumps({"library": library, "version": adapter.version()}) + "\n")
    for line in jobs:
        try:
            said = do(adapter, json.loads(line))
        except Exception:
            said = {"error": traceback.format_exc(limit=-4)}
        answers.write(json.dumps(said) + "\n")
        gc.collect()


def do(adapter: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Fit once, answer each kind of question; what the library needs its input turned into is not timed."""
    folder, out = Path(job["split"]), Path(job["out"])
    prepared = adapter.prepare(folder, job["family"], dict(job["settings"]))
    began, began_cpu = time.perf_counter(), time.process_time()
    model = adapter.fit(prepared, job["family"], dict(job["settings"]), seed=job["seed"], threads=job["threads"])
    took = time.perf_counter() - began, time.process_time() - began_cpu
    wall, cpu = getattr(model, "took", took)  # a fan-out says what its sources took, those fitted before too
    said: dict[str, Any] = {"fit_seconds": wall, "fit_cpu_seconds": cpu, "answer_seconds": {}}
    for pairs in job["pairs"]:
        questions = Questions.read(folder / QUESTIONS.format(pairs=pairs))
        began = time.perf_counter()
        ranking = adapter.answer(prepared, model, questions, job["k"], pairs=pairs)
        said["answer_seconds"][pairs] = time.perf_counter() - began
        ranking.write(out / RANKING.format(pairs=pairs))
    return said


if __name__ == "__main__":
    work(sys.argv[1], iter(sys.stdin.readline, ""), private_output())
