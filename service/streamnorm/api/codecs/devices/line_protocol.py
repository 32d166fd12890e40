"""InfluxDB line protocol: valid points are observed; the others are reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fastapi import Response

from streamnorm.api.codecs.batches import observe_valid
from streamnorm.api.codecs.codec import DecodeContext, Described
from streamnorm.api.codecs.json.ndjson import slices
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.api.middleware.authorization import check_streams
from streamnorm.errors import InvalidInput, StreamnormError
from streamnorm.formats import line_protocol
from streamnorm.formats.point_columns import PointColumns
from streamnorm.ingest import IngestService

#: Rejected points that are listed in the response.
TOLD = 10
#: Lines of which one that is not plain makes the others be read one by one.
AT_ONCE = 64


@dataclass
class PointBatch:
    """Points, and the faults of invalid lines."""

    columns: PointColumns
    faults: Faults
    is_table = False

    async def observe(self, service: IngestService, *, learn: bool) -> Faults:
        """Observe the valid points, in order within each stream; return the faults of the others."""
        assert learn  # noqa: S101 - a write only learns

        def refuse(row: int, error: StreamnormError) -> None:
            self.faults.add(self.columns.lines[row], error)

        await observe_valid(service, self.columns, refuse)
        return self.faults


@dataclass
class Faults:
    """The faults of lines: the first few, and the total count."""

    count: int = 0
    first: list[str] = field(default_factory=list)
    bytes = 0

    def add(self, line: int, detail: object) -> None:
        """Record the fault of a line."""
        self.count += 1
        if self.count <= TOLD:
            self.first.append(f"line {line}: {detail}")


class LineProtocolCodec:
    """Points of line protocol, whatever media type the request declares."""

    media_type = "text/plain"
    binary = False
    general = False
    body: Described | None = None
    answer: Described | None = None

    def decode(self, data: bytes, context: DecodeContext) -> PointBatch:
        """Decode points; invalid lines are recorded as faults.

        Raises:
            Malformed: the body is not UTF-8.
            Forbidden: the caller has no access to a stream.
            HTTPProblem: there are too many points.

        """
        columns, faults = PointColumns(context.limits, context.template, context.tick), Faults()
        for line, point, detail in line_protocol.parsed(_others(data, columns), columns.append_line):
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
        """Respond 204 if all points were accepted.

        Raises:
            Malformed: listing those that were not.

        """
        if not answered.count:
            return Response(status_code=204)
        more = f"; and {answered.count - TOLD} more" if answered.count > TOLD else ""
        raise line_protocol.Malformed(f"partial write: {answered.count} refused: {'; '.join(answered.first)}{more}")


def _others(data: bytes, columns: PointColumns) -> Iterator[tuple[int, str]]:
    """Add the plain lines of the body to the `columns`, as many at once as can be, and yield the others, numbered.

    A text between quotes may go on in lines that look plain: where there are quotes all lines are yielded.

    Raises:
        Malformed: the body is not UTF-8; then nothing was observed.

    """
    quoted, number, at = b'"' in data, 1, 0
    for some in slices(data):
        try:
            text = some.decode()
        except UnicodeDecodeError as error:
            located = UnicodeDecodeError(error.encoding, bytes(data), error.start + at, error.end + at, error.reason)
            raise line_protocol.Malformed(f"the body is not UTF-8: {located}") from None
        if not at:
            text = text.removeprefix("\ufeff")
        if not quoted:  # ends of lines as Windows has them
            text = text.replace("\r\n", "\n").removesuffix("\r")
        if quoted or not columns.append_lines(number, text.removesuffix("\n")):  # a body ends in a newline, mostly
            lines = text.split("\n")
            for start in range(0, len(lines), AT_ONCE):
                together = lines[start : start + AT_ONCE]
                if quoted or not columns.append_lines(number + start, "\n".join(together)):
                    yield from enumerate(together, number + start)
        number += text.count("\n") + 1
        at += len(some) + 1
