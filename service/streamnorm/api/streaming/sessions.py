"""Talking in readings: texts in, answers out in the same order, over whatever carries them.

Texts that came together are worked on together: readings of one stream are observed at once, and where every reading
is to be kept before it is answered, one commit keeps many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from streamnorm.api.codecs import serialize
from streamnorm.api.codecs.json_readings import ReadingParser
from streamnorm.api.http import problems
from streamnorm.api.http.body import too_large
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.engine.blocks.coalesce import RunResult
from streamnorm.engine.reading import Answer, Reading
from streamnorm.errors import InvalidInput, StaleSequence, StreamnormError
from streamnorm.ingest import IngestService

Error = StreamnormError | HTTPProblem


class ReadingSession:
    """One conversation; texts have at most `longest` letters, and `refused` counts the problems."""

    def __init__(
        self,
        service: IngestService,
        parse: ReadingParser,
        longest: int,
        refused: Callable[[str], None],
        *,
        learn: bool = True,
    ) -> None:
        self._learn = learn
        self._service = service
        self._parse = parse
        self._longest = longest
        self._refused = refused

    def problem(self, error: Error) -> dict[str, Any]:
        """Count a refusal, and return its problem."""
        kind, problem = problems.to_problem(error)
        self._refused(kind.slug)
        return problem

    def _at_once(self, stream_id: str, reading: Reading) -> Answer | None:
        """Observe a reading that needs no waiting; None, and nothing has happened, where it does or is refused."""
        if not self._learn:
            return None
        try:
            return self._service.try_observe_inline(stream_id, reading)
        except StreamnormError:
            return None  # told by the run, which meets it too

    async def _run(self, stream_id: str, readings: Sequence[Reading]) -> RunResult:
        """Observe one stream's readings, or only normalize them, up to the first one that is refused."""
        if self._learn:
            return await self._service.observe_run(stream_id, readings)
        run = RunResult()
        try:
            for reading in readings:
                run.answers.append(await self._service.normalize(stream_id, reading))
        except StreamnormError as error:
            run.error = error
        return run


class MessageSession(ReadingSession):
    """Each text on its own: one that is refused is answered by its problem, and the others are observed."""

    async def answer(self, texts: Sequence[str | bytes]) -> list[Any]:
        """Answer texts; what is of several streams waits for one commit."""
        said: list[Any] = [None] * len(texts)
        of_streams: dict[str, list[tuple[int, Reading]]] = {}
        for place, text in enumerate(texts):
            try:
                if len(text) > self._longest:
                    raise too_large(self._longest, "the message")
                stream_id, reading = self._parse(text)
            except (StreamnormError, HTTPProblem) as error:
                said[place] = self.problem(error)
            else:
                of_streams.setdefault(stream_id, []).append((place, reading))
        waiting = []
        for stream_id, members in of_streams.items():
            place, reading = members[0]
            answer = self._at_once(stream_id, reading) if len(members) == 1 else None
            if answer is None:
                waiting.append(self._observe(stream_id, members, said))
            else:
                said[place] = serialize.reading_to_json(stream_id, reading, answer)
        if len(waiting) > 1:
            await asyncio.gather(*waiting)
        elif waiting:
            await waiting[0]  # a task of its own costs as much as a reading
        return said

    async def _observe(self, stream_id: str, members: Sequence[tuple[int, Reading]], said: list[Any]) -> None:
        """Observe one stream's readings, each with its place among the answers."""
        while members:
            run = await self._run(stream_id, [reading for _, reading in members])
            for (place, reading), answer in zip(members, run.answers, strict=False):
                said[place] = serialize.reading_to_json(stream_id, reading, answer)
            members = members[len(run.answers) :]
            if run.error is not None:
                said[members[0][0]] = self.problem(run.error)
                members = members[1:]


class SessionReply(NamedTuple):
    """Answers to lines, and whether none was refused."""

    answers: list[Any]
    well: bool


class LineSession(ReadingSession):
    """One text after the other: the first one that is refused is the end; errors tell the line and the row."""

    def __init__(
        self,
        service: IngestService,
        parse: ReadingParser,
        longest: int,
        refused: Callable[[str], None],
        *,
        learn: bool = True,
    ) -> None:
        super().__init__(service, parse, longest, refused, learn=learn)
        self._line = 0
        self._row = 0

    async def answer(self, lines: Sequence[bytes]) -> SessionReply:
        """Answer lines up to the first one that is refused, which is answered by its problem."""
        first = self._row
        found, error = self._parsed(lines)
        said: list[Any] = []
        for stream_id, group in groupby(found, itemgetter(0)):
            readings = [reading for _, reading in group]
            answer = self._at_once(stream_id, readings[0]) if len(readings) == 1 else None
            run = await self._run(stream_id, readings) if answer is None else RunResult([answer])
            said += [
                serialize.reading_to_json(stream_id, reading, answer)
                for reading, answer in zip(readings, run.answers, strict=False)
            ]
            if run.error is not None:
                error = _placed(run.error, stream_id, first + len(said))
                break
        if error is not None:
            said.append(self.problem(error))
        return SessionReply(said, error is None)

    def _parsed(self, lines: Sequence[bytes]) -> tuple[list[tuple[str, Reading]], Error | None]:
        """Build readings of lines up to the first one that is none; empty ones are passed over."""
        found: list[tuple[str, Reading]] = []
        for text in lines:
            self._line += 1
            try:
                if len(text) > self._longest:
                    raise too_large(self._longest, f"line {self._line}")
                if text and not text.isspace():
                    found.append(self._parse(text, self._line, self._row))
                    self._row += 1
            except (StreamnormError, HTTPProblem) as error:
                return found, error
        return found, None


def _placed(error: StreamnormError, stream_id: str, row: int) -> StreamnormError:
    """Return an error with the row, or the stream, that it is of."""
    if isinstance(error, StaleSequence):
        return StaleSequence(error.seq, error.last_seq, stream_id)
    return error.within(f"/{row}") if isinstance(error, InvalidInput) else error
