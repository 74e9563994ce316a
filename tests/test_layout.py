"""The house keeps its shape."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("flows", "tasks", "storage", "validation", "retrieval")


def test_tests_hold_no_package_that_could_shadow_a_real_one() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_nothing_reads_or_writes_pickle() -> None:
    for package in PACKAGES:
        for module in (ROOT / package).rglob("*.py"):
            text = module.read_text()
            assert "import pickle" not in text and "allow_pickle=True" not in text and "torch.load" not in text, module


def test_the_clock_is_read_in_flows_only() -> None:
    for package in PACKAGES[1:]:
        for module in (ROOT / package).rglob("*.py"):
            text = module.read_text()
            assert "datetime.now" not in text and "date.today" not in text and "time.time()" not in text, module


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("storage.reader", ["prefect", "torch", "implicit", "duckdb", "great_expectations"]),
        ("storage.serving", ["prefect", "torch", "implicit", "duckdb", "great_expectations", "s3fs", "fsspec"]),
        ("flows.cli", ["prefect", "torch", "duckdb", "great_expectations"]),
        ("retrieval.recipe", ["prefect", "torch", "duckdb", "great_expectations"]),
        ("storage.logs", ["prefect", "torch", "great_expectations"]),
    ],
)
def test_importing_a_module_loads_nothing_heavy_that_it_does_not_need(module: str, unwanted: list[str]) -> None:
    code = f"import sys, {module}; print([name for name in {unwanted} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_telemetry_is_off_as_soon_as_flows_is_imported() -> None:
    code = "import flows, os; print([os.environ[n] for n in ('PREFECT_SERVER_ANALYTICS_ENABLED', 'DO_NOT_TRACK', 'HF_HUB_OFFLINE')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "['false', '1', '1']"
