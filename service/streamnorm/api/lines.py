"""NDJSON both ways at once: each line is answered as it is applied, while the request is still being sent.

Lines that arrive together are worked on together, and their answers sent together. A bad line is answered by a problem
line, which ends the answer: what was before it is applied, what is behind it is not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from http import HTTPStatus
from itertools import groupby
from operator import itemgetter
from typing import Any

from fastapi import Response
from starlette.requests import ClientDisconnect

from streamnorm.api import answers, bodies, problems
from streamnorm.api.problems import Refused
from streamnorm.api.texts import Parser
from streamnorm.engine.reading import Answer, Reading
from streamnorm.errors import InvalidInput, StaleSequence, StreamnormError
from streamnorm.service import Service


class Lines:
    """The readings of one request, line by line."""

    def __init__(
        self, service: Service, parse: Parser, max_line: int, refused: Callable[[str], None], *, learn: bool = True
    ) -> None:
        self._service = service
        self._parse = parse
        self._max_line = max_line
        self._refused = refused
        self._observe = service.observe_run if learn else self._normalize
        self._line = 0
        self._row = 0

    async def answer(self, lines: Sequence[bytes]) -> tuple[bytes, bool]:
        """Answer whole lines; tells also whether to go on."""
        first = self._row
        found, wrong = self._parsed(lines)
        said: list[Any] = []
        for stream_id, group in groupby(found, itemgetter(0)):
            readings = [reading for _, reading in group]
            given, error = await self._observe(stream_id, readings)
            said += [
                answers.of_reading(stream_id, reading, answer) for reading, answer in zip(readings, given, strict=False)
            ]
            if error is not None:
                wrong = self._placed(error, stream_id, first + len(said))
                break
        answered = b"".join(map(bodies.dumps_line, said))
        return (answered, True) if wrong is None else (answered + self.refuse(wrong), False)

    def refuse(self, error: StreamnormError | Refused) -> bytes:
        """Answer with a problem line."""
        kind, problem = problems.of(error)
        self._refused(kind.slug)
        return bodies.dumps_line(problem)

    def _parsed(self, lines: Sequence[bytes]) -> tuple[list[tuple[str, Reading]], StreamnormError | Refused | None]:
        found: list[tuple[str, Reading]] = []
        try:
            for line in lines:
                self._line += 1
                if len(line) > self._max_line:
                    raise bodies.too_large(self._max_line, f"line {self._line}")
                if line and not line.isspace():
                    found.append(self._parse(line, self._line, f"/{self._row}"))
                    self._row += 1
        except (StreamnormError, Refused) as error:
            return found, error
        return found, None

    async def _normalize(
        self, stream_id: str, readings: Sequence[Reading]
    ) -> tuple[list[Answer], StreamnormError | None]:
        given: list[Answer] = []
        try:
            for reading in readings:
                answer = await self._service.normalize(stream_id, reading)
                given.append(answer)
        except StreamnormError as error:
            return given, error
        return given, None

    @staticmethod
    def _placed(error: StreamnormError, stream_id: str, row: int) -> StreamnormError:
        """Give an error with the row, or the stream, that it is of."""
        if isinstance(error, StaleSequence):
            return StaleSequence(error.seq, error.last_seq, stream_id)
        return error.within(f"/{row}") if isinstance(error, InvalidInput) else error


class LineAnswers(Response):
    """The answer to a request that goes on while it is answered."""

    media_type = bodies.NDJSON

    def __init__(self, lines: Lines, parts: AsyncIterator[bytes], max_line: int) -> None:
        self.status_code = HTTPStatus.OK
        self.background = None
        self.init_headers()
        self._lines = lines
        self._parts = parts
        self._max_line = max_line

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002
        """Answer line by line."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for answered in self._answers():
            if answered:
                await send({"type": "http.response.body", "body": answered, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _answers(self) -> AsyncIterator[bytes]:
        rest = b""
        try:
            async for part in self._parts:
                *lines, rest = (rest + part).split(b"\n")
                if len(rest) > self._max_line:
                    lines.append(rest)
                answered, well = await self._lines.answer(lines)
                yield answered
                if not well:
                    return
        except ClientDisconnect:
            return
        except Refused as error:
            yield self._lines.refuse(error)
            return
        yield (await self._lines.answer([rest]))[0]
