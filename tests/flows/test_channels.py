"""Messages through each channel's block, as the server sends them."""

import asyncio
import json

import pytest
from prefect.blocks.abstract import NotificationError
from prefect.server.utilities.user_templates import render_user_template
from pydantic import SecretStr
from receivers import receivers

from tasks.channels import BODIES, Channel, LamplighterEmail, LamplighterPost


def test_messages_at_the_same_time_all_arrive() -> None:
    with receivers() as received:
        block = LamplighterPost(url=SecretStr(received.environment["LAMPLIGHTER_ALERT_WEBHOOK"]))

        async def all_at_once() -> None:
            await asyncio.gather(*(block.notify(f'{{"n": {n}}}') for n in range(8)))

        asyncio.run(all_at_once())
        assert sorted(post["n"] for post in received.hooks) == list(range(8))


@pytest.mark.parametrize("place", ["/nobody-s3cret", None])
def test_what_a_receiver_refuses_is_said_without_its_address(place: str | None) -> None:
    with receivers() as received:
        url = f"http://127.0.0.1:{received.http}{place}" if place else "http://127.0.0.1:9/s3cret"
        with pytest.raises(NotificationError) as found:
            asyncio.run(LamplighterPost(url=SecretStr(url)).notify("{}"))
    assert ("answered 404" if place else "nothing answered: ConnectError") in found.value.log
    assert "s3cret" not in found.value.log


def test_what_logs_say_calls_nobody_in_slack_and_breaks_no_json() -> None:
    hostile = '<!channel> "quoted" </script> a & b\nnext {{ 7 * 7 }}'
    event = {"payload": {"text": hostile, "day": "2026-11-20", "link": None}}

    def rendered(channel: Channel) -> str:
        return asyncio.run(render_user_template(BODIES[channel], {"event": event}))

    slack = json.loads(rendered("slack"))["text"]
    assert slack == '&lt;!channel&gt; "quoted" &lt;/script&gt; a &amp; b\nnext {{ 7 * 7 }}'
    assert json.loads(rendered("webhook")) == event["payload"]
    assert hostile in rendered("email") and "link: -" in rendered("email")


def test_mail_is_plain_text_whatever_logs_say() -> None:
    with receivers() as received:
        block = LamplighterEmail(url=SecretStr(received.environment["LAMPLIGHTER_ALERT_EMAIL"]))
        block.notify(subject="Lamplighter opened", body="<script>alert(1)</script>\nsecond line")
        (mail,) = received.mails
    assert mail["subject"] == "Lamplighter opened" and mail["to"] == "ops@example.org"
    assert mail.get_content_type() == "text/plain"
    assert received.bodies[0].splitlines()[:2] == ["<script>alert(1)</script>", "second line"]


def test_a_mail_server_that_does_not_answer_is_said_without_the_password() -> None:
    block = LamplighterEmail(url=SecretStr("mailto://ann:s3cret@127.0.0.1:9?from=a@example.org&to=b@example.org"))
    with block.raise_on_failure(), pytest.raises(NotificationError) as found:
        block.notify(subject="s", body="b")
    assert found.value.log and "s3cret" not in found.value.log


def test_an_address_that_is_none_of_mail_is_refused_without_naming_it() -> None:
    with pytest.raises(ValueError, match="no Apprise URL of e-mail") as found:
        LamplighterEmail(url=SecretStr("https://s3cret.example.org"))
    assert "s3cret" not in str(found.value)
