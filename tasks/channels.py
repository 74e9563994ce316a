"""How messages leave the server: blocks that its automations send through.

Prefect finds them by the entry point `prefect.collections`, so they are known wherever this project is installed, in
the server's process above all. Prefect's own Webhook block shares one pool of connections among all calls and closes it
at the end of each: of two messages at once, one is lost (docs/decisions/0016-channels.md).
"""

from typing import Any, Literal

import httpx
from prefect.blocks.abstract import NotificationBlock, NotificationError
from prefect.blocks.notifications import AbstractAppriseNotificationBlock
from pydantic import Field, SecretStr

Channel = Literal["webhook", "slack", "email"]
SECONDS, ATTEMPTS = 20, 3


class LamplighterPost(NotificationBlock):
    """An address that takes JSON by POST: a webhook, or one that understands what Slack does."""

    _block_type_name = "Lamplighter POST"
    _block_type_slug = "lamplighter-post"

    url: SecretStr = Field(title="URL", description="Where the message is posted to.")

    async def notify(self, body: str, subject: str | None = None) -> None:
        """Post a body that is JSON already.

        Raises:
            NotificationError: saying what went wrong, without the address: it may be a secret.
        """
        headers, transport = {"content-type": "application/json"}, httpx.AsyncHTTPTransport(retries=ATTEMPTS - 1)
        try:
            async with httpx.AsyncClient(transport=transport, timeout=SECONDS, headers=headers) as client:
                answer = await client.post(self.url.get_secret_value(), content=body.encode())
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotificationError(f"nothing answered: {type(error).__name__}") from None
        if not answer.is_success:
            raise NotificationError(f"the receiver answered {answer.status_code} {answer.reason_phrase}")


class LamplighterEmail(AbstractAppriseNotificationBlock):
    """E-mail by SMTP, as Apprise's `mailto://` and `mailtos://` say it: https://appriseit.com/services/email/."""

    _block_type_name = "Lamplighter E-mail"
    _block_type_slug = "lamplighter-email"

    url: SecretStr = Field(title="Apprise URL", description="mailtos://user:password@server:587?to=a@b.c&from=d@e.f")

    def _start_apprise_client(self, url: SecretStr) -> None:
        from apprise import Apprise, AppriseAsset, NotifyFormat

        asset: Any = AppriseAsset(app_id="Lamplighter", app_desc="Lamplighter", app_url="")
        mail = Apprise.instantiate(url.get_secret_value(), asset=asset) if is_mail(url) else None
        if mail is None:
            raise ValueError("the address of the e-mail channel is no Apprise URL of e-mail")
        mail.notify_format = NotifyFormat.TEXT  # what a message says comes from logs, and is no HTML
        self._apprise_client = Apprise(asset=asset)
        self._apprise_client.add(mail)


def is_mail(url: SecretStr) -> bool:
    """Whether an address is one of e-mail at all."""
    return url.get_secret_value().startswith(("mailto://", "mailtos://"))


BLOCKS: dict[Channel, type[NotificationBlock]] = {
    "webhook": LamplighterPost,
    "slack": LamplighterPost,
    "email": LamplighterEmail,
}
SUBJECT = "Lamplighter {{ event.payload.state }}: {{ event.payload.kind }} {{ event.payload.day }}"
_PLAIN = "{{ event.payload.text }}"
_SLACK = (  # what logs say must not call everybody in a channel: Slack wants these three escaped
    "{% set text = event.payload.text | replace('&', '&amp;') | replace('<', '&lt;') | replace('>', '&gt;') %}"
    '{"text": {{ text | tojson }}}'
)
_MAIL = _PLAIN + (
    "\n\n{% for name in ['day', 'rule', 'observed', 'expected', 'meaning', 'cure', 'link', 'runbook', 'opened_at',"
    " 'resolved_at'] %}{{ name }}: {{ event.payload[name] or '-' }}\n{% endfor %}"
)
BODIES: dict[Channel, str] = {"webhook": "{{ event.payload | tojson }}", "slack": _SLACK, "email": _MAIL}
"""What is sent, as templates that the server fills in from the event."""
