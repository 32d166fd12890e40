"""Points of line protocol as columns: what a point is forwarded by (its name, its tags, its exact time) is kept."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from functools import lru_cache

from streamnorm.engine.blocks.columns import NO_SEQ, Head, ReadingColumns
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Reading
from streamnorm.formats import line_protocol
from streamnorm.formats.ids import DEFAULT_TEMPLATE
from streamnorm.formats.line_protocol import Malformed, Point, PointReading
from streamnorm.formats.plain_lines import split_all_plain, split_plain

#: Series whose streams are remembered, at most eight megabytes, and characters of the longest one that is.
KEPT, LONGEST_KEPT = 4096, 256


class PointColumns(ReadingColumns):
    """Readings that came as points.

    Their number is within `limits`. `template` names the stream of a point, see `line_protocol.stream_id`; their times
    are in ticks of `tick` nanoseconds, or None: told by their size.
    """

    def __init__(self, limits: Limits, template: str = DEFAULT_TEMPLATE, tick: int | None = 1) -> None:
        super().__init__(limits)
        self._template = template
        self._tick = tick
        #: the stream and the source of what stands before the fields of lines that `append_line` took
        self._series: dict[str, tuple[int, int]] = {}
        self._sources: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
        self._source_of = array("i")
        self._exact: list[int | None] = []
        #: the number of each point's line
        self.lines = array("q")

    def append_line(self, number: int, line: str) -> bool:
        """Add the point on a `line` of this `number` if it is plain; otherwise return False.

        Raises:
            LimitExceeded: as `append` says.

        """
        plain = split_plain(line)
        if plain is None or len(self._stream_of) >= self._limits.max_rows:
            return False
        series, names, numbers, time = plain
        known = self._series.get(series)
        if known is None:
            read = self._read_series(series)
            if read is None:
                return False
            known = self._series[series] = self._placed(*read)
        stream, source = known
        head = self._heads.get((names, None, False))  # type: ignore[call-overload]  # as a Head hashes
        if head is None:
            head = self._add_head(Head(names, None, listed=False))
        exact = None if time is None else time * (self._tick or line_protocol.told_by_size(time))
        self._numbers.fromlist(numbers)
        self._stream_of.append(stream)
        self._head_of.append(head)
        self._time_of.append(math.nan if exact is None else exact / 1e9)
        self._seq_of.append(NO_SEQ)
        self._source_of.append(source)
        self._exact.append(exact)
        self.lines.append(number)
        return True

    def append_lines(self, first: int, lines: Sequence[str]) -> bool:
        """Add the points on `lines`, the first of this number, if all are plain; otherwise add none, and return False.

        Raises:
            LimitExceeded: as `append` says.

        """
        plain = split_all_plain(lines)
        if plain is None or len(self._stream_of) + len(lines) > self._limits.max_rows:
            return False
        unknown = {series: self._read_series(series) for series in plain.series if series not in self._series}
        if not all(unknown.values()):
            return False
        for series, read in unknown.items():
            self._series[series] = self._placed(*read)  # type: ignore[misc]  # none is None
        heads: list[int] = []
        for names, count in plain.names:
            head = self._heads.get((names, None, False))  # type: ignore[call-overload]  # as a Head hashes
            heads += [self._add_head(Head(names, None, listed=False)) if head is None else head] * count
        streams, sources = zip(*map(self._series.__getitem__, plain.series), strict=True)
        exact = [
            None if time is None else time * (self._tick or line_protocol.told_by_size(time)) for time in plain.times
        ]
        self._numbers.fromlist(plain.numbers)
        self._stream_of.extend(streams)
        self._head_of.fromlist(heads)
        self._time_of.fromlist([math.nan if time is None else time / 1e9 for time in exact])
        self._seq_of.fromlist([NO_SEQ] * len(lines))
        self._source_of.extend(sources)
        self._exact += exact
        self.lines.extend(range(first, first + len(lines)))
        return True

    def append_point(self, stream_id: str, reading: PointReading, line: int) -> None:
        """Add the `reading` of a point, of the stream `stream_id`, that is on the line of this number: `line`.

        Raises:
            LimitExceeded: as `append` says.

        """
        assert reading.point is not None  # noqa: S101 - it came as one
        self.append(stream_id, reading)
        self._source_of.append(self._source(reading.point))
        self._exact.append(reading.point.time)
        self.lines.append(line)

    def reading(self, row: int) -> Reading:
        """Build the reading of a row, with a point without its fields, which the reading has."""
        plain = super().reading(row)
        point = Point(*self._names[self._source_of[row]], {}, self._exact[row])
        return PointReading(plain.names, plain.values, timestamp=plain.timestamp, point=point)

    def freeze(self) -> PointColumns:
        """End the filling, and index the rows."""
        self._names = list(self._sources)
        super().freeze()
        return self

    def _read_series(self, series: str) -> tuple[str, Point] | None:
        """Return the stream of a series, and its point; None if it is malformed, or a comment, or was to be trimmed."""
        read = _read if len(series) <= LONGEST_KEPT else _read.__wrapped__
        return read(series, self._template)

    def _placed(self, stream_id: str, point: Point) -> tuple[int, int]:
        """Return the places of a stream and of a point's source."""
        return self._streams.setdefault(stream_id, len(self._streams)), self._source(point)

    def _source(self, point: Point) -> int:
        return self._sources.setdefault((point.measurement, point.tags), len(self._sources))


@lru_cache(maxsize=KEPT)
def _read(series: str, template: str) -> tuple[str, Point] | None:
    """Do what `_read_series` does; the same series come with every write."""
    if series.startswith("#") or series != series.strip():
        return None
    try:
        point = line_protocol.parse(f"{series} value=0")
        return line_protocol.stream_id(point, template), point
    except Malformed:
        return None
