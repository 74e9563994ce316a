"""Automations as files: each is checked before anything reaches a server."""

from pathlib import Path
from uuid import UUID

import pytest
from prefect.events.schemas.automations import AutomationCore

from flows.automations import AUTOMATIONS, AlertSettings, required_server
from retrieval.errors import AlertsError
from tasks.automations import automation_of, read_automations, says_the_same
from tasks.channels import BLOCKS
from tasks.tell import SILENT_MINUTES
from validation.incidents import KINDS

GOOD = """
description: A test
trigger: {type: event, posture: Reactive, expect: [lamplighter.incident.opened], threshold: 1}
channels: [webhook]
"""


def test_every_kind_of_incident_has_an_automation_of_its_own_on_every_channel() -> None:
    files = read_automations(AUTOMATIONS)
    assert {*KINDS, "zombies", "unstarted", "watch-silent", "watch-heard", "tested"} == set(files)
    for kind in KINDS:
        assert files[kind].trigger.match.root == {"prefect.resource.id": f"lamplighter.incident.{kind}.*"}  # type: ignore[union-attr]
        assert files[kind].channels == ("webhook", "slack", "email")
    assert files["watch-silent"].trigger.within.total_seconds() == 60 * SILENT_MINUTES
    assert files["zombies"].trigger.within.total_seconds() <= 95
    assert files["unstarted"].trigger.within.total_seconds() <= 120


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("channels: [webhook]", "channels: [pager]", "channels.0: Input should be 'webhook'"),
        ("channels: [webhook]", "", "neither channels nor actions"),
        ("threshold: 1", "treshold: 1", "trigger.treshold is unknown"),
        ("threshold: 1", "threshold: many", "trigger.threshold: Input should be a valid integer"),
        ("description: A test", "", "description: Field required"),
        ("channels: [webhook]", "chanels: [webhook]", "chanels: Extra inputs"),
        ("trigger: {", "trigger: {{", "is no YAML"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_its_name_and_the_field(
    tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD.replace(right, wrong))
    with pytest.raises(AlertsError, match=r"mine\.yaml") as found:
        read_automations(tmp_path)
    assert said in str(found.value)


def test_deploying_without_a_server_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(AlertsError, match="PREFECT_API_URL is not set"):
        required_server()


def test_channels_are_what_the_environment_says_and_show_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMPLIGHTER_ALERT_SLACK", "https://hooks.example.org/s3cret")
    monkeypatch.setenv("LAMPLIGHTER_ALERT_WEBHOOK", "")
    settings = AlertSettings()
    assert list(settings.channels) == ["slack"]
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize("stem", ["zombies", "gate"])
def test_what_the_server_keeps_in_another_order_is_not_put_anew(stem: str) -> None:
    made = automation_of(
        f"lamplighter-{stem}", read_automations(AUTOMATIONS)[stem], dict.fromkeys(BLOCKS, UUID(int=1)), None
    )
    kept = made.model_dump(mode="json")
    kept["trigger"]["expect"].reverse()
    assert says_the_same(AutomationCore.model_validate(kept), made)
    assert not says_the_same(AutomationCore.model_validate(kept | {"enabled": False}), made)
