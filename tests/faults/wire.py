"""Requests by hand, byte by byte: for what no client would send."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from tests.support.processes import PATIENCE, Service

POST = b"POST /v1/streams/boiler-7/readings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = b'{"values":{"temp":1}}'
UPGRADE = (
    b"GET /v1/live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def told(service: Service, request: bytes) -> bytes:
    """Send bytes, and return all that comes until the service closes the connection."""
    with socket.create_connection(("127.0.0.1", service.port), PATIENCE) as connection:
        found = b""
        with contextlib.suppress(ConnectionError):  # closed while there was more to be read
            connection.sendall(request)
            while part := connection.recv(65536):
                found += part
    return found


def status(answer: bytes) -> int:
    """Return the status of the first answer, 0 where there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def resident(service: Service) -> int:
    """Return the service's memory in bytes."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{service.pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


def descriptors(service: Service) -> int:
    """Return how many files and connections the service has open."""
    return len(list(Path(f"/proc/{service.pid}/fd").iterdir()))
