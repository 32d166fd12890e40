"""The fast path as ASGI middleware: a POST of one simple reading is answered before routing.

The framework's routing costs more than the arithmetic. This middleware answers simple requests (a reading as JSON, with
a usual query) and passes everything else on to the route; both call `IngestService`, so they answer alike. It receives
the requests that `streamnorm.api.fastpath.inline` cannot answer: the body arrived separately from its head, or in
pieces, there is a query, or the answer must wait for a lock or a commit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import orjson
from starlette.responses import Response
from starlette.types import Message, Scope

from streamnorm.api.codecs import serialize
from streamnorm.api.codecs.json.readings import parse_simple_reading
from streamnorm.api.http import problems
from streamnorm.api.http.body import LARGE
from streamnorm.api.http.negotiation import JSON, essence
from streamnorm.api.http.request_state import RequestState
from streamnorm.api.http.responses import dumps
from streamnorm.engine.names import is_stream_id
from streamnorm.engine.reading import Reading
from streamnorm.errors import StreamnormError
from streamnorm.ingest import IngestService

PREFIX = "/v1/streams/"
SUFFIX = "/readings"
#: Bytes of a reading of as many numbers as a stream may have features: two milliseconds.
LONGEST = 2 * LARGE
_START, _END = len(PREFIX), -len(SUFFIX)


class Options(NamedTuple):
    """What a query asks for, as the route has it."""

    learn: bool = True
    stats: bool = False


#: The usual queries.
OPTIONS: Final = {
    b"": Options(),
    b"learn=false": Options(learn=False),
    b"stats=true": Options(stats=True),
    b"learn=false&stats=true": Options(learn=False, stats=True),
}


class FastPathMiddleware:
    """ASGI middleware in front of `app`.

    Readings of at most `max_reading_bytes` are observed by `service`; `refused` is called with the type of each problem
    that is returned, for the metrics.
    """

    def __init__(
        self,
        app: Any,
        service: IngestService,
        max_reading_bytes: int,
        refused: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self.app = app
        self._refused = refused
        self._service = service
        self._max_reading_bytes = min(max_reading_bytes, LONGEST)
        #: the most digits of a Content-Length that may be within the limit
        self._longest = len(str(max_reading_bytes))

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer a simple reading; pass any other request on."""
        path = scope["path"] if scope["type"] == "http" else ""
        options = self._options(scope) if path.endswith(SUFFIX) and path.startswith(PREFIX) else None
        if options is None:
            await self.app(scope, receive, send)
            return
        messages = await self._received(scope, receive)
        if is_last(messages[-1]):
            body = b"".join([message["body"] for message in messages])
            stream_id, reading = path[_START:_END], self._reading(body)
            if reading is not None and is_stream_id(stream_id):
                answer = await self._answer(stream_id, reading, options)
                await answer(scope, receive, send)
                return
        await self.app(scope, replay_receive(messages, receive), send)

    def _options(self, scope: Scope) -> Options | None:
        """Return the options of a POST of plain JSON that is not too large; None for any other request."""
        options = OPTIONS.get(scope["query_string"])
        if scope["method"] != "POST" or options is None:
            return None
        media = JSON
        for name, value in scope["headers"]:
            if name == b"content-type":
                media = value.decode("latin-1")
            elif name == b"content-encoding" or (name == b"content-length" and len(value) > self._longest):
                return None
        return options if essence(media) == JSON else None

    async def _received(self, scope: Scope, receive: Any) -> list[Message]:
        """Receive a body, in the pieces in which it arrives, as long as it may be answered here."""
        messages: list[Message] = [await receive()]
        exchange: RequestState | None = scope.get("exchange")
        size = 0
        while messages[-1].get("more_body") and size <= self._max_reading_bytes:
            size += len(messages[-1]["body"])
            if exchange is not None:
                exchange.reserve(len(messages[-1]["body"]))
            messages.append(await receive())
        return messages

    def _reading(self, body: bytes) -> Reading | None:
        """Parse a simple reading; None if the route has to handle the body."""
        if len(body) > self._max_reading_bytes:
            return None
        try:
            return parse_simple_reading(orjson.loads(body), self._service.limits)
        except orjson.JSONDecodeError:
            return None

    async def _answer(self, stream_id: str, reading: Reading, options: Options) -> Response:
        """Observe a reading, or only normalize it, and build the response."""
        call = self._service.observe if options.learn else self._service.normalize
        try:
            answer = await call(stream_id, reading, stats=options.stats)
        except StreamnormError as error:
            kind, problem = problems.to_problem(error)
            self._refused(kind.slug, f"{PREFIX}{stream_id}{SUFFIX}: {problem['detail']}")
            return problems.problem_response(problem)
        return Response(dumps(serialize.reading_to_json(stream_id, reading, answer)), media_type=JSON)


def is_last(message: Message) -> bool:
    """Return whether a body ends with this message."""
    return message["type"] == "http.request" and not message.get("more_body")


def replay_receive(messages: Sequence[Message], receive: Any) -> Any:
    """Return a `receive` that first returns messages received earlier."""
    earlier = deque(messages)

    async def receive_again() -> Any:
        return earlier.popleft() if earlier else await receive()

    return receive_again
