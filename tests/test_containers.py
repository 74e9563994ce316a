"""What is written for Docker fits the project and itself; Docker need not be there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.settings import Settings as PrefectSettings
from prefect.settings import get_current_settings

import flows
from flows.deploying import POOL
from flows.settings import Settings

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "deployments" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "deployments" / "Dockerfile").read_text()


def test_the_image_is_made_of_files_that_are_there() -> None:
    copied = [name for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()]
    assert copied and all((ROOT / name).exists() for name in copied)
    packages = {"flows", "tasks", "storage", "validation", "retrieval", "deployments"}
    assert packages <= set(copied)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_names_only_what_is_declared(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    assert all("healthcheck" in SERVICES[other] for other in service.get("depends_on", {}))
    assert {volume.split(":")[0] for volume in service["volumes"]} <= set(COMPOSE["volumes"])
    if build := service.get("build"):
        assert (ROOT / build["dockerfile"]).is_file()
        assert (ROOT / "deployments" / build["context"]).resolve() == ROOT


def test_the_worker_serves_the_pool_that_is_deployed_to_and_ends_before_the_server() -> None:
    command = SERVICES["worker"]["command"][-1]
    assert "lamplighter deploy" in command and f"--pool {POOL} " in command
    assert "server" in SERVICES["worker"]["depends_on"]


def test_no_password_is_written_down_and_the_server_is_reached_from_this_machine_alone() -> None:
    assert all(
        "PASSWORD" not in key or "${" in value for s in SERVICES.values() for key, value in s["environment"].items()
    )
    assert all(port.startswith("127.0.0.1:") for service in SERVICES.values() for port in service.get("ports", []))


def test_the_server_is_told_what_our_own_commands_tell_theirs() -> None:
    told = SERVICES["server"]["environment"]
    for name in ("PREFECT_SERVER_ANALYTICS_ENABLED", "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"):
        assert told[name] == flows._QUIET[name]


def test_every_setting_of_ours_reaches_the_worker() -> None:
    told = set(SERVICES["worker"]["environment"])
    assert {f"LAMPLIGHTER_{name.upper()}" for name in Settings.model_fields} <= told


def test_every_variable_of_prefect_is_one_that_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    known = get_current_settings().to_environment_variables(exclude_unset=False)
    named = {key for service in SERVICES.values() for key in service["environment"] if key.startswith("PREFECT_")}
    assert isinstance(get_current_settings(), PrefectSettings)
    assert named <= set(known) | {"PREFECT_API_URL", "PREFECT_SERVER_DATABASE_CONNECTION_URL"}
