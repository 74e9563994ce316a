"""Whoever is told of alerts: an HTTP server and an SMTP server on loopback that keep what they were sent."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from live_prefect import free_port


@dataclass
class Received:
    """What came in, and where to send it."""

    http: int
    smtp: int
    posts: dict[str, list[Any]] = field(default_factory=lambda: {"/hook": [], "/slack": []})
    mails: list[EmailMessage] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The three channels as the environment names them."""
        return {
            "LAMPLIGHTER_ALERT_WEBHOOK": f"http://127.0.0.1:{self.http}/hook",
            "LAMPLIGHTER_ALERT_SLACK": f"http://127.0.0.1:{self.http}/slack",
            "LAMPLIGHTER_ALERT_EMAIL": f"mailto://127.0.0.1:{self.smtp}?from=lamp@example.org&to=ops@example.org",
        }

    @property
    def hooks(self) -> list[dict[str, Any]]:
        return self.posts["/hook"]

    @property
    def slacks(self) -> list[str]:
        return [post["text"] for post in self.posts["/slack"]]

    @property
    def bodies(self) -> list[str]:
        """The texts of the e-mails."""
        return [mail.get_body().get_content() for mail in self.mails]  # type: ignore[union-attr]

    def counts(self) -> tuple[int, int, int]:
        return len(self.hooks), len(self.slacks), len(self.mails)

    def await_each(self, n: int, seconds: float = 30, settle: float = 2) -> None:
        """Wait until every channel has so many messages, and a little more for one too many."""
        end = time.monotonic() + seconds
        while min(self.counts()) < n:
            if time.monotonic() > end:
                pytest.fail(f"{self.counts()} messages came, expected {n} on each; {[h['text'] for h in self.hooks]}")
            time.sleep(0.1)
        time.sleep(settle)
        assert self.counts() == (n, n, n), [hook["text"] for hook in self.hooks]


@contextmanager
def receivers() -> Iterator[Received]:
    """Both servers; they end with the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.headers["content-type"] == "application/json"
            known = self.path in received.posts
            if known:
                received.posts[self.path].append(json.loads(body))
            self.send_response(200 if known else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    class Mailbox:
        async def handle_DATA(  # noqa: N802
            self, _server: Any, _session: Any, envelope: Any
        ) -> str:
            received.mails.append(message_from_bytes(envelope.content, policy=policy.default))
            return "250 OK"

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port = free_port()
    mail = Controller(Mailbox(), hostname="127.0.0.1", port=port)
    mail.start()
    received = Received(web.server_port, port)
    thread = Thread(target=web.serve_forever, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        web.shutdown()
        web.server_close()
        mail.stop()
