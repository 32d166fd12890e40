"""WebSockets: each message is a reading, and each reply its answer, in the same order.

Rules:

1. Messages that arrive together are processed as a batch, and those that arrive meanwhile form the next one: so one
   commit covers many of them when every reading must be durable before it is answered, and a run of readings of one
   stream costs little more than its arithmetic.
2. An invalid message is answered with problem details, and the connection stays open.
3. On shutdown, drain the receive queue, then close with 1001 and the reason.
4. Received messages are observed even if the client disconnects before their answers.
5. When the caller's key is revoked, drop the receive queue, then close with 1008 and the reason.
6. Backpressure: the receive queue is bounded (1024 messages or 1 MiB); reading stops until the client reads replies.

These are plain ASGI applications: a framework's layers would double the cost of a message.
"""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from fastapi import FastAPI
from pydantic import TypeAdapter, ValidationError
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from streamnorm.api.codecs.json.readings import ReadingParser
from streamnorm.api.dependencies import AppState, check_query
from streamnorm.api.http import problems
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.api.http.request_state import RequestState
from streamnorm.api.http.responses import dumps
from streamnorm.api.streaming.sessions import MessageSession
from streamnorm.auth.api_keys import ANYONE
from streamnorm.engine.names import stream_id_fault
from streamnorm.errors import Fault, StreamnormError

#: Messages in the receive queue: enough for a hundred thousand readings a second with commits of ten milliseconds.
MAX_QUEUED_MESSAGES = 1024
#: Bytes in the receive queue, exceeded by at most one message.
MAX_QUEUED_BYTES = 1024 * 1024
GOING_AWAY = 1001
STOPPING = "the service is stopping"
POLICY_VIOLATION = 1008
#: Limit of a close reason in bytes (RFC 6455, section 5.5).
LONGEST_REASON = 123
#: What uvicorn raises when the client has disconnected, or is being disconnected; `receive` reports it, too.
GONE = (OSError, RuntimeError)
_BOOLEAN = TypeAdapter(bool)


class WebSocketConnection:
    """One connection: a reader fills the receive queue, and a writer answers its messages with the `session`.

    `receive` and `send` are the ASGI channels.
    """

    def __init__(self, session: MessageSession, receive: Receive, send: Send) -> None:
        self._session = session
        self._receive = receive
        self._send = send
        self._queue: list[str | bytes] = []
        self._bytes = 0
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._over = False
        self._group = asyncio.TaskGroup()

    async def run(self, draining: asyncio.Event) -> None:
        """Serve the connection until the client disconnects, or `draining` is set and the queue is drained."""
        async with self._group as group:
            others = [group.create_task(self._answer()), group.create_task(self._close_on_drain(draining))]
            await self._listen()
            await self._quiet.wait()
            for task in others:
                task.cancel()

    def revoke(self, reason: StreamnormError) -> None:
        """Drop the receive queue, and close with the reason."""
        self._over = True
        self._queue.clear()
        text = str(reason).encode()[:LONGEST_REASON].decode(errors="ignore")
        self._group.create_task(self._close(POLICY_VIOLATION, text))

    async def _listen(self) -> None:
        receive = self._receive
        while (message := await receive())["type"] != "websocket.disconnect":
            if self._over:
                continue
            text = message.get("text")
            if text is None:
                text = message["bytes"]
            self._queue.append(text)
            self._bytes += len(text)
            self._some.set()
            self._quiet.clear()
            if len(self._queue) >= MAX_QUEUED_MESSAGES or self._bytes >= MAX_QUEUED_BYTES:
                self._room.clear()
                await self._room.wait()

    async def _answer(self) -> None:
        while True:
            await self._some.wait()
            texts, self._queue, self._bytes = self._queue, [], 0
            self._room.set()
            replies = await self._session.answer(texts)
            with contextlib.suppress(*GONE):
                for reply in replies:
                    await self._send({"type": "websocket.send", "text": dumps(reply).decode()})
            if not self._queue:
                self._some.clear()
                self._quiet.set()

    async def _close_on_drain(self, draining: asyncio.Event) -> None:
        """Close when the service stops, once the receive queue is drained."""
        await draining.wait()
        await self._close(GOING_AWAY, STOPPING)

    async def _close(self, code: int, reason: str) -> None:
        self._over = True
        await self._quiet.wait()
        with contextlib.suppress(*GONE):
            await self._send({"type": "websocket.close", "code": code, "reason": reason})


class WebSocketEndpoint:
    """The WebSocket calls, for one stream or for readings that name their streams."""

    def __init__(self, context: AppState) -> None:
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept and serve a connection."""
        context = self._context
        stream_id: str | None = scope["path_params"].get("stream_id")
        await receive()  # websocket.connect
        try:
            if stream_id is not None and (wrong := stream_id_fault(stream_id)):
                raise HTTPProblem.of("invalid-request", [Fault("/path/stream_id", wrong)])
            learn = learning(scope)
        except HTTPProblem as error:
            kind, problem = problems.to_problem(error)
            context.metrics.refused(kind.slug, f"{scope['path']}: {problem['detail']}")
            await problems.deny(problem, scope, receive, send)
            return
        await send({"type": "websocket.accept"})
        exchange: RequestState | None = scope.get("exchange")
        if exchange is not None:
            receive, send = exchange.raw_channel
        parse = ReadingParser(context.service.limits, stream_id, scope.get("caller", ANYONE))
        refused = context.metrics.refused
        session = MessageSession(context.service, parse, context.max_reading_bytes, refused, learn=learn)
        connection = WebSocketConnection(session, receive, send)
        if exchange is not None:
            exchange.on_revoked(connection.revoke)
        await connection.run(context.draining)


def learning(scope: Scope) -> bool:
    """Return whether a connection learns from its readings, by its query.

    Raises:
        HTTPProblem: the query has other parameters, or `learn` is not a boolean.

    """
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    check_query(query, ["learn"])
    try:
        return _BOOLEAN.validate_python(query.get("learn", "true"))
    except ValidationError:
        fault = Fault("/query/learn", f"must be true or false, not {query['learn']!r}")
        raise HTTPProblem.of("invalid-request", [fault]) from None


class NoEndpoint:
    """What answers a handshake on any other path; the framework would say 403, and no reason."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse."""
        await receive()  # websocket.connect
        kind, detail = problems.of_status(HTTPStatus.NOT_FOUND), f"there is no WebSocket at {scope['path']}"
        scope["app"].state.context.metrics.refused(kind.slug, detail)
        await problems.deny(problems.problem(kind, detail), scope, receive, send)


def install(app: FastAPI) -> None:
    """Add the WebSocket routes to an application."""
    live: Any = WebSocketEndpoint(app.state.context)
    nowhere: Any = NoEndpoint()
    for path in ("/v1/streams/{stream_id}/live", "/v1/live"):
        app.router.routes.append(WebSocketRoute(path, live))
    app.router.routes.append(WebSocketRoute("/{path:path}", nowhere))
