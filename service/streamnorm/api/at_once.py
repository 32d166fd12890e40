"""The beginning of the hot path: a usual reading that needs no waiting, answered in front of even the guard.

The guard costs as much again as all that a reading needs. What is usual (a stream in memory, a JSON object of numbers
that came in one piece, no query, a key that the guard has seen) is answered here; everything else, errors included, is
handed on. All ways ask the same `Access`, call the same `Service` and count in the same `Metrics`, so they answer
alike; a test sends the same requests all ways. Nothing here waits: there are no requests under way to be limited, and
no slow bodies to be cut off.
"""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from time import perf_counter
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamnorm.api import answers, bodies
from streamnorm.api.access import Access
from streamnorm.api.exchange import NOSNIFF
from streamnorm.api.guard import Names
from streamnorm.api.hot import PREFIX, SUFFIX
from streamnorm.api.metrics import Metrics
from streamnorm.api.texts import usual_reading
from streamnorm.errors import StreamnormError
from streamnorm.service import Service

_START, _END = len(PREFIX), -len(SUFFIX)
JSON = bodies.JSON.encode()
START, BODY = "http.response.start", "http.response.body"


class AtOnce:
    """An ASGI application in front of another."""

    def __init__(  # noqa: PLR0917 - what the guard and the application have too
        self, app: ASGIApp, access: Access, names: Names, service: Service, metrics: Metrics, max_reading_bytes: int
    ) -> None:
        self._app = app
        self._access = access
        self._names = names
        self._service = service
        self._latency = metrics.latencies.of("readings")
        self._max_reading_bytes = max_reading_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a usual reading; hand on what is not."""
        began = perf_counter()
        path: str = scope["path"] if scope["type"] == "http" else ""
        if not path.endswith(SUFFIX) or not path.startswith(PREFIX) or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        stream_id = path[_START:_END]
        if (
            headers.get(b"content-type") != JSON
            or b"content-encoding" in headers
            or scope["query_string"]
            or not self._access.has_seen(headers, stream_id)
        ):
            await self._app(scope, receive, send)
            return
        receiving: Any = receive()
        try:
            waiting = receiving.send(None)
        except StopIteration as received:
            message: Message = received.value
        else:
            await self._app(scope, _again(_gone_on(receiving, waiting), receive), send)
            return
        answer = self._answer(stream_id, message)
        if answer is None:
            await self._app(scope, _again(_given(message), receive), send)
            return
        named = (b"x-request-id", self._names.of(headers))
        sizes = (b"content-length", b"%d" % len(answer)), (b"content-type", JSON)
        await send({"type": START, "status": 200, "headers": [*sizes, NOSNIFF, named]})
        await send({"type": BODY, "body": answer})
        self._latency.add(perf_counter() - began)

    def _answer(self, stream_id: str, message: Message) -> bytes | None:
        """Answer a reading; where there is None, nothing has happened."""
        if message["type"] != "http.request" or message.get("more_body"):
            return None
        body = message["body"]
        if len(body) > self._max_reading_bytes:
            return None
        try:
            reading = usual_reading(orjson.loads(body))
            if reading is None:
                return None
            answer = self._service.observe_at_once(stream_id, reading)
        except (orjson.JSONDecodeError, StreamnormError):
            return None  # the route tells what is wrong
        return None if answer is None else bodies.dumps(answers.of_reading(stream_id, reading, answer))


async def _given(message: Message) -> Message:
    return message


@types.coroutine
def _gone_on(receiving: Coroutine[Any, Any, Message], waiting: Any) -> Generator[Any, Any, Message]:
    """Go on with a coroutine that was begun outside the event loop, and waits for something."""
    try:
        while True:
            try:
                sent = yield waiting
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's to deal with
                waiting = receiving.throw(error)
            else:
                waiting = receiving.send(sent)
    except StopIteration as received:
        message: Message = received.value
        return message


def _again(first: Coroutine[Any, Any, Message] | Generator[Any, Any, Message], receive: Receive) -> Receive:
    """Give a `receive` that begins with a message already on its way."""
    left: list[Any] = [first]

    async def again() -> Message:
        return await (left.pop() if left else receive())

    return again
