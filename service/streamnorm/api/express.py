"""The express: a usual reading answered in one go, before even the guard.

The guard counts, times and cuts off what takes time. A small reading whose body has arrived with its head takes none:
from its receipt to its answer nothing waits and nobody else runs. So only what the guard is for is done here (who may
call, the request's id, the latency), and everything else, refusals included, goes to the guard as it came.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from time import perf_counter
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamnorm.api import answers, bodies
from streamnorm.api.access import Access
from streamnorm.api.exchange import NOSNIFF
from streamnorm.api.guard import Guard
from streamnorm.api.hot import PREFIX, SUFFIX, again, usual
from streamnorm.api.metrics import Metrics
from streamnorm.api.texts import usual_reading
from streamnorm.errors import StreamnormError
from streamnorm.service import Service

_START, _END = len(PREFIX), -len(SUFFIX)
JSON = (b"content-type", b"application/json")


class Express:
    """Stands in front of the guard."""

    def __init__(
        self, guard: Guard, access: Access, service: Service, metrics: Metrics, max_reading_bytes: int
    ) -> None:
        self.guard: ASGIApp = guard
        self._named = guard.named
        self._access = access
        self._service = service
        self._latencies = metrics.latencies
        self._max_reading_bytes = max_reading_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a usual reading that is here already; hand on what is not."""
        path = scope["path"] if scope["type"] == "http" else ""
        if not path.endswith(SUFFIX) or not path.startswith(PREFIX) or not usual(scope, self._max_reading_bytes):
            await self.guard(scope, receive, send)
            return
        began = perf_counter()
        coming: Any = receive()
        try:
            awaited = coming.send(None)
        except StopIteration as here:
            message: Message = here.value
        else:
            await self.guard(scope, _later(Coming(coming, awaited), receive), send)
            return
        answer = None
        if message["type"] == "http.request" and not message.get("more_body"):
            answer = self._answer(scope, path[_START:_END], message["body"])
        if answer is None:
            await self.guard(scope, again(message, receive), send)
            return
        length = (b"content-length", b"%d" % len(answer))
        headers = [length, JSON, (b"x-request-id", self._named(scope["headers"])), NOSNIFF]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})
        self._latencies.add(path, perf_counter() - began)

    def _answer(self, scope: Scope, stream_id: str, body: bytes) -> bytes | None:
        """Answer a reading; where there is None, nothing has happened."""
        if len(body) > self._max_reading_bytes:
            return None
        try:
            self._access.caller(scope, dict(scope["headers"]))
            reading = usual_reading(orjson.loads(body))
            answer = None if reading is None else self._service.observe_at_once(stream_id, reading)
        except (orjson.JSONDecodeError, StreamnormError):
            return None  # the guard and the route tell what is wrong
        if reading is None or answer is None:
            return None
        return bodies.dumps(answers.of_reading(stream_id, reading, answer))


class Coming:
    """A message still to come: a coroutine that has been begun, and the future that it waits for."""

    def __init__(self, coroutine: Coroutine[Any, Any, Message], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, Message]:
        """Go on with it where it was left."""
        awaited = self._awaited
        while True:
            try:
                sent = yield awaited
            except BaseException as error:  # noqa: BLE001 - whatever is thrown in is the coroutine's to handle
                step: Callable[[], Any] = _throwing(self._coroutine, error)
            else:
                step = _sending(self._coroutine, sent)
            try:
                awaited = step()
            except StopIteration as here:
                message: Message = here.value
                return message


def _throwing(coroutine: Coroutine[Any, Any, Message], error: BaseException) -> Callable[[], Any]:
    return lambda: coroutine.throw(error)


def _sending(coroutine: Coroutine[Any, Any, Message], value: Any) -> Callable[[], Any]:
    return lambda: coroutine.send(value)


def _later(coming: Awaitable[Message], receive: Receive) -> Receive:
    """Give a `receive` that begins with a message that is being waited for."""
    first = [coming]

    async def later() -> Message:
        return await (first.pop() if first else receive())

    return later
