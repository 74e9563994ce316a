"""What every stage does about faults of the outside: those that pass are tried again, others are not."""

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff
from live_prefect import free_port
from prefect import Task
from prefect.states import Failed

import tasks
from retrieval.errors import DayRefused, LamplighterError, ReleaseError, Unreachable
from storage.releases import ReleaseStore
from tasks.run import RETRY_SECONDS

STAGES = {
    found.name: found
    for module in pkgutil.iter_modules(tasks.__path__)
    for found in vars(importlib.import_module(f"tasks.{module.name}")).values()
    if isinstance(found, Task)
}


def is_tried_again(error: Exception, stage: str = "publish") -> bool:
    found: Any = STAGES[stage]
    return bool(found.retry_condition_fn(found, None, Failed(data=error)))


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_ends_in_time_and_is_tried_again_with_growing_waits(name: str) -> None:
    found: Any = STAGES[name]
    assert 0 < found.timeout_seconds <= 6 * 3600
    assert found.retries == len(RETRY_SECONDS)
    assert found.retry_delay_seconds == sorted(RETRY_SECONDS)


def test_there_are_stages_for_all_that_a_night_does() -> None:
    assert {"ingest", "parent", "train", "evaluate", "batch", "accept", "compare", "publish", "sweep"} <= set(STAGES)


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), OSError("503"), Unreachable("no answer")])
def test_what_passes_is_tried_again(error: Exception) -> None:
    assert is_tried_again(error)


@pytest.mark.parametrize(
    "error",
    [
        DayRefused("rule"),
        ReleaseError("torn"),
        LamplighterError("?"),
        PermissionError(),
        FileExistsError(),
        ValueError(),
    ],
)
def test_what_would_only_fail_again_is_not(error: Exception) -> None:
    assert not is_tried_again(error)


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """An S3 server that is down, and a client that does not wait long before it says so."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.01)


@pytest.mark.usefixtures("no_server")
def test_a_release_store_that_does_not_answer_is_asked_again_later(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="s3://releases/here cannot be") as caught:
        ReleaseStore("s3://releases/here", tmp_path).pointer()
    assert is_tried_again(caught.value)


def test_a_bucket_that_is_not_there_is_not_asked_again(
    moto: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ReleaseError) as caught:
        ReleaseStore("s3://no-such-bucket/here", tmp_path).place.create("file", b"x")
    assert not is_tried_again(caught.value)
