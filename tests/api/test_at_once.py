"""What is answered at once, in front of the guard, is answered exactly as behind it, errors included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message

from streamnorm.api.at_once import AtOnce
from tests.api.guarded import Guarded, guarded
from tests.api.test_hot import whole

PATH = "/v1/streams/boiler-7/readings"
HEADERS = {"content-type": "application/json", "x-request-id": "one"}
USUAL = b'{"values":{"temp":21.5,"door":0}}'
REQUESTS: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "usual": (PATH, USUAL, {}),
    "again": (PATH, USUAL, {}),
    "numbered": (PATH, b'{"values":{"temp":22,"door":1},"seq":7}', {}),
    "repeated": (PATH, b'{"values":{"temp":22,"door":1},"seq":7}', {}),
    "stale": (PATH, b'{"values":{"temp":22,"door":1},"seq":6}', {}),
    "wrong": (PATH, b'{"values":{"temp":"warm"}}', {}),
    "cut_short": (PATH, b'{"values":{"temp":2', {}),
    "empty": (PATH, b"", {}),
    "another_stream": ("/v1/streams/pump-1/readings", USUAL, {}),
    "no_stream": ("/v1/streams/a b/readings", USUAL, {}),
    "asked": (f"{PATH}?stats=true", USUAL, {}),
    "other_media": (PATH, USUAL, {"content-type": "text/plain"}),
    "no_id": (PATH, USUAL, {"x-request-id": "not fit\x7f"}),
    "other_site": (PATH, USUAL, {"origin": "https://elsewhere.example"}),
    "foreign_name": (PATH, USUAL, {"host": "elsewhere.example"}),
}


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Guarded, Guarded]]:
    """Start the application twice: as the server does, and from the guard on."""
    async with guarded(tmp_path / "one") as one, guarded(tmp_path / "other") as other:
        for each in (one, other):
            each.context.service.clock = lambda: 1_795_338_000.0
        yield one, other


async def sent(app: Any, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    transport = httpx.ASGITransport(whole(app), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        return await client.post(path, content=body, headers=HEADERS | headers)


async def test_every_request_is_answered_alike(pair: tuple[Guarded, Guarded]) -> None:
    one, other = pair
    assert isinstance(one.app, AtOnce)
    assert isinstance(other.app, AtOnce)
    for name, (path, body, headers) in REQUESTS.items():
        hot = await sent(one.app, path, body, headers)
        guard = await sent(other.app.app, path, body, headers)
        assert (hot.status_code, hot.content) == (guard.status_code, guard.content), name
        known = {
            header: value for header, value in guard.headers.items() if name != "no_id" or header != "x-request-id"
        }
        assert known.items() <= hot.headers.items(), name
        assert len(hot.headers) == len(guard.headers), name


async def test_a_key_is_asked_for_there_too(tmp_path: Path) -> None:
    async with guarded(tmp_path, host="0.0.0.0") as started:  # noqa: S104 - it does not listen at all
        key = started.keys.create("gauge", ["observe"], "boiler-")
        statuses = [
            (await sent(started.app, path, USUAL, {"authorization": f"Bearer {shown}"})).status_code
            for path in (PATH, PATH, "/v1/streams/pump-1/readings")
            for shown in (key, "sn_nobody_at_all")
        ]
        assert statuses == [200, 401, 200, 401, 403, 401]


async def test_a_body_that_comes_later_is_waited_for(pair: tuple[Guarded, Guarded]) -> None:
    app = pair[0].app
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": PATH, "raw_path": PATH.encode(), "query_string": b""}
    arrived = asyncio.Event()
    answers: list[Message] = []

    async def receive() -> Message:
        await arrived.wait()
        return {"type": "http.request", "body": USUAL, "more_body": False}

    async def send(message: Message) -> None:
        answers.append(message)

    async def called() -> None:
        await app(scope | {"headers": headers, "client": ("127.0.0.1", 1)}, receive, send)

    call = asyncio.create_task(called())
    await asyncio.sleep(0)
    assert not answers
    arrived.set()
    await call
    assert answers[0]["status"] == 200


async def test_what_is_answered_at_once_is_measured(pair: tuple[Guarded, Guarded]) -> None:
    one = pair[0]
    for _ in range(3):
        await sent(one.app, PATH, USUAL, {})
    assert b'streamnorm_request_seconds_count{call="readings"} 3.0' in one.context.metrics.text()
