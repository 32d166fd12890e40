"""Points of line protocol as columns: what a point is forwarded by (its name, its tags, its exact time) is kept."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

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
        #: what stands before the fields of plain lines, and the stream and the source of each
        self._series: dict[str, int] = {}
        self._stream_of_series, self._source_of_series = array("i"), array("i")
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
        if series not in self._series and not self._add_series([series]):
            return False
        place = self._series[series]
        head = self._heads.get((names, None, False))  # type: ignore[call-overload]  # as a Head hashes
        if head is None:
            head = self._add_head(Head(names, None, listed=False))
        exact = None if time is None else time * (self._tick or line_protocol.told_by_size(time))
        self._numbers.fromlist(numbers)
        self._stream_of.append(self._stream_of_series[place])
        self._head_of.append(head)
        self._time_of.append(math.nan if exact is None else exact / 1e9)
        self._seq_of.append(NO_SEQ)
        self._source_of.append(self._source_of_series[place])
        self._exact.append(exact)
        self.lines.append(number)
        return True

    def append_lines(self, first: int, text: str) -> bool:
        """Add the points on the lines of a text, the first of this number, if all are plain; otherwise return False.

        Raises:
            LimitExceeded: as `append` says.

        """
        plain = split_all_plain(text)
        if plain is None or len(self._stream_of) + len(plain.series) > self._limits.max_rows:
            return False
        if not self._add_series(series for series in dict.fromkeys(plain.series) if series not in self._series):
            return False
        for names, count in plain.names:
            head = self._heads.get((names, None, False))  # type: ignore[call-overload]  # as a Head hashes
            head = self._add_head(Head(names, None, listed=False)) if head is None else head
            self._head_of.extend(array("i", (head,)) * count)
        lines = len(plain.series)
        places = np.fromiter(map(self._series.__getitem__, plain.series), np.intp, lines)
        exact = plain.times
        if self._tick is None:
            exact = [time * line_protocol.told_by_size(time) for time in exact]
        elif self._tick > 1:
            exact = [time * self._tick for time in exact]
        self._numbers.extend(plain.numbers)
        self._stream_of.frombytes(np.array(self._stream_of_series)[places].tobytes())
        self._source_of.frombytes(np.array(self._source_of_series)[places].tobytes())
        self._exact += exact or [None] * lines
        self._time_of.frombytes((np.array(exact, np.float64) / 1e9 if exact else np.full(lines, math.nan)).tobytes())
        self._seq_of.extend(array("q", (NO_SEQ,)) * lines)
        self.lines.frombytes(np.arange(first, first + lines, dtype=np.int64).tobytes())
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

    def _add_series(self, unknown: Iterable[str]) -> bool:
        """Add series in this order; return False, and add none, if one is malformed, a comment or to be trimmed."""
        known = {
            series: (_read if len(series) <= LONGEST_KEPT else _read.__wrapped__)(series, self._template)
            for series in unknown
        }
        if not all(known.values()):
            return False
        for series, read in known.items():
            stream_id, point = read  # type: ignore[misc]  # none is None
            self._series[series] = len(self._series)
            self._stream_of_series.append(self._streams.setdefault(stream_id, len(self._streams)))
            self._source_of_series.append(self._source(point))
        return True

    def _source(self, point: Point) -> int:
        return self._sources.setdefault((point.measurement, point.tags), len(self._sources))


@lru_cache(maxsize=KEPT)
def _read(series: str, template: str) -> tuple[str, Point] | None:
    """Return the stream of a series, and its point, or None; the same series come with every write."""
    if series.startswith("#") or series != series.strip():
        return None
    try:
        point = line_protocol.parse(f"{series} value=0")
        return line_protocol.stream_id(point, template), point
    except Malformed:
        return None
