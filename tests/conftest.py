"""What many tests stand on: a landed world and one Prefect server for all."""

import atexit
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

import flows  # switches telemetry off before Prefect or Great Expectations is imported

assert flows.__doc__
with install_import_hook("retrieval", "shapes.check"):
    from places import Place, landed
    from served import released, served

    import retrieval.recommender
    import retrieval.training
    from retrieval.synthetic import planted_world

__all__ = ["released", "served"]
assert retrieval.recommender.__doc__ and retrieval.training.__doc__


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Sixteen days of a small world, all landed, nothing loaded."""
    return landed(tmp_path, planted_world(n_users=60, n_items=80, n_days=16))


@pytest.fixture
def wide_place(tmp_path: Path) -> Place:
    """The same with so many items that a hundred of them are a choice."""
    return landed(tmp_path, planted_world(n_users=150, n_items=600, n_days=10))


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A real Prefect server on a free port with a home of its own; it ends with the tests."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End without tearing the interpreter down: DuckDB's bindings would complain, after pytest's closing line, of
    references that Prefect's engine still holds."""
    if not hasattr(config, "workerinput"):
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_exit_status[-1] if _exit_status else 0)


_exit_status: list[int] = []


def pytest_sessionfinish(exitstatus: int) -> None:
    _exit_status.append(int(exitstatus))
