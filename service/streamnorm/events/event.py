"""Events of readings: packed once, and shared by all subscribers."""

from __future__ import annotations

from array import array
from functools import lru_cache
from itertools import islice
from struct import Struct
from typing import Any, NamedTuple

import numpy as np

from streamnorm.engine.reading import Array, Channel
from streamnorm.engine.streams.spreads import means_stds
from streamnorm.engine.streams.stream import UNKNOWN, Stream

Names = tuple[str, ...]
#: Events kept of a stream: a minute at 8 readings a second, a working day at one a minute; enough for a histogram.
MOST_ROWS = 512
#: Limit of one stream's history, and of one queue: a row of 64 features is about 1 kB, so only wider streams keep less.
MOST_BYTES = 1024 * 1024
#: Bytes of an event besides its numbers.
OVERHEAD = 120

#: builds an event in half the time that its class takes
make_row = tuple.__new__


class ReadingEvent(NamedTuple):
    """One reading, packed: (time, count, ready), values, normalized values, optionally means and deviations."""

    stream: str
    names: Names
    packed: bytes

    @property
    def time(self) -> float:
        """The reading's time, in seconds since 1970."""
        time: float = numbers(1).unpack_from(self.packed)[0]
        return time

    def event(self) -> dict[str, Any]:
        """Return the reading as plain data; a channel is represented by the mean of its elements."""
        n = len(self.names)
        time, count, ready, *rest = numbers(len(self.packed) // 8).unpack(self.packed)
        parts = [dict(zip(self.names, rest[at : at + n], strict=True)) for at in range(0, len(rest), n)]
        event = {"stream": self.stream, "time": time, "count": int(count), "ready": ready == 1.0}
        return event | dict(zip(("values", "normalized", "mean", "std"), parts, strict=False))

    def summary(self, most: int) -> dict[str, Any]:
        """Return the counters, and the values of at most `most` features."""
        time, count, ready, *rest = numbers(len(self.packed) // 8).unpack(self.packed)
        values = dict(islice(zip(self.names, rest, strict=False), most))
        return {"stream": self.stream, "time": time, "count": int(count), "ready": ready == 1.0, "values": values}


class LazyBlockEvents(NamedTuple):
    """The last rows of a block, unpacked lazily: most blocks are never read as events."""

    stream: str
    names: Names
    #: seconds since 1970, one per row or one for all
    times: Array | float
    #: the stream's count of readings at the last row
    total: int
    ready: bool
    values: Array
    normalized: Array
    #: means and deviations at the last row, packed, or a copy of the stream, if it is small, to work them out of
    spreads: bytes | Stream = b""

    @property
    def weight(self) -> int:
        """Bytes of the unpacked events."""
        return len(self.values) * weight(len(self.names)) + spreads_weight(self.spreads)

    def rows(self, most: int = MOST_ROWS) -> list[ReadingEvent]:
        """Build the events of the last rows, at most `most`."""
        columns, rows = len(self.names), min(len(self.values), most)
        table = np.empty((rows, 3 + 2 * columns))
        table[:, 0] = self.times if isinstance(self.times, float) else self.times[-rows:]
        table[:, 1] = np.arange(self.total - rows + 1, self.total + 1)
        table[:, 2] = self.ready
        table[:, 3 : 3 + columns] = self.values[-rows:]
        table[:, 3 + columns :] = self.normalized[-rows:]
        *before, packed = (row.tobytes() for row in table)
        spreads = self.spreads if isinstance(self.spreads, bytes) else spreads_of(self.spreads, self.names)
        last = packed + spreads
        return [ReadingEvent(self.stream, self.names, row) for row in (*before, last)]


def last_rows(table: Array, most: int) -> Array:
    """Return the last rows of a `table`, at most `most`, in memory that holds no others."""
    return table if table.base is None and len(table) <= most else table[-most:].copy()


def spreads_weight(spreads: bytes | Stream) -> int:
    """Return the bytes of `LazyBlockEvents.spreads`."""
    return len(spreads) if isinstance(spreads, bytes) else 8 * len(spreads.state)


def spreads_of(stream: Stream, names: Names) -> bytes:
    """Pack the means of a stream's features of these `names`, then their deviations; NaN of transformed ones."""
    hidden = stream.layout.transformed  # their statistics are not of the raw values
    if not hidden:
        return means_stds(stream, names).tobytes()
    pairs = [UNKNOWN if name in hidden else stream.mean_std(name) for name in names]
    means, stds = zip(*pairs, strict=True)
    return array("d", means + stds).tobytes()


def origins(given: Names, made: Names) -> list[int]:
    """Return the place in `given`, a reading's names, of the feature that each of its answer's names is of.

    >>> origins(("temp", "wind"), ("temp", "wind.sin", "wind.cos"))
    [0, 1, 1]
    """
    return [given.index(name if name in given else name.rpartition(".")[0]) for name in made]


def weight(columns: int) -> int:
    """Return the bytes of an event with this many features."""
    return 8 * (3 + 2 * columns) + OVERHEAD


def most_rows(columns: int, most_bytes: int = MOST_BYTES) -> int:
    """Return how many events a history or a queue may hold."""
    return max(1, min(MOST_ROWS, min(MOST_BYTES, most_bytes) // weight(columns)))


def plain(value: Any) -> float:
    """Represent a channel by the mean of its elements."""
    if isinstance(value, float):
        return value
    return value.mean if isinstance(value, Channel) else Channel.of(value).mean


@lru_cache(maxsize=1024)
def numbers(count: int) -> Struct:
    """Return the struct of this many float64 numbers."""
    return Struct(f"{count}d")


@lru_cache(maxsize=1024)
def shared(names: Names) -> Names:
    """Return the one tuple of these names that all streams with the same features share.

    >>> shared(("temp", "door")) is shared(tuple(["temp", "door"]))
    True
    """
    return names
