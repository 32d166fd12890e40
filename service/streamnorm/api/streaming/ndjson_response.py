"""Full-duplex NDJSON: each line is answered as it is applied, while the request is still being sent.

An invalid line is answered with a problem line, which ends the response: the lines before it are applied, those after
it are not. A key that is revoked meanwhile ends it, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from fastapi import Response
from starlette.requests import ClientDisconnect

from streamnorm.api.http.negotiation import NDJSON
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.api.http.request_state import RequestState
from streamnorm.api.http.responses import dumps_line
from streamnorm.api.streaming.sessions import LineSession
from streamnorm.errors import StreamnormError

#: Lines answered before control returns to the event loop: about ten milliseconds.
AT_ONCE = 1600


class NDJSONStreamingResponse(Response):
    """The response to a request that is still being sent.

    `session` answers the lines, `parts` yields the decoded body, `longest` is the limit of a line in bytes; `exchange`
    reports when the caller's authorization is revoked.
    """

    media_type = NDJSON

    def __init__(
        self, session: LineSession, parts: AsyncIterator[bytes], longest: int, exchange: RequestState | None
    ) -> None:
        self.status_code = HTTPStatus.OK
        self.background = None
        self.init_headers()
        self._session = session
        self._parts = parts
        self._longest = longest
        self._revoked: StreamnormError | None = None
        self._waiting: asyncio.Timeout | None = None
        if exchange is not None:
            exchange.on_revoked(self._revoke)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002
        """Answer line by line."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for answers in self._answers():
            if answers:
                body = b"".join(map(dumps_line, answers))
                await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _answers(self) -> AsyncIterator[list[Any]]:
        try:
            async for lines in self._lines():
                for start in range(0, len(lines), AT_ONCE):
                    reply = await self._session.answer(lines[start : start + AT_ONCE])
                    yield reply.answers
                    if not reply.well:
                        return
                    await asyncio.sleep(0)
        except ClientDisconnect:
            return
        except (HTTPProblem, StreamnormError) as error:
            yield [self._session.problem(error)]

    async def _lines(self) -> AsyncIterator[list[bytes]]:
        """Yield complete lines as they arrive, and an incomplete one as soon as it is too long.

        The parts of an incomplete line are joined only once: joining them on each arrival would take quadratic time.
        """
        rest: list[bytes] = []
        size = 0
        async for part in self._received():
            first, *others = part.split(b"\n")
            rest.append(first)
            size += len(first)
            lines: list[bytes] = []
            if others:
                lines = [b"".join(rest), *others[:-1]]
                rest, size = [others[-1]], len(others[-1])
            if size > self._longest:
                lines.append(b"".join(rest))
            if lines:
                yield lines
        yield [b"".join(rest)]

    async def _received(self) -> AsyncIterator[bytes]:
        """Yield the parts of the body as they arrive, until the caller's authorization is revoked.

        Raises:
            StreamnormError: the authorization was revoked.

        """
        while True:
            try:
                async with asyncio.timeout(None) as self._waiting:
                    part = await anext(self._parts)
            except (TimeoutError, StopAsyncIteration):
                part = None
            finally:
                self._waiting = None
            if self._revoked is not None:
                raise self._revoked
            if part is None:
                return
            yield part

    def _revoke(self, reason: StreamnormError) -> None:
        self._revoked = reason
        if self._waiting is not None:
            self._waiting.reschedule(0.0)
