"""Readings as columns: many of them in a hundred bytes each, where objects take a thousand.

Rules:

1. Rows are in the order in which the readings came; those of one stream keep it.
2. A row has a head: its features' names and shapes. Rows of one head have equally many numbers, and may be gathered as
   a table.
3. `freeze` ends the filling; answers (`AnswerColumns`) can only be made of, and read by, frozen columns.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from streamnorm.engine.reading import Array, Channel, Reading, Value
from streamnorm.errors import LimitExceeded

if TYPE_CHECKING:
    from streamnorm.engine.limits import Limits
    from streamnorm.engine.state.layout import Shape

Rows = npt.NDArray[np.int64]

#: stands for a reading without a number
NO_SEQ = -1


class Head(NamedTuple):
    """What rows have in common: the features' names, their shapes (empty of numbers), and whether they were listed."""

    names: tuple[str, ...]
    shapes: tuple[Shape, ...] | None
    listed: bool

    @property
    def plain(self) -> bool:
        """Whether no feature is a channel."""
        return self.shapes is None

    @property
    def sizes(self) -> list[int]:
        """How many numbers each feature has."""
        return [math.prod(shape) for shape in self.shapes or [()] * len(self.names)]


class PlainReadings(NamedTuple):
    """Readings without channels, all of them `listed` or none: each one's stream and features, and all their numbers.

    `times` (s since 1970) and `seqs` are None where no reading has one.
    """

    stream_ids: list[str]
    names: list[tuple[str, ...]]
    listed: bool
    numbers: array[float]
    times: list[float] | None
    seqs: list[int] | None


