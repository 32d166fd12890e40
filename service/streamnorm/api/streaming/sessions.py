"""Transport-independent sessions: ordered request/response over WebSocket messages or NDJSON lines.

Messages that arrive together are processed as a batch: readings of one stream are observed as one run, and when every
reading must be durable before it is answered, one commit covers many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from streamnorm.api.codecs import serialize
from streamnorm.api.codecs.json.readings import ReadingParser
from streamnorm.api.http import problems
from streamnorm.api.http.body import too_large
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.engine.blocks.coalesce import RunResult
from streamnorm.engine.blocks.columns import ReadingColumns
from streamnorm.engine.blocks.interleaved import FEWEST, are_runs
from streamnorm.engine.reading import Answer, Reading
from streamnorm.errors import InvalidInput, StaleSequence, StreamnormError
from streamnorm.ingest import IngestService

Error = StreamnormError | HTTPProblem
#: Readings of several streams that are observed before others have their turn: some five milliseconds.
TOGETHER = 500


class ReadingSession:
    """The state of one session.

    `parse` builds readings from messages of at most `longest` bytes, which `service` observes (without `learn`: only
    normalizes); `refused` is called with the type of each problem, for the metrics.
    """

    def __init__(
        self,
        service: IngestService,
        parse: ReadingParser,
        longest: int,
        refused: Callable[[str, str], None],
        *,
        learn: bool = True,
    ) -> None:
        self._learn = learn
        self._service = service
        self._parse = parse
        self._longest = longest
        self._refused = refused

    def problem(self, error: Error) -> dict[str, Any]:
        """Count an error, and return its problem details."""
        kind, problem = problems.to_problem(error)
        self._refused(kind.slug, problem["detail"])
        return problem

    def _at_once(self, stream_id: str, reading: Reading) -> Answer | None:
        """Observe a reading inline if possible; otherwise, and on an error, return None without side effects."""
        if not self._learn:
            return None
        try:
            return self._service.try_observe_inline(stream_id, reading)
        except StreamnormError:
            return None  # the run raises it again

    async def _run(self, stream_id: str, readings: Sequence[Reading]) -> RunResult:
        """Observe one stream's readings, or only normalize them, up to the first one that fails."""
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
    """Messages fail independently; an invalid one is answered with problem details."""

    async def answer(self, texts: Sequence[str | bytes]) -> list[Any]:
        """Answer messages in order; those of several streams await one commit."""
        replies: list[Any] = [None] * len(texts)
        of_streams: dict[str, list[tuple[int, Reading]]] = {}
        for index, text in enumerate(texts):
            try:
                if len(text) > self._longest:
                    raise too_large(self._longest, "the message")
                stream_id, reading = self._parse(text)
            except (StreamnormError, HTTPProblem) as error:
                replies[index] = self.problem(error)
            else:
                of_streams.setdefault(stream_id, []).append((index, reading))
        waiting = []
        for stream_id, members in of_streams.items():
            index, reading = members[0]
            answer = self._at_once(stream_id, reading) if len(members) == 1 else None
            if answer is None:
                waiting.append(self._observe(stream_id, members, replies))
            else:
                replies[index] = serialize.reading_to_json(stream_id, reading, answer)
        if len(waiting) > 1:
            await asyncio.gather(*waiting)
        elif waiting:
            await waiting[0]  # a separate task costs as much as a reading
        return replies

    async def _observe(self, stream_id: str, members: Sequence[tuple[int, Reading]], replies: list[Any]) -> None:
        """Observe one stream's readings, each given with the index of its reply."""
        while members:
            run = await self._run(stream_id, [reading for _, reading in members])
            for (index, reading), answer in zip(members, run.answers, strict=False):
                replies[index] = serialize.reading_to_json(stream_id, reading, answer)
            members = members[len(run.answers) :]
            if run.error is not None:
                replies[members[0][0]] = self.problem(run.error)
                members = members[1:]


class SessionReply(NamedTuple):
    """Answers to lines, and whether all succeeded."""

    answers: list[Any]
    well: bool


class LineSession(ReadingSession):
    """Lines are processed in order; the first invalid one ends the session. Errors name the line and the row."""

    def __init__(
        self,
        service: IngestService,
        parse: ReadingParser,
        longest: int,
        refused: Callable[[str, str], None],
        *,
        learn: bool = True,
    ) -> None:
        super().__init__(service, parse, longest, refused, learn=learn)
        self._line = 0
        self._row = 0

    async def answer(self, lines: Sequence[bytes]) -> SessionReply:
        """Answer lines up to the first invalid one, which is answered with problem details."""
        first = self._row
        columns = self._columns(lines)
        if columns is None:
            parsed, error = self._parsed(lines)
        else:
            self._line += len(lines)
            self._row += len(columns)
            answers = self._service.try_observe_columns(columns) if self._learn and are_runs(columns) else None
            if answers is not None:
                return SessionReply([*serialize.rows_to_json(columns, answers)], well=True)
            parsed, error = [*columns.readings()], None
        replies: list[Any] = []
        while together := self._together(parsed[:TOGETHER]):
            replies += together
            parsed = parsed[TOGETHER:]
            await asyncio.sleep(0)
        for stream_id, group in groupby(parsed, itemgetter(0)):
            readings = [reading for _, reading in group]
            answer = self._at_once(stream_id, readings[0]) if len(readings) == 1 else None
            run = await self._run(stream_id, readings) if answer is None else RunResult([answer])
            replies += [
                serialize.reading_to_json(stream_id, reading, answer)
                for reading, answer in zip(readings, run.answers, strict=False)
            ]
            if run.error is not None:
                error = _placed(run.error, stream_id, first + len(replies))
                break
        if error is not None:
            replies.append(self.problem(error))
        return SessionReply(replies, error is None)

    def _columns(self, lines: Sequence[bytes]) -> ReadingColumns | None:
        """Parse lines into columns if all are plain readings, or empty; otherwise, and if they are few, return None."""
        if len(lines) < FEWEST or max(map(len, lines)) > self._longest:
            return None
        return self._parse.parse_all_plain(lines)

    def _together(self, parsed: Sequence[tuple[str, Reading]]) -> list[Any]:
        """Answer readings of several streams if none of them has to wait, or is refused; otherwise return nothing."""
        several = self._learn and any(stream_id != parsed[0][0] for stream_id, _ in parsed)
        found = self._service.try_observe_together(parsed) if several else None
        pairs = zip(parsed, found or (), strict=found is not None)
        return [serialize.reading_to_json(stream_id, reading, answer) for (stream_id, reading), answer in pairs]

    def _parsed(self, lines: Sequence[bytes]) -> tuple[list[tuple[str, Reading]], Error | None]:
        """Parse lines up to the first invalid one, skipping empty ones."""
        parsed: list[tuple[str, Reading]] = []
        for text in lines:
            self._line += 1
            try:
                if len(text) > self._longest:
                    raise too_large(self._longest, f"line {self._line}")
                if text and not text.isspace():
                    parsed.append(self._parse(text, self._line, self._row))
                    self._row += 1
            except (StreamnormError, HTTPProblem) as error:
                return parsed, error
        return parsed, None


def _placed(error: StreamnormError, stream_id: str, row: int) -> StreamnormError:
    """Return an error located by its row or its stream."""
    if isinstance(error, StaleSequence):
        return StaleSequence(error.seq, error.last_seq, stream_id)
    return error.within(f"/{row}") if isinstance(error, InvalidInput) else error
