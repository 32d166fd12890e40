"""The hot path: one usual reading a POST, answered in front of the application.

A route costs more in the framework than the arithmetic does. This callable takes what is usual (a JSON object of
numbers, no query) and hands everything else on to the route; both call `Service`, so they answer alike. What cannot be
observed at once (a stream at rest, or one that replicas share) is waited for here too; an error is then told here, for
nobody may try again what may have happened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, MutableMapping
from typing import Any

import orjson
from starlette.responses import Response

from streamnorm.api import answers, bodies, problems
from streamnorm.api.context import STREAM_ID
from streamnorm.api.texts import usual_reading
from streamnorm.engine.reading import Reading
from streamnorm.errors import StreamnormError
from streamnorm.service import Service

PREFIX = "/v1/streams/"
SUFFIX = "/readings"
_STREAM_ID = re.compile(STREAM_ID)
_START, _END = len(PREFIX), -len(SUFFIX)

Scope = MutableMapping[str, Any]


class HotPath:
    """An ASGI application in front of another."""

    def __init__(
        self, app: Any, service: Service, max_reading_bytes: int, refused: Callable[[str], None] = lambda _: None
    ) -> None:
        self.app = app
        self._refused = refused
        self._service = service
        self._max_reading_bytes = max_reading_bytes
        #: of the digits of a length that may be within the limit
        self._longest = len(str(max_reading_bytes))

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer a usual reading; hand on what is not."""
        path = scope["path"] if scope["type"] == "http" else ""
        if not path.endswith(SUFFIX) or not path.startswith(PREFIX) or not self._usual(scope):
            await self.app(scope, receive, send)
            return
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            stream_id = path[_START:_END]
            answer: bytes | Reading | Response | None = self._answer(stream_id, message["body"])
            if isinstance(answer, Reading):
                answer = await self._waited(stream_id, answer)
            if isinstance(answer, bytes):
                length = b"%d" % len(answer)
                headers = [(b"content-length", length), (b"content-type", b"application/json")]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await send({"type": "http.response.body", "body": answer})
                return
            if answer is not None:
                await answer(scope, receive, send)
                return
        await self.app(scope, again(message, receive), send)

    def _usual(self, scope: Scope) -> bool:
        """Tell whether a request is a POST of plain JSON without a query, and not too large."""
        if scope["method"] != "POST" or scope["query_string"]:
            return False
        media = b""
        for name, value in scope["headers"]:
            if name == b"content-type":
                media = value
            elif name == b"content-encoding" or (name == b"content-length" and len(value) > self._longest):
                return False
        return media == b"application/json"

    def _answer(self, stream_id: str, body: bytes) -> bytes | Reading | None:
        """Answer a reading, or give it where it must be waited for; where there is None, the route tells more."""
        if len(body) > self._max_reading_bytes:
            return None
        try:
            reading = usual_reading(orjson.loads(body))
            if reading is None:
                return None
            answer = self._service.observe_at_once(stream_id, reading)
        except (orjson.JSONDecodeError, StreamnormError):
            return None
        if answer is None:
            return reading if _STREAM_ID.fullmatch(stream_id) else None
        return bodies.dumps(answers.of_reading(stream_id, reading, answer))

    async def _waited(self, stream_id: str, reading: Reading) -> bytes | Response:
        """Answer a reading that cannot be observed at once."""
        try:
            answer = await self._service.observe(stream_id, reading)
        except StreamnormError as error:
            kind, told = problems.of(error)
            self._refused(kind.slug)
            return problems.answer(told)
        return bodies.dumps(answers.of_reading(stream_id, reading, answer))


def again(message: MutableMapping[str, Any], receive: Any) -> Any:
    """Give a `receive` that begins with a message received before."""
    first = [message]

    async def receive_again() -> Any:
        return first.pop() if first else await receive()

    return receive_again
