"""A proxy before an S3 server that fails now and then.

It answers 500 or 503, cuts the connection, answers late or not before the client has given up, loses the answer to what
was done, and lets half of an upload or of a download through.
"""

import http.client
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FAULTS = ("500", "503", "cut", "half", "lost", "silent", "slow")
SILENT_SECONDS = 1.2
ERROR = b"<Error><Code>InternalError</Code><Message>injected</Message></Error>"


class Proxy(ThreadingHTTPServer):
    """Forwards to a server, with faults of a share of the requests."""

    daemon_threads = True

    def __init__(self, target: str, share: float, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.target, self.share, self.rng = target.removeprefix("http://"), share, random.Random(seed)
        self.n_requests, self.faults = 0, Counter[str]()
        self.lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self, asked: str) -> str | None:
        with self.lock:
            self.n_requests += 1
            if self.rng.random() >= self.share:
                return None
            fault = self.rng.choice(FAULTS)
            self.faults[fault] += 1
            return fault

    def handle_error(self, *_: Any) -> None:
        """A client that went away is what is wanted here."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Proxy

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.fault(f"{self.command} {self.path}")
        if fault == "cut":
            self.close_connection = True
            return
        if fault in {"500", "503"}:
            self.answer(int(fault), [("Content-Type", "application/xml")], ERROR)
            return
        if fault == "slow":
            time.sleep(0.2)
        if fault == "half" and body:
            self.forward_half(body)
            return
        upstream = http.client.HTTPConnection(self.server.target, timeout=30)
        upstream.request(self.command, self.path, body, dict(self.headers.items()))
        found = upstream.getresponse()
        content = found.read()
        upstream.close()
        if fault == "silent":
            time.sleep(SILENT_SECONDS)
        if fault in {"lost", "silent"}:
            self.close_connection = True
            return
        dropped = {"content-length", "transfer-encoding", "connection", "server", "date"}
        headers = [(name, value) for name, value in found.getheaders() if name.lower() not in dropped]
        size = found.getheader("Content-Length") if self.command == "HEAD" else None
        self.answer(found.status, headers, content, size, share=0.5 if fault == "half" else 1.0)

    def forward_half(self, body: bytes) -> None:
        """Half of an upload reaches the server, then the line is cut."""
        host, port = self.server.target.split(":")
        head = [f"{self.command} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers.items())]
        with socket.create_connection((host, int(port)), timeout=30) as upstream:
            upstream.sendall("\r\n".join([*head, "", ""]).encode() + body[: len(body) // 2])
        self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward  # noqa: N815

    def answer(
        self, status: int, headers: list[tuple[str, str]], content: bytes, size: str | None = None, share: float = 1.0
    ) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", size or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: int(len(content) * share)])
        self.close_connection |= share < 1

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@contextmanager
def faulty(target: str, *, share: float, seed: int) -> Iterator[Proxy]:
    """A proxy that a share of the requests fail at."""
    proxy = Proxy(target, share, seed)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
