"""WebSockets: a reading a message in, an answer a message out, in the order they came.

Rules:

1. Messages that came together are worked on together, those that come meanwhile wait: so one commit keeps many of them
   where every reading is to be kept before it is answered, and a run of readings of one stream costs little more than
   its arithmetic.
2. A message that is refused is answered by its problem, and the connection stays.
3. When the service stops, what was heard is answered; then the connection is closed, with the reason.
4. What was heard is observed, even where the other side is gone before its answer.
5. Where the caller's key is good no more, what was heard and not begun with is dropped, and the connection is closed
   with the reason.
6. No more is heard than is answered: what waits is bounded, and who does not read its answers is not listened to.

These are ASGI applications of their own: a framework's layers cost a message as much as its answer does.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from fastapi import FastAPI
from pydantic import TypeAdapter, ValidationError
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from streamnorm.api.codecs.json_readings import ReadingParser
from streamnorm.api.dependencies import STREAM_ID, AppState, check_query
from streamnorm.api.http import problems
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.api.http.request_state import RequestState
from streamnorm.api.http.responses import dumps
from streamnorm.api.streaming.sessions import MessageSession
from streamnorm.auth.api_keys import ANYONE
from streamnorm.errors import Fault, StreamnormError

#: Messages that wait: enough that a commit of ten milliseconds keeps a hundred thousand readings a second.
MAX_QUEUED_MESSAGES = 1024
#: Of their bytes, and one message more.
MAX_QUEUED_BYTES = 1024 * 1024
GOING_AWAY = 1001
STOPPING = "the service is stopping"
POLICY_VIOLATION = 1008
#: Bytes that the reason of a close may have (RFC 6455, section 5.5).
LONGEST_REASON = 123
#: What uvicorn raises where the other side is gone, or is being told to go; `receive` tells it too.
GONE = (OSError, RuntimeError)
_STREAM_ID = re.compile(STREAM_ID)
_BOOLEAN = TypeAdapter(bool)


class WebSocketConnection:
    """One connection: somebody listens, and somebody answers what was heard meanwhile."""

    def __init__(self, talk: MessageSession, receive: Receive, send: Send) -> None:
        self._talk = talk
        self._receive = receive
        self._send = send
        self._heard: list[str | bytes] = []
        self._bytes = 0
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._over = False
        self._group = asyncio.TaskGroup()

    async def run(self, draining: asyncio.Event) -> None:
        """Talk until either side ends it."""
        async with self._group as group:
            others = [group.create_task(self._answer()), group.create_task(self._close_on_drain(draining))]
            await self._listen()
            await self._quiet.wait()
            for task in others:
                task.cancel()

    def revoke(self, reason: StreamnormError) -> None:
        """Observe nothing more, and close."""
        self._over = True
        self._heard.clear()
        told = str(reason).encode()[:LONGEST_REASON].decode(errors="ignore")
        self._group.create_task(self._close(POLICY_VIOLATION, told))

    async def _listen(self) -> None:
        receive = self._receive
        while (message := await receive())["type"] != "websocket.disconnect":
            if self._over:
                continue
            text = message.get("text")
            if text is None:
                text = message["bytes"]
            self._heard.append(text)
            self._bytes += len(text)
            self._some.set()
            self._quiet.clear()
            if len(self._heard) >= MAX_QUEUED_MESSAGES or self._bytes >= MAX_QUEUED_BYTES:
                self._room.clear()
                await self._room.wait()

    async def _answer(self) -> None:
        while True:
            await self._some.wait()
            texts, self._heard, self._bytes = self._heard, [], 0
            self._room.set()
            said = await self._talk.answer(texts)
            with contextlib.suppress(*GONE):
                for one in said:
                    await self._send({"type": "websocket.send", "text": dumps(one).decode()})
            if not self._heard:
                self._some.clear()
                self._quiet.set()

    async def _close_on_drain(self, draining: asyncio.Event) -> None:
        """Take leave when the service stops, once what was heard is answered."""
        await draining.wait()
        await self._close(GOING_AWAY, STOPPING)

    async def _close(self, code: int, reason: str) -> None:
        self._over = True
        await self._quiet.wait()
        with contextlib.suppress(*GONE):
            await self._send({"type": "websocket.close", "code": code, "reason": reason})


class WebSocketEndpoint:
    """The calls, for one stream or for readings that name theirs."""

    def __init__(self, context: AppState) -> None:
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept a connection and talk."""
        context = self._context
        stream_id: str | None = scope["path_params"].get("stream_id")
        await receive()  # websocket.connect
        try:
            if stream_id is not None and not _STREAM_ID.fullmatch(stream_id):
                fault = Fault("/path/stream_id", f"must match {STREAM_ID}")
                raise HTTPProblem.of("invalid-request", [fault])
            learn = learning(scope)
        except HTTPProblem as error:
            kind, problem = problems.to_problem(error)
            context.metrics.refused(kind.slug)
            await problems.deny(problem, scope, receive, send)
            return
        await send({"type": "websocket.accept"})
        exchange: RequestState | None = scope.get("exchange")
        if exchange is not None:
            receive, send = exchange.raw_channel
        parse = ReadingParser(context.service.limits, stream_id, scope.get("caller", ANYONE))
        talk = MessageSession(context.service, parse, context.max_reading_bytes, context.metrics.refused, learn=learn)
        line = WebSocketConnection(talk, receive, send)
        if exchange is not None:
            exchange.on_revoked(line.revoke)
        await line.run(context.draining)


def learning(scope: Scope) -> bool:
    """Return whether a connection learns from its readings, as its query says.

    Raises:
        Refused: the query has something else, or no boolean.

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
        scope["app"].state.context.metrics.refused("not-found")
        kind = problems.of_status(HTTPStatus.NOT_FOUND)
        await problems.deny(problems.problem(kind, f"there is no WebSocket at {scope['path']}"), scope, receive, send)


def install(app: FastAPI) -> None:
    """Add the calls to an application."""
    live: Any = WebSocketEndpoint(app.state.context)
    nowhere: Any = NoEndpoint()
    for path in ("/v1/streams/{stream_id}/live", "/v1/live"):
        app.router.routes.append(WebSocketRoute(path, live))
    app.router.routes.append(WebSocketRoute("/{path:path}", nowhere))
