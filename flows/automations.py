"""Alerts on the server: channels from the environment, automations from files, and whether messages arrive."""

import datetime as dt
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from flows.settings import RECIPES
from retrieval.errors import AlertsError

if TYPE_CHECKING:
    from tasks.automations import Deployed, Sent
    from tasks.channels import Channel
    from tasks.watch import Tell

AUTOMATIONS = RECIPES.parent / "automations"
SECONDS = 60.0
"""How long a test waits for the server to say what became of its messages."""


class AlertSettings(BaseSettings):
    """Where messages go; an address may hold a secret and is shown nowhere."""

    model_config = SettingsConfigDict(env_prefix="LAMPLIGHTER_ALERT_", extra="ignore", frozen=True)

    webhook: SecretStr | None = Field(default=None, description="URL that takes the whole incident as JSON by POST")
    slack: SecretStr | None = Field(default=None, description='URL of a Slack-compatible webhook: {"text": …}')
    email: SecretStr | None = Field(
        default=None, description="Apprise URL of e-mail: mailtos://user:password@server:587?from=…&to=…"
    )

    @property
    def channels(self) -> Mapping["Channel", SecretStr]:
        """The channels that are set."""
        found: dict[Channel, SecretStr | None] = {"webhook": self.webhook, "slack": self.slack, "email": self.email}
        return {name: url for name, url in found.items() if url is not None and url.get_secret_value()}


def deploy_automations(api: str, *, drop: bool = False) -> "Deployed":
    """Put the channels of the environment and the automations of deployments/automations on the server of an address.

    With `drop`, channels that the environment does not name are taken off it.

    Raises:
        AlertsError: when a file or a channel cannot be used.
    """
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from tasks.automations import deploy

    with temporary_settings({PREFECT_API_URL: api}):
        return deploy(AUTOMATIONS, AlertSettings().channels, drop=drop)


def try_channels() -> list["Sent"]:
    """Send a message through every channel that is set, the way that alerts go, and say what became of each.

    Raises:
        AlertsError: when there is no server, no channel is set, or the test's automation is not deployed.
    """
    from tasks.automations import read_automations, sent_by
    from tasks.tell import TESTED, send

    deploy_automations(required_server())
    names = [name for name in read_automations(AUTOMATIONS)["tested"].channels if name in AlertSettings().channels]
    if not names:
        variables = ", ".join(f"LAMPLIGHTER_ALERT_{name.upper()}" for name in AlertSettings.model_fields)
        raise AlertsError(f"no channel is set, so nobody would be told of anything. Set at least one of {variables}.")
    now = dt.datetime.now(dt.UTC)
    send(TESTED, "lamplighter.alerts", _message(now))
    deadline = time.monotonic() + SECONDS
    while len(sent := sent_by("tested", names, now)) < len(names) and time.monotonic() < deadline:
        time.sleep(0.5)
    return sent


def teller() -> "Tell | None":
    """How people are told; nobody is by a temporary server, which ends with the command and has no automations.

    Without a server no orchestrator is imported.
    """
    if not os.environ.get("PREFECT_API_URL"):
        return None
    from tasks.tell import tell

    return tell


def _message(now: dt.datetime) -> dict[str, Any]:
    day, text = now.date().isoformat(), "a test, asked for by `lamplighter alerts test`: nothing is wrong."
    facts = dict.fromkeys(("kind", "key", "rule", "state"), "test") | {"day": day, "severity": "warn", "meaning": text}
    facts |= {"observed": "this message", "expected": "this message", "cure": "Nothing.", "runbook": "docs/alerts.md"}
    nothing: dict[str, Any] = {"link": None, "resolved_at": None, "opened_at": now.isoformat()}
    return facts | nothing | {"text": text}


def required_server() -> str:
    """The address of the server that PREFECT_API_URL names.

    Raises:
        AlertsError: when it names none.
    """
    if api := os.environ.get("PREFECT_API_URL"):
        return api
    raise AlertsError(
        "alerts live on a Prefect server, and PREFECT_API_URL is not set. Start one (`lamplighter up`), set it."
    )
