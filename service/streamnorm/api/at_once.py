"""The beginning of the hot path: a usual reading that needs no waiting, answered in front of even the guard.

The guard costs as much again as all that a reading needs. What is usual (a stream in memory, a JSON object of numbers
that came in one piece, no query, a key that the guard has seen) is answered here; everything else, errors included, is
handed on. All ways ask the same `Access`, call the same `Service` and count in the same `Metrics`, so they answer
alike; a test sends the same requests all ways. Nothing here waits but for a small body, of which the server (see
`streamnorm.server`) sees to it that it comes in time.
"""

from __future__ import annotations

from time import perf_counter

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamnorm.api import answers, bodies
from streamnorm.api.access import Access
from streamnorm.api.exchange import NOSNIFF
from streamnorm.api.guard import Names
from streamnorm.api.hot import PREFIX, SUFFIX, again
from streamnorm.api.metrics import Metrics
from streamnorm.api.texts import usual_reading
from streamnorm.errors import StreamnormError
from streamnorm.service import Service

_START, _END = len(PREFIX), -len(SUFFIX)
JSON = bodies.JSON.encode()
MEDIA_TYPE = (b"content-type", JSON)
DIGITS = 4
NO_LENGTH = b"unknown, and so longer"
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
        #: of the digits of a length that is surely within the limit, and as much as comes in one piece
        self._longest = min(len(str(max_reading_bytes)) - 1, DIGITS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a usual reading; hand on what is not."""
        path: str = scope["path"] if scope["type"] == "http" else ""
        if not path.endswith(SUFFIX) or not path.startswith(PREFIX) or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        stream_id = path[_START:_END]
        if (
            headers.get(b"content-type") != JSON
            or scope["query_string"]
            or b"content-encoding" in headers
            or len(headers.get(b"content-length", NO_LENGTH)) > self._longest
            or not self._access.has_seen(headers, stream_id, began)
        ):
            await self._app(scope, receive, send)
            return
        message = await receive()
        answer = self._answer(stream_id, message)
        if answer is None:
            await self._app(scope, again(message, receive), send)
            return
        length, named = b"%d" % len(answer), self._names.of(headers)
        all_headers = [(b"content-length", length), MEDIA_TYPE, NOSNIFF, (b"x-request-id", named)]
        await send({"type": START, "status": 200, "headers": all_headers})
        await send({"type": BODY, "body": answer})
        self._latency.add(perf_counter() - began)

    def _answer(self, stream_id: str, message: Message) -> bytes | None:
        """Answer a reading; where there is None, nothing has happened."""
        if message["type"] != "http.request" or message.get("more_body"):
            return None
        try:
            reading = usual_reading(orjson.loads(message["body"]))
            if reading is None:
                return None
            answer = self._service.observe_at_once(stream_id, reading)
        except (orjson.JSONDecodeError, StreamnormError):
            return None  # the route tells what is wrong
        return None if answer is None else orjson.dumps(answers.of_reading(stream_id, reading, answer))
