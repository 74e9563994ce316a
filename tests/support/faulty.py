"""A proxy before an S3 server that answers 500, answers late, cuts connections, or loses the answer to what was done."""

import http.client
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ERROR = b"<Error><Code>InternalError</Code><Message>injected</Message></Error>"


class Proxy(ThreadingHTTPServer):
    """Forwards to a server, with faults of a share of the requests."""

    daemon_threads = True

    def __init__(self, target: str, share: float, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.target, self.share, self.rng = target.removeprefix("http://"), share, random.Random(seed)
        self.n_faults = 0
        self.lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self) -> str | None:
        with self.lock:
            if self.rng.random() >= self.share:
                return None
            self.n_faults += 1
            return self.rng.choice(["500", "503", "lost", "cut", "slow"])

    def handle_error(self, *_: Any) -> None:
        """A client that went away is what is wanted here."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Proxy

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.fault()
        if fault == "cut":
            self.close_connection = True
            return
        if fault in {"500", "503"}:
            self.answer(int(fault), [("Content-Type", "application/xml")], ERROR)
            return
        if fault == "slow":
            time.sleep(0.2)
        upstream = http.client.HTTPConnection(self.server.target, timeout=30)
        upstream.request(self.command, self.path, body, dict(self.headers.items()))
        found = upstream.getresponse()
        content = found.read()
        upstream.close()
        if fault == "lost":
            self.close_connection = True
            return
        dropped = {"content-length", "transfer-encoding", "connection", "server", "date"}
        headers = [(name, value) for name, value in found.getheaders() if name.lower() not in dropped]
        size = found.getheader("Content-Length") if self.command == "HEAD" else None
        self.answer(found.status, headers, content, size)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward  # noqa: N815

    def answer(self, status: int, headers: list[tuple[str, str]], content: bytes, size: str | None = None) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", size or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

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
