"""One worker process a library, started when it is first needed and again when it died."""

import json
import os
import select
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from peer_environments import HERE, interpreter

START_SECONDS = 300.0


@dataclass(slots=True)
class Pool:
    """The workers of a run; a job is given to one of them at a time, so none disturbs another's clock."""

    logs: Path
    """Where what libraries print is kept."""
    threads: int
    workers: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        for library in list(self.workers):
            self._stop(library)

    def ask(self, library: str, job: dict[str, Any], limit_seconds: float) -> dict[str, Any]:
        """What the worker says of a job; a worker that dies or takes too long is an error of the job."""
        if library not in self.workers:
            self._start(library)
        worker = self.workers[library]
        assert worker.stdin is not None and worker.stdout is not None
        worker.stdin.write(json.dumps(job) + "\n")
        worker.stdin.flush()
        said = self._hear(worker.stdout, limit_seconds)
        if said is None:
            self._stop(library)
            return {
                "error": f"the worker died or took more than {limit_seconds:g} s; {self._log(library)} has what it said"
            }
        return said

    def _start(self, library: str) -> None:
        command = [interpreter(library), "-W", "ignore", str(HERE / "peer_worker.py"), library]
        with self._log(library).open("a") as log:
            self.workers[library] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=self._environment()
            )
        stdout = self.workers[library].stdout
        assert stdout is not None
        if self._hear(stdout, START_SECONDS) is None:
            self._stop(library)
            raise RuntimeError(f"the worker of {library} did not start: {self._log(library).read_text()[-2000:]}")

    def _environment(self) -> dict[str, str]:
        """The same threads for all, and no packages but those of the library's own environment."""
        names = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "LK")
        threads = {f"{name}_NUM_THREADS": str(self.threads) for name in names}
        threads |= {"LK_NUM_PROCS": "1", "LK_NUM_BACKEND_THREADS": str(self.threads)}
        return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | threads

    def _hear(self, stdout: IO[str], seconds: float) -> dict[str, Any] | None:
        ready, _, _ = select.select([stdout], [], [], seconds)  # a worker says one line a job: none waits in the buffer
        line = stdout.readline() if ready else ""
        return json.loads(line) if line else None

    def _stop(self, library: str) -> None:
        worker = self.workers.pop(library)
        worker.kill()
        worker.communicate()

    def _log(self, library: str) -> Path:
        return self.logs / f"{library}.log"
