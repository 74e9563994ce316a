"""What all stages share: the night they work for, and the rule that finished work is not done again."""

import datetime as dt
import functools
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, cast

from prefect import task
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger
from prefect.task_engine import TaskRunTimeoutError

from retrieval.errors import LamplighterError, Unreachable
from retrieval.progress import advance
from retrieval.recipe import Recipe
from storage.artifacts import Artifact, ArtifactStore, Make
from storage.layout import Lake
from storage.passing import is_passing
from storage.refs import Ref, digest_of
from storage.releases import ReleaseStore

F = TypeVar("F", bound=Callable[..., Any])
CODE = ("retrieval", "storage", "validation", "tasks")
LIBRARIES = ("duckdb", "faiss-cpu", "numpy", "onnxruntime", "pyarrow", "scipy", "torch")
RETRY_SECONDS = (10, 60, 300)


@dataclass(frozen=True, slots=True)
class Night:
    """One night's order: which day, by which recipe, in which lake."""

    day: dt.date
    recipe: Recipe
    lake: Lake
    landing: str
    releases: str
    """The URI of the release store."""

    @property
    def store(self) -> ReleaseStore:
        return ReleaseStore(self.releases, self.lake.release_copies)

    def once(self, name: str, inputs: Sequence[Ref], section: Any, make: Make) -> Artifact:
        """The artifact of these inputs and this part of the recipe, made now unless it is finished already."""
        key = digest_of([name, code_digest(), self.day, section, [ref.digest for ref in inputs]])
        advance(name, 0, 1)

        def timed(folder: Path) -> dict[str, Any]:
            start = time.perf_counter()
            facts = make(folder)
            return facts | {"seconds": round(time.perf_counter() - start, 3)}

        artifact = ArtifactStore(self.lake).once(name, self.day, key, timed)
        advance(name, 1, 1)
        return artifact


def stage(name: str, *, minutes: float, retries: int = len(RETRY_SECONDS)) -> Callable[[F], F]:
    """A Prefect task without result caching: finished artifact folders are what resume rests on.

    Every stage may meet the outside, the landing zone or the store of releases, and each may be run again: so what
    passes by itself is tried again after `RETRY_SECONDS`.
    """
    made: Any = task(
        name=name,
        task_run_name=name,
        persist_result=False,
        timeout_seconds=60 * minutes,
        retries=retries,
        retry_delay_seconds=list(RETRY_SECONDS[:retries]),
        retry_condition_fn=_is_passing,
    )
    return cast(Callable[[F], F], made)


def tell(sentence: str) -> None:
    """Put a sentence into the log of the running task, where people look who wonder what it does."""
    if TaskRunContext.get() is not None:
        get_run_logger().warning(sentence)


def _is_passing(_task: Any, _run: Any, state: Any) -> bool:
    """Only faults of the outside pass by themselves; what data or a recipe caused would only fail again."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, TaskRunTimeoutError):  # a stage that hangs would hang again, for hours each time
        return False
    if isinstance(error, LamplighterError):
        return isinstance(error, Unreachable)
    lasting = (NotADirectoryError, FileExistsError, PermissionError, IsADirectoryError)
    return is_passing(error) or (isinstance(error, OSError) and not isinstance(error, lasting))


@functools.cache
def code_digest() -> str:
    """The digest of the code and of the libraries that stages are made of: what changed makes its own artifacts."""
    root = Path(__file__).parent.parent
    paths = sorted(
        p for package in CODE for p in (root / package).rglob("*") if p.suffix in {".py", ".sql", ".j2", ".css"}
    )
    digest = hashlib.sha256(" ".join(f"{name} {version(name)}" for name in LIBRARIES).encode())
    for path in paths:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
