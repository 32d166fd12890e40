"""WebSockets: a reading a message in, an answer a message out, in the order they came.

Rules:

1. A message is applied before the next one is looked at. Where answers have to wait (for a commit, for a stream that is
   being worked on), up to `WINDOW` readings are under way, so that one commit keeps many of them.
2. Answers leave in the order of their messages. A message that is refused is answered by its problem, and the
   connection stays.
3. When the service stops, what was applied is answered; then the connection is closed, with the reason.

These are ASGI applications of their own: a framework's layers cost a message as much as its answer does.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable
from typing import Any

from fastapi import FastAPI
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from streamnorm.api import answers, bodies, problems
from streamnorm.api.context import STREAM_ID, Context
from streamnorm.api.problems import Refused
from streamnorm.api.texts import Parser
from streamnorm.engine.reading import Reading
from streamnorm.errors import StreamnormError
from streamnorm.stores.keys import ANYONE

#: Readings whose answers wait: enough that one commit of ten milliseconds keeps thousands of readings a second.
WINDOW = 256
GOING_AWAY = 1001
STOPPING = "the service is stopping"
_STREAM_ID = re.compile(STREAM_ID)


class Talk:
    """One connection."""

    def __init__(self, context: Context, parse: Parser, send: Send) -> None:
        self._service = context.service
        self._longest = context.max_reading_bytes
        self._refused = context.metrics.refused
        self._parse = parse
        self._send = send
        self._owed: asyncio.Queue[Awaitable[bytes] | bytes] = asyncio.Queue(WINDOW)
        self._waiting = 0
        self._over = False

    async def listen(self, receive: Receive, draining: asyncio.Event) -> None:
        """Answer what comes, until either side ends it."""
        async with asyncio.TaskGroup() as group:
            others = [group.create_task(self._answer_late()), group.create_task(self._part(draining))]
            while (message := await receive())["type"] != "websocket.disconnect":
                if not self._over:
                    text = message.get("text")
                    await self._hear(message["bytes"] if text is None else text)
            for task in others:
                task.cancel()

    async def _hear(self, text: str | bytes) -> None:
        said: bytes | asyncio.Task[bytes]
        try:
            if len(text) > self._longest:
                raise bodies.too_large(self._longest, "the message")
            stream_id, reading = self._parse(text)
            answer = self._service.observe_at_once(stream_id, reading)
        except (StreamnormError, Refused) as error:
            said = self._problem(error)
        else:
            if answer is None:
                said = asyncio.create_task(self._observe(stream_id, reading))
                await asyncio.sleep(0)  # it is applied now, before the next one is
            else:
                said = bodies.dumps(answers.of_reading(stream_id, reading, answer))
        if isinstance(said, bytes) and not self._waiting:
            await self._say(said)
        else:
            self._waiting += 1
            await self._owed.put(said)

    async def _observe(self, stream_id: str, reading: Reading) -> bytes:
        try:
            answer = await self._service.observe(stream_id, reading)
        except StreamnormError as error:
            return self._problem(error)
        return bodies.dumps(answers.of_reading(stream_id, reading, answer))

    def _problem(self, error: StreamnormError | Refused) -> bytes:
        kind, problem = problems.of(error)
        self._refused(kind.slug)
        return bodies.dumps(problem)

    async def _answer_late(self) -> None:
        """Send the answers that had to wait, in order."""
        while True:
            said = await self._owed.get()
            await self._say(said if isinstance(said, bytes) else await said)
            self._waiting -= 1
            self._owed.task_done()

    async def _say(self, said: bytes) -> None:
        with contextlib.suppress(OSError):  # the other side is gone, as `receive` will tell
            await self._send({"type": "websocket.send", "text": said.decode()})

    async def _part(self, draining: asyncio.Event) -> None:
        """Take leave when the service stops."""
        await draining.wait()
        self._over = True
        await self._owed.join()
        with contextlib.suppress(OSError):
            await self._send({"type": "websocket.close", "code": GOING_AWAY, "reason": STOPPING})


class Live:
    """The calls, for one stream or for readings that name theirs."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept a connection and talk."""
        context = self._context
        stream_id: str | None = scope["path_params"].get("stream_id")
        await receive()  # websocket.connect
        if stream_id is not None and not _STREAM_ID.fullmatch(stream_id):
            await send({"type": "websocket.close", "code": 1008, "reason": "no stream id"})
            return
        await send({"type": "websocket.accept"})
        parse = Parser(context.service.limits, stream_id, scope.get("caller", ANYONE))
        await Talk(context, parse, send).listen(receive, context.draining)


def install(app: FastAPI) -> None:
    """Add the calls to an application."""
    live: Any = Live(app.state.context)
    for path in ("/v1/streams/{stream_id}/live", "/v1/live"):
        app.router.routes.append(WebSocketRoute(path, live))
