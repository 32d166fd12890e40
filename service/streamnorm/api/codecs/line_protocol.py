"""Line protocol: those points are observed that can be; the answer tells of the others, in InfluxDB's words."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import Response

from streamnorm.api.codecs.codec import DecodeContext, Described
from streamnorm.api.codecs.ndjson import split_lines
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.api.http.responses import encoded
from streamnorm.api.middleware.authorization import check_streams
from streamnorm.engine.columns import AnswerColumns
from streamnorm.errors import InvalidInput, StreamnormError
from streamnorm.formats import line_protocol
from streamnorm.formats.point_columns import PointColumns
from streamnorm.ingest import IngestService

#: Refused points that are told of: as many as somebody reads.
TOLD = 10
#: Points of many streams that are observed before others have their turn: some ten milliseconds.
AT_ONCE = 2000


@dataclass
class PointBatch:
    """Points, and why lines are none."""

    columns: PointColumns
    faults: Faults
    is_table = False

    async def observe(self, service: IngestService, *, learn: bool) -> Faults:
        """Observe the points that can be, in order within each stream; returns why the others cannot be."""
        assert learn  # noqa: S101 - a write only learns
        answers = AnswerColumns(self.columns)
        waiting: list[Coroutine[Any, Any, dict[int, StreamnormError]]] = []
        points = 0
        for stream_id, rows in self.columns.groups():
            waiting.append(service.observe_some(stream_id, self.columns, rows, answers))
            points += len(rows)
            if points >= AT_ONCE:
                await self._all(waiting)
                waiting, points = [], 0
        await self._all(waiting)
        return self.faults

    async def _all(self, waiting: list[Coroutine[Any, Any, dict[int, StreamnormError]]]) -> None:
        for refused in await asyncio.gather(*waiting):
            for row, error in refused.items():
                self.faults.add(self.columns.lines[row], error)


@dataclass
class Faults:
    """What is wrong with lines: the first few, and how many there are."""

    count: int = 0
    first: list[str] = field(default_factory=list)
    bytes = 0

    def add(self, line: int, detail: object) -> None:
        """Note what is wrong with a line."""
        self.count += 1
        if self.count <= TOLD:
            self.first.append(f"line {line}: {detail}")


class LineProtocolCodec:
    """Points of line protocol, whatever media type they are said to have."""

    media_type = "text/plain"
    binary = False
    general = False
    body: Described | None = None
    answer: Described | None = None

    def decode(self, data: bytes, context: DecodeContext) -> PointBatch:
        """Read points; lines that are none are noted.

        Raises:
            Malformed: it is no text.
            Forbidden: a stream is not the caller's.
            Refused: there are too many points.

        """
        columns, faults = PointColumns(context.limits), Faults()
        for line, point, detail in line_protocol.parsed(_texts(data)):
            if point is None:
                faults.add(line, detail)
                continue
            try:
                tick = context.tick or line_protocol.told_by_size(point.time)
                reading = line_protocol.to_reading(point, tick, context.limits)
                stream_id = line_protocol.stream_id(point, context.template)
            except (InvalidInput, line_protocol.Malformed) as error:
                faults.add(line, error)
                continue
            if reading is not None:
                if len(columns) >= context.limits.max_rows:
                    limit = context.limits.max_rows
                    raise HTTPProblem("body-too-large", f"the body has more than {limit} points, the limit (max_rows)")
                columns.append_point(stream_id, reading, line)
        columns.freeze()
        check_streams(context.caller, columns.stream_ids)
        return PointBatch(columns, faults)

    def encode(self, answered: Faults) -> Response:
        """Say that all were taken, or which were not."""
        if not answered.count:
            return Response(status_code=204)
        more = f"; and {answered.count - TOLD} more" if answered.count > TOLD else ""
        return refused(f"partial write: {answered.count} refused: {'; '.join(answered.first)}{more}")


def refused(message: str) -> Response:
    """Refuse in the words that InfluxDB's clients know."""
    return encoded({"code": "invalid", "message": message}, 400)


def _texts(data: bytes) -> Iterator[str]:
    """Yield the lines of UTF-8; what is none is told before anything is observed."""
    at = 0
    for line in split_lines(data):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            start, end = error.start + at, error.end + at
            told = UnicodeDecodeError(error.encoding, bytes(data), start, end, error.reason)
            raise line_protocol.Malformed(f"the body is not UTF-8: {told}") from None
        at += len(line) + 1
