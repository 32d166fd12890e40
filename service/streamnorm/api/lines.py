"""NDJSON both ways at once: each line is answered as it is applied, while the request is still being sent.

A bad line is answered by a problem line, which ends the answer: what was before it is applied, what is behind it not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from fastapi import Response
from starlette.requests import ClientDisconnect

from streamnorm.api import bodies
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.api.talk import Lines


class LineAnswers(Response):
    """The answer to a request that goes on while it is answered."""

    media_type = bodies.NDJSON

    def __init__(self, talk: Lines, parts: AsyncIterator[bytes], longest: int) -> None:
        self.status_code = HTTPStatus.OK
        self.background = None
        self.init_headers()
        self._talk = talk
        self._parts = parts
        self._longest = longest

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
            async for part in self._parts:
                *lines, rest = (rest + part).split(b"\n")
                if len(rest) > self._longest:
                    lines.append(rest)
                said = await self._talk.answer(lines)
                yield said.answers
                if not said.well:
                    return
        except ClientDisconnect:
            return
        except HTTPProblem as error:
            yield [self._talk.problem(error)]
            return
        yield (await self._talk.answer([rest])).answers