class ReadingColumns:
    """Readings of any streams; at most `limits.max_rows`, of features as `limits` allow.

    >>> from streamnorm.engine.limits import Limits
    >>> columns = ReadingColumns(Limits())
    >>> columns.append("boiler-7", Reading(("temp",), [21.4], seq=17))
    >>> columns.freeze().reading(0)
    Reading(names=('temp',), values=[21.4], listed=False, timestamp=None, seq=17, plain=True)
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._streams: dict[str, int] = {}
        self._heads: dict[Head, int] = {}
        self._features: set[str] = set()
        self._numbers = array("d")
        self._stream_of, self._head_of = array("i"), array("i")
        self._time_of, self._seq_of = array("d"), array("q")
        #: the rows of each stream, once they were asked for
        self._groups: list[Rows] = []
        #: ids in the order of their first rows
        self.stream_ids: tuple[str, ...] = ()
        self.heads: tuple[Head, ...] = ()

    @classmethod
    def of(cls, readings: Iterable[tuple[str, Reading]], limits: Limits) -> Self:
        """Build frozen columns of readings, each with its stream."""
        columns = cls(limits)
        for stream_id, reading in readings:
            columns.append(stream_id, reading)
        columns.freeze()
        return columns

    @classmethod
    def of_table(
        cls, names: tuple[str, ...], values: Array, times: Array | None, seqs: Rows | None, limits: Limits
    ) -> Self:
        """Build frozen columns of `values`, one stream's rows × features in the order of `names`; none is a channel.

        `times` (s since 1970) are NaN, and `seqs` negative, where a row has none; `limits` bound the rows.
        """
        columns, rows = cls(limits), len(values)
        columns._streams[""] = 0
        columns._head_of.frombytes(bytes(4 * rows))
        columns._stream_of.frombytes(bytes(4 * rows))
        columns._add_head(Head(names, None, listed=False))
        columns._numbers.frombytes(np.ascontiguousarray(values, np.float64).tobytes())
        given = np.full(rows, math.nan) if times is None else times
        columns._time_of.frombytes(np.ascontiguousarray(given, np.float64).tobytes())
        numbers = np.full(rows, NO_SEQ) if seqs is None else np.maximum(seqs, NO_SEQ)
        columns._seq_of.frombytes(np.ascontiguousarray(numbers, np.int64).tobytes())
        return columns.freeze()

    def __len__(self) -> int:
        return len(self._stream_of)

    def append(self, stream_id: str, reading: Reading) -> None:
        """Add a reading.

        Raises:
            LimitExceeded: there are more rows than `max_rows`, or more features than any stream may have.

        """
        if len(self._stream_of) >= self._limits.max_rows:
            limit = self._limits.max_rows
            raise LimitExceeded("max_rows", f"there are more than {limit} readings, the limit (max_rows)")
        stream = self._streams.get(stream_id)
        if stream is None:
            stream = self._streams[stream_id] = len(self._streams)
        values = reading.values
        shapes = None
        if not reading.plain:
            shapes = tuple([() if isinstance(value, float) else value.elements.shape for value in values])
        head = self._heads.get((reading.names, shapes, reading.listed))  # type: ignore[call-overload]  # as a Head hashes
        if head is None:
            head = self._add_head(Head(reading.names, shapes, reading.listed))
        if reading.plain:
            self._numbers.extend(array("d", values))  # type: ignore[arg-type]  # plain: all are floats
        else:
            for value in values:
                self._numbers.extend([value] if isinstance(value, float) else value.elements.ravel().tolist())
        self._stream_of.append(stream)
        self._head_of.append(head)
        self._time_of.append(math.nan if reading.timestamp is None else reading.timestamp)
        self._seq_of.append(NO_SEQ if reading.seq is None else reading.seq)

    def append_plain(self, readings: PlainReadings) -> bool:
        """Add `readings`; if they are more than `max_rows` allows, add none and return False.

        Raises:
            LimitExceeded: there are more features than any stream may have.

        """
        stream_ids, names, listed, numbers, times, seqs = readings
        rows = len(stream_ids)
        if len(self) + rows > self._limits.max_rows:
            return False
        for stream_id in dict.fromkeys(stream_ids):
            self._streams.setdefault(stream_id, len(self._streams))
        for each in dict.fromkeys(names):
            head = Head(each, None, listed)
            if head not in self._heads:
                self._add_head(head)
        self._stream_of.extend(map(self._streams.__getitem__, stream_ids))
        self._head_of.extend(map(self._heads.__getitem__, zip(names, repeat(None), repeat(listed))))  # type: ignore[arg-type]
        self._numbers.extend(numbers)
        self._time_of.extend(repeat(math.nan, rows) if times is None else times)
        self._seq_of.extend(repeat(NO_SEQ, rows) if seqs is None else seqs)
        return True

    def freeze(self) -> Self:
        """End the filling, and index the rows."""
        self.stream_ids, self.heads = tuple(self._streams), tuple(self._heads)
        self._streams.clear()
        self.numbers: Array = np.frombuffer(self._numbers)
        self.stream_of = np.frombuffer(self._stream_of, np.int32)
        self.head_of = np.frombuffer(self._head_of, np.int32)
        #: seconds since 1970, NaN for none
        self.times: Array = np.frombuffer(self._time_of)
        self.seqs: Rows = np.frombuffer(self._seq_of, np.int64)
        #: what rows make a table by: their head, and whether they have a time
        self.form_of = 2 * self.head_of + np.isnan(self.times)
        #: whether that is the same of all
        self.uniform = not np.count_nonzero(self.form_of[1:] != self.form_of[:-1])
        self.earliest = np.fmin.reduce(self.times, initial=math.inf)
        self.latest = np.fmax.reduce(self.times, initial=-math.inf)
        #: whether a row has a number
        self.numbered = bool(np.count_nonzero(self.seqs != NO_SEQ))
        widths = np.array([sum(head.sizes) for head in self.heads], np.int64)
        ends = widths[self.head_of].cumsum()
        #: where each row's numbers begin, and after the last one where they end
        self.starts: Rows = np.concatenate(([0], ends))
        return self

    def groups(self) -> Iterator[tuple[str, Rows]]:
        """Return the rows of each stream, streams in the order of their first rows."""
        if not self._groups:
            places = self.stream_of.astype(np.min_scalar_type(len(self.stream_ids)))  # 16 bits are sorted by radix
            order = np.argsort(places, kind="stable")
            ends = np.bincount(self.stream_of, minlength=len(self.stream_ids)).cumsum().tolist()
            self._groups = [order[start:end] for start, end in pairwise([0, *ends])]
        return zip(self.stream_ids, self._groups, strict=True)

    def size(self, rows: Rows | None = None) -> int:
        """Count the numbers, of all rows or of some."""
        if rows is None:
            return len(self.numbers)
        if len(self.heads) == 1:
            return len(self.numbers) // len(self) * len(rows)
        return int((self.starts[rows + 1] - self.starts[rows]).sum())

    def reading(self, row: int) -> Reading:
        """Build the reading of a row."""
        head = self.heads[self.head_of[row]]
        values = self.split(row, self.numbers)
        given: list[Value] = [value if isinstance(value, float) else Channel.of(value) for value in values]
        seq, time = int(self.seqs[row]), float(self.times[row])
        return Reading(
            head.names,
            given,
            head.listed,
            None if math.isnan(time) else time,
            None if seq < 0 else seq,
            head.plain,
        )

    def readings(self) -> Iterator[tuple[str, Reading]]:
        """Build all readings, each with its stream."""
        rows = range(len(self))
        if not all(head.plain for head in self.heads):
            yield from ((self.stream_ids[self.stream_of[row]], self.reading(row)) for row in rows)
            return
        own = zip(self.stream_of.tolist(), self.head_of.tolist(), self.times.tolist(), self.seqs.tolist(), strict=True)
        values = self.split_rows(slice(0, len(self)), self.numbers)
        for (stream, place, time, seq), given in zip(own, values, strict=True):
            head = self.heads[place]
            stamp, number = None if math.isnan(time) else time, None if seq < 0 else seq
            yield self.stream_ids[stream], Reading(head.names, given, head.listed, stamp, number)  # type: ignore[arg-type]

    def split(self, row: int, flat: Array) -> list[float | Array]:
        """Cut a row's values out of numbers that are laid out as these: a number, or an array, for each feature."""
        head = self.heads[self.head_of[row]]
        own = flat[self.starts[row] : self.starts[row + 1]]
        if head.shapes is None:
            numbers: list[float | Array] = own.tolist()
            return numbers
        pieces = np.split(own, np.cumsum(head.sizes)[:-1])
        return [piece.reshape(shape) if shape else float(piece[0]) for piece, shape in zip(pieces, head.shapes)]  # noqa: B905

    def split_rows(self, rows: slice, flat: Array) -> Iterator[list[float | Array]]:
        """Cut out the values of adjacent `rows`, as `split` does of one."""
        starts = self.starts[rows.start : rows.stop + 1].tolist()
        if not all(head.plain for head in self.heads):
            return (self.split(row, flat) for row in range(rows.start, rows.start + len(starts) - 1))
        numbers = flat[starts[0] : starts[-1]].tolist()
        return (numbers[start - starts[0] : end - starts[0]] for start, end in pairwise(starts))

    def gather(self, rows: Rows, flat: Array) -> Array:
        """Gather `rows` of one head out of `flat`, numbers that are laid out as these, into rows × numbers."""
        first, last = rows.item(0), rows.item(-1)
        if len(self.heads) > 1:
            found: Array = flat[self._positions(rows)]
        elif last - first == len(rows) - 1:
            found = flat.reshape(len(self), -1)[first : last + 1]
        else:
            found = flat.reshape(len(self), -1).take(rows, 0)
        return found

    def scatter(self, rows: Rows, table: Array, flat: Array) -> None:
        """Put a `table` of `rows` of one head where `gather` finds it in `flat`."""
        if len(self.heads) > 1:
            flat[self._positions(rows)] = table
        else:
            flat.reshape(len(self), -1)[rows] = table

    def _positions(self, rows: Rows) -> Rows:
        """Tell where the numbers of rows of one head are, rows × numbers."""
        where: Rows = self.starts[rows][:, None] + np.arange(self.starts[rows[0] + 1] - self.starts[rows[0]])
        return where

    def table(self, rows: Rows) -> Array:
        """Gather rows of one head, which has no channel, into rows × features."""
        return self.gather(rows, self.numbers)

    def alike(self) -> bool:
        """Whether all rows make one table: they have the same features, in any order, and no channels."""
        names = set(self.heads[0].names)
        return all(head.plain and names == set(head.names) for head in self.heads)

    def _add_head(self, key: Head) -> int:
        most = self._limits.max_features
        self._features.update(key.names)
        if len(key.names) > most or len(self._features) > most * len(self._streams):
            self._limits.check_features(max(len(key.names), len(self._features) // len(self._streams)))
        index = self._heads[key] = len(self._heads)
        return index
