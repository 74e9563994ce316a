"""The deployments of prefect.yaml on a real server of their own, as the README says to deploy them."""

from pathlib import Path

import pytest
from live_prefect import live_prefect, wait_for

pytestmark = pytest.mark.slow


def test_deploying_twice_leaves_every_deployment_once_and_nights_scheduled_at_two_utc(tmp_path: Path) -> None:
    with live_prefect(tmp_path / "home") as server:
        server.deploy()
        server.deploy()
        names = [entry["name"] for entry in server.ask("/deployments/filter")]
        assert sorted(names) == ["backfill", "nightly", "watch"]
        scheduled = wait_for(lambda: server.runs("nightly"), seconds=120)
        assert all("T02:00:00" in run["expected_start_time"] for run in scheduled)
