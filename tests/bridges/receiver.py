"""A receiver of line protocol over HTTP that misbehaves as it is told to."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from streamnorm.formats.line_protocol import Point, parse


class Reply(NamedTuple):
    """What is answered to a write; points are taken where the status is 204."""

    status: int
    body: str = ""
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


class Receiver(ThreadingHTTPServer):
    """What InfluxDB is to whoever writes to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server_address[1]}"
        self.url = f"{self.base}/api/v2/write?org=o&bucket=b"
        self.points: list[Point] = []
        #: path and credentials of every write, and its points
        self.requests: list[tuple[str, str | None]] = []
        self.writes: list[list[str]] = []
        self.status = 204
        #: what is answered in place of HTTP
        self.raw: bytes | None = None
        #: decides by the path and the lines; None leaves it to the status
        self.judge: Callable[[str, list[str]], Reply | None] = lambda _path, _lines: None


class Handler(BaseHTTPRequestHandler):
    """Takes writes."""

    def do_POST(self) -> None:
        """Take points, or not."""
        assert isinstance(self.server, Receiver)
        body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.raw is not None:
            self.wfile.write(self.server.raw)
            return
        lines = body.decode().split("\n")
        reply = self.server.judge(self.path, lines) or Reply(self.server.status)
        if reply.status == 204:
            self.server.points += [parse(line) for line in lines]
        self.server.requests.append((self.path, self.headers["Authorization"]))
        self.server.writes.append(lines)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body.encode())

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver."""
    with Receiver() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()
