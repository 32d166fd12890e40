"""Points of line protocol as columns: what a point is forwarded by (its name, its tags, its exact time) is kept."""

from __future__ import annotations

from array import array

from streamnorm.engine.blocks.columns import ReadingColumns
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Reading
from streamnorm.formats.line_protocol import Point, PointReading


class PointColumns(ReadingColumns):
    """Readings that came as points."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._sources: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
        self._source_of = array("i")
        self._exact: list[int | None] = []
        #: the number of each point's line
        self.lines = array("q")

    def append_point(self, stream_id: str, reading: PointReading, line: int) -> None:
        """Add the `reading` of a point, of the stream `stream_id`, that is on the line of this number: `line`.

        Raises:
            LimitExceeded: as `append` says.

        """
        assert reading.point is not None  # noqa: S101 - it came as one
        self.append(stream_id, reading)
        source = (reading.point.measurement, reading.point.tags)
        self._source_of.append(self._sources.setdefault(source, len(self._sources)))
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
