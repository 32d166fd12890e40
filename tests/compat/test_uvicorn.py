"""uvicorn's connections as they are extended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamnorm.app import with_middleware
from streamnorm.auth.api_keys import SQLiteApiKeys
from streamnorm.compat.uvicorn import HTTPProtocol
from tests.support.http_calls import running, settings_of
from tests.support.http_wire import connection_to

HEAD = b"POST /v1/bulk HTTP/1.1\r\nhost: localhost\r\ncontent-length: 6\r\n\r\n"


async def bodies(folder: Path, monkeypatch: pytest.MonkeyPatch, *pieces: bytes) -> tuple[list[bytes], list[bytes]]:
    """Send pieces of a request; returns the parts of its body that the parser found, and what the application got."""
    found: list[bytes] = []
    received: list[bytes] = []
    take = HTTPProtocol.on_body

    def on_body(self: HTTPProtocol, body: bytes) -> None:
        found.append(body)
        take(self, body)

    async def application(_scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            received.append(message["body"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    monkeypatch.setattr(HTTPProtocol, "on_body", on_body)
    settings = settings_of(insecure=True)
    async with running() as api:
        front = with_middleware(api.app, api.context, settings, SQLiteApiKeys(folder))
        connection = connection_to(front._replace(app=application), settings)
        await connection.send(*pieces)
        assert [status for status, _ in await connection.answers(1)] == [200]
    return found, received


async def test_a_part_of_a_body_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, received = await bodies(tmp_path, monkeypatch, HEAD + b"abc", b"def")
    assert b"".join(received) == b"abcdef"
    assert [id(part) for part in received if part] == [id(part) for part in found]


async def test_parts_that_come_at_once_are_handed_on_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = HEAD.replace(b"content-length: 6", b"transfer-encoding: chunked")
    found, received = await bodies(tmp_path, monkeypatch, head + b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n")
    assert (found, received[0], b"".join(received)) == ([b"a", b"b", b"c"], b"abc", b"abc")
