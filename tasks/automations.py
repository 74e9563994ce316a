"""Automations as files: read, checked, and put on the server."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import yaml
from prefect.automations import DoNothing, EventTrigger, SendNotification
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.actions import ActionTypes
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import ObjectNotFound
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, model_validator

from retrieval.errors import AlertsError
from tasks.channels import BLOCKS, BODIES, SUBJECT, Channel

PREFIX = "lamplighter-"
"""What the names of our automations and blocks on the server begin with; others are nobody's business here."""


class AutomationFile(BaseModel):
    """One file: when it fires, the channels it tells, and what else it does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str
    trigger: EventTrigger
    channels: tuple[Channel, ...] = ()
    actions: tuple[ActionTypes, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_keys(cls, data: Any) -> Any:
        """Prefect ignores keys of a trigger that it does not know, and the trigger is another one then."""
        unknown = set(data.get("trigger", {})) - set(EventTrigger.model_fields)
        if unknown:
            raise ValueError(f"trigger.{min(unknown)} is unknown")
        return data

    @model_validator(mode="after")
    def _does_something(self) -> "AutomationFile":
        if not self.channels and not self.actions:
            raise ValueError("neither channels nor actions: it would do nothing")
        return self


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one message."""

    channel: Channel
    arrived: bool
    found: str
    cure: str


@dataclass(frozen=True, slots=True)
class Deployed:
    """What was put on the server, and what was taken off it."""

    automations: tuple[str, ...]
    removed: tuple[str, ...]
    channels: tuple[Channel, ...]


def read_automations(folder: Path) -> dict[str, AutomationFile]:
    """The automations of a folder by their files' names.

    Raises:
        AlertsError: naming the file and the field that is wrong.
    """
    return {path.stem: _read(path) for path in sorted(folder.glob("*.yaml"))}


def _read(path: Path) -> AutomationFile:
    try:
        plain = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise AlertsError(f"{path} is no YAML ({' '.join(str(error).split())}). Mend it.") from error
    if not isinstance(plain, dict):
        raise AlertsError(f"{path} is empty or no mapping; expected description, trigger and channels. Mend it.")
    try:
        return AutomationFile.model_validate(plain)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise AlertsError(f"{path}: {where + ': ' if where else ''}{first['msg']}. Mend that field.") from error


def deploy(folder: Path, channels: Mapping[Channel, SecretStr], *, drop: bool = False) -> Deployed:
    """Put channels and automations on the server; the same again changes nothing, what has no file any more goes.

    An automation that a person switched off stays off. A channel that the server has and that is not given stays,
    unless `drop` says otherwise: a command from a bare environment silences nobody.

    Raises:
        AlertsError: when a file or a channel cannot be used.
    """
    files = read_automations(folder)
    with get_client(sync_client=True) as client:
        blocks = {channel: _save(channel, url) for channel, url in channels.items()}
        for channel in BLOCKS:
            if channel not in channels and (known := _known(client, channel)):
                if drop:
                    client.delete_block_document(known)
                else:
                    blocks[channel] = known
        ours = {found.name: found for found in client.read_automations() if found.name.startswith(PREFIX)}
        wanted = {f"{PREFIX}{stem}": file for stem, file in files.items()}
        for name, file in wanted.items():
            _put(client, automation_of(name, file, blocks, ours.get(name)), ours.get(name))
        gone = [found for name, found in ours.items() if name not in wanted]
        for found in gone:
            client.delete_automation(found.id)
    return Deployed(tuple(files), tuple(found.name.removeprefix(PREFIX) for found in gone), tuple(blocks))


def _save(channel: Channel, url: SecretStr) -> UUID:
    try:
        saved = BLOCKS[channel](url=url).save(f"{PREFIX}{channel}", overwrite=True)
    except (ValidationError, ValueError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise AlertsError(f"the channel {channel} cannot be used: {reason}. docs/alerts.md has examples.") from None
    return cast(UUID, saved)


def _known(client: SyncPrefectClient, channel: Channel) -> UUID | None:
    """Where the server keeps the address of a channel; None when it has none."""
    try:
        return client.read_block_document_by_name(f"{PREFIX}{channel}", BLOCKS[channel].get_block_type_slug()).id
    except ObjectNotFound:
        return None


def automation_of(
    name: str, file: AutomationFile, blocks: Mapping[Channel, UUID], former: Automation | None
) -> AutomationCore:
    """What a file says, with an action for each of its channels that is set; a person's switch stays as it is."""
    told: list[ActionTypes] = [
        SendNotification(block_document_id=blocks[channel], subject=SUBJECT, body=BODIES[channel])
        for channel in file.channels
        if channel in blocks
    ]
    return AutomationCore(
        name=name,
        description=file.description,
        enabled=former.enabled if former else True,
        trigger=file.trigger,
        actions=[*file.actions, *told] or [DoNothing()],
    )


def _put(client: SyncPrefectClient, automation: AutomationCore, former: Automation | None) -> None:
    if former is None:
        client.create_automation(automation)
    elif not says_the_same(former, automation):
        client.update_automation(former.id, automation)


def says_the_same(one: AutomationCore, other: AutomationCore) -> bool:
    """Whether two automations differ in nothing that a file says, in whatever order their sets come.

    A trigger that is put on the server anew forgets what it waits for.
    """
    told = {"name", "description", "enabled", "trigger", "actions"}
    return one.model_dump(include=told) == other.model_dump(include=told)


def sent_by(stem: str, channels: Sequence[Channel], since: dt.datetime) -> list[Sent]:
    """What became of the messages that an automation sent, as far as the server has said so."""
    with get_client(sync_client=True) as client:
        automation = client.find_automation(f"{PREFIX}{stem}")
        if automation is None or not automation.enabled:
            raise AlertsError(f"the automation {PREFIX}{stem} is switched off in the Prefect UI. Switch it on.")
        asked = {
            "event": {"name": [f"prefect.automation.action.{end}" for end in ("executed", "failed")]},
            "resource": {"id": [f"prefect.automation.{automation.id}"]},
            "occurred": {"since": since.isoformat()},
        }
        page = client.request("POST", "/events/filter", json={"filter": asked, "limit": 50}).json()
    found = {e["payload"]["action_index"]: e["payload"] for e in page["events"] if "action_index" in e["payload"]}
    return [_sent(channel, found[n]) for n, channel in enumerate(channels) if n in found]


def _sent(channel: Channel, payload: Mapping[str, Any]) -> Sent:
    if "reason" not in payload:
        return Sent(channel, True, "sent", "")
    why = " ".join(str(payload.get("notification_log") or payload["reason"]).split())
    return Sent(channel, False, why, next(cure for part, cure in _CURES.items() if part in why))


_CURES = {
    "UnknownBlockType": "Install this project where the server runs, and start the server again.",
    "nothing answered": "Look whether the address is right and the server's machine may reach it.",
    "the receiver answered": "Look whether the address, with its token, is still the one that the receiver gave out.",
    "": "Look at server, port, login and TLS mode of the address; docs/alerts.md has examples.",
}
"""What to do by what the reason holds."""
