"""NDJSON both ways at once: each line is answered as it is applied, while the request is still being sent.

A bad line is answered by a problem line, which ends the answer: what was before it is applied, what is behind it not.
So it is where the caller's key is good no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from fastapi import Response
from starlette.requests import ClientDisconnect

from streamnorm.api import bodies
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.api.http.request_state import RequestState
from streamnorm.api.talk import Lines
from streamnorm.errors import StreamnormError


class LineAnswers(Response):
    """The answer to a request that goes on while it is answered."""

    media_type = bodies.NDJSON

    def __init__(self, talk: Lines, parts: AsyncIterator[bytes], longest: int, exchange: RequestState | None) -> None:
        self.status_code = HTTPStatus.OK
        self.background = None
        self.init_headers()
        self._talk = talk
        self._parts = parts
        self._longest = longest
        self._revoked: StreamnormError | None = None
        self._waiting: asyncio.Timeout | None = None
        if exchange is not None:
            exchange.on_revoked(self._revoke)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002
        """Answer line by line."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for said in self._answers():
            if said:
                body = b"".join(map(bodies.dumps_line, said))
                await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _answers(self) -> AsyncIterator[list[Any]]:
        rest = b""
        try:
            async for part in self._heard():
                *lines, rest = (rest + part).split(b"\n")
                if len(rest) > self._longest:
                    lines.append(rest)
                said = await self._talk.answer(lines)
                yield said.answers
                if not said.well:
                    return
        except ClientDisconnect:
            return
        except (HTTPProblem, StreamnormError) as error:
            yield [self._talk.problem(error)]
            return
        yield (await self._talk.answer([rest])).answers

    async def _heard(self) -> AsyncIterator[bytes]:
        """Receive parts until the end, or until the caller may not go on.

        Raises:
            StreamnormError: why the caller may not go on.

        """
        while True:
            try:
                async with asyncio.timeout(None) as self._waiting:
                    part = await anext(self._parts, None)
            except TimeoutError:
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
