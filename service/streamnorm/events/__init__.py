"""What was observed, for whoever wants to see it: the recent past of every stream, and queues for subscribers.

Rules:

1. Hearing of a reading costs the same few steps whoever listens: it is packed once, and shared by all.
2. Everything is bounded by rows and by bytes, and what is full drops its oldest; a queue counts what it dropped.
3. All of this happens on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Self

from streamnorm.events.rows import (
    MOST_BYTES,
    MOST_ROWS,
    OVERHEAD,
    Names,
    Row,
    Tail,
    make_row,
    most_rows,
    numbers,
    plain,
    shared,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streamnorm.engine.block import Block, BlockAnswer
    from streamnorm.engine.reading import Answer, Reading
    from streamnorm.engine.stream import Stream

#: Of all streams' pasts together: 500 streams of 8 features remember 200 readings each.
MOST_BYTES_IN_ALL = 32 * 1024 * 1024
#: Seconds, or readings, between two notes of mean and deviation: they cost more than the rest, and move slowly.
SECONDS_BETWEEN_SPREADS = 0.25
READINGS_BETWEEN_SPREADS = 32
#: What Python needs for a past that is still empty.
EMPTY = 1200


class Ring:
    """Rows in order; bounded, the oldest go first."""

    __slots__ = ("bytes", "dropped", "rows")

    #: what it weighs without rows
    empty = 0

    def __init__(self) -> None:
        self.rows: deque[Row] = deque()
        self.bytes = self.empty
        self.dropped = 0

    def add(self, row: Row) -> None:
        """Take a row in."""
        rows = self.rows
        rows.append(row)
        self.bytes += len(row.packed) + OVERHEAD
        while len(rows) > MOST_ROWS or (self.bytes > MOST_BYTES and len(rows) > 1):
            self.bytes -= len(rows.popleft().packed) + OVERHEAD
            self.dropped += 1

    def clear(self) -> None:
        """Forget everything."""
        self.rows.clear()
        self.bytes, self.dropped = self.empty, 0


class Past(Ring):
    """One stream's recent past, and when its mean and deviation were noted last."""

    __slots__ = ("count", "here", "names", "noted", "number", "pack", "tail", "unnoted")

    empty = EMPTY

    def __init__(self) -> None:
        super().__init__()
        self.names: Names = ()
        #: packs a row without means and deviations
        self.pack = numbers(3).pack
        self.noted = -math.inf
        #: readings since then
        self.unnoted = 0
        #: of the latest row among all streams' rows
        self.number = 0
        #: the stream's, at the latest row
        self.count = 0
        #: whether the latest row was observed by this process
        self.here = True
        #: the latest rows, where they came as a block that nobody looked at yet
        self.tail: Tail | None = None

    def add_tail(self, tail: Tail, *, alone: bool) -> None:
        """Take the rows of a block in; `alone` where they leave no room for others."""
        if alone:
            self.clear()
        else:
            self.unpack()
        self.tail = tail
        self.bytes += tail.weight

    def unpack(self) -> None:
        """Make the rows of the last block."""
        tail, self.tail = self.tail, None
        if tail is not None:
            self.bytes -= tail.weight
            for row in tail.rows():
                self.add(row)

    @property
    def latest(self) -> Row | None:
        """The latest row."""
        if self.tail is not None:
            return self.tail.rows(1)[0]
        return self.rows[-1] if self.rows else None

    def clear(self) -> None:
        """Forget everything."""
        super().clear()
        self.tail = None


class Subscription(Ring):
    """A reader's queue: the rows of the named streams (None: of all) whose ids start with `prefix`.

    `glance` is the prefix of the streams whose latest rows the reader looks at now and then.
    """

    __slots__ = ("_hub", "ended", "glance", "prefix", "streams", "wake")

    #: whether it wants rows that were observed elsewhere, too
    everywhere = True

    def __init__(self, hub: Hub, streams: frozenset[str] | None, prefix: str, glance: str | None = None) -> None:
        super().__init__()
        self._hub, self.streams, self.prefix, self.glance = hub, streams, prefix, glance
        self.wake = asyncio.Event()
        self.ended = False

    def wants(self, stream_id: str) -> bool:
        """Tell whether a stream is subscribed to."""
        return (self.streams is None or stream_id in self.streams) and stream_id.startswith(self.prefix)

    def add(self, row: Row) -> None:
        """Queue a row."""
        super().add(row)
        self.wake.set()

    def take(self) -> tuple[list[Row], int]:
        """Give what is queued, and how many rows before it were dropped."""
        taken = list(self.rows), self.dropped
        self.clear()
        self.wake.clear()
        return taken

    def end(self) -> None:
        """Tell the reader that nothing more will come."""
        self.ended = True
        self.wake.set()

    def __enter__(self) -> Self:
        """Begin to hear."""
        self._hub.subscriptions.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop hearing."""
        self._hub.subscriptions.remove(self)


class Hub:
    """Remembers the recent past of every stream, and hands on what is observed; a `streamnorm.service.Listener`.

    `peek` gives a stream that is in memory, for its mean and deviation.
    """

    def __init__(self, peek: Callable[[str], Stream | None]) -> None:
        self._peek = peek
        self._pasts: OrderedDict[str, Past] = OrderedDict()
        self._bytes = 0
        self.subscriptions: list[Subscription] = []
        self.ended = False
        #: rows heard of, which numbers them
        self.number = 0

    def heard(self, stream_id: str, reading: Reading, answer: Answer, now: float) -> None:
        """Hear of one reading."""
        values, ys = reading.values, answer.values
        if not reading.plain:
            values, ys = [plain(value) for value in values], [plain(y) for y in ys]
        past = self._past(stream_id, reading.names, answer.count)
        time = now if reading.timestamp is None else reading.timestamp
        if past.unnoted < READINGS_BETWEEN_SPREADS and now - past.noted < SECONDS_BETWEEN_SPREADS:
            packed = past.pack(time, answer.count, answer.ready, *values, *ys)
        else:
            spreads = self._spreads(past, stream_id, now)
            pack = numbers(3 + 2 * len(values) + len(spreads)).pack
            packed = pack(time, answer.count, answer.ready, *values, *ys, *spreads)
        self._add(past, make_row(Row, (stream_id, past.names, packed)))

    def heard_block(self, stream_id: str, block: Block, answer: BlockAnswer, now: float) -> None:
        """Hear of a block; its last rows are kept."""
        rows = len(block.values)
        past = self._past(stream_id, block.names, answer.count - rows + 1)
        past.count = answer.count
        share = MOST_BYTES_IN_ALL // (len(self._pasts) + 1) - EMPTY  # of many streams, some rows of each
        most = most_rows(len(past.names), share)
        tail = Tail.of(stream_id, past.names, block, answer, now=now, most=most)
        tail = tail._replace(spreads=self._spreads(past, stream_id, now))
        self._bytes -= past.bytes
        past.add_tail(tail, alone=rows >= most)
        self._bytes += past.bytes
        self.number += 1
        past.number, past.here = self.number, True
        if self._bytes > MOST_BYTES_IN_ALL:
            self._make_room()
        for subscription in self.subscriptions:
            if subscription.wants(stream_id):
                for row in tail.rows():
                    subscription.add(row)

    def take(self, row: Row) -> None:
        """Take in a row that was observed elsewhere; one that comes late, after rows that follow it, is left out."""
        time, count = numbers(2).unpack_from(row.packed)
        had = self._pasts.get(row.stream)
        latest = None if had is None else had.latest
        if had is not None and latest is not None and count <= had.count and time <= latest.time:
            return
        past = self._past(row.stream, row.names, int(count))
        self._add(past, row, here=False)

    def subscribe(
        self, streams: frozenset[str] | None = None, prefix: str = "", glance: str | None = None
    ) -> Subscription:
        """Make a reader's queue; it hears while its `with` block runs."""
        subscription = Subscription(self, streams, prefix, glance)
        if self.ended:
            subscription.end()
        return subscription

    def past(self, stream_id: str) -> list[Row]:
        """Give what is remembered of a stream, the oldest first."""
        past = self._pasts.get(stream_id)
        if past is None:
            return []
        self._bytes -= past.bytes
        past.unpack()
        self._bytes += past.bytes
        return list(past.rows)

    def latest(self, since: int, prefix: str = "", *, everywhere: bool = True) -> Iterator[Row]:
        """Give the latest row of each stream that has had one beyond the number `since`, the newest first."""
        for past in reversed(self._pasts.values()):
            if past.number <= since:
                return
            row = past.latest if everywhere or past.here else None
            if row is not None and row.stream.startswith(prefix):
                yield row

    def forget(self, stream_id: str) -> None:
        """Forget the past of a stream that was deleted."""
        past = self._pasts.pop(stream_id, None)
        if past is not None:
            self._bytes -= past.bytes

    def end(self) -> None:
        """End every subscription, so that open event streams do not hold up a shutdown."""
        self.ended = True
        for subscription in self.subscriptions:
            subscription.end()

    def _past(self, stream_id: str, names: Names, count: int) -> Past:
        past = self._pasts.get(stream_id)
        if past is None:
            past = self._pasts[stream_id] = Past()
            self._bytes += past.bytes
        else:
            self._pasts.move_to_end(stream_id)
        if count <= past.count:  # reset, restored or made anew
            self._bytes += past.empty - past.bytes
            past.clear()
        past.count = count
        past.unnoted += 1
        if names != past.names:
            past.names = shared(names)
            past.pack = numbers(3 + 2 * len(names)).pack
        return past

    def _add(self, past: Past, row: Row, *, here: bool = True) -> None:
        self._bytes -= past.bytes
        if past.tail is not None:
            past.unpack()
        past.add(row)
        self._bytes += past.bytes
        self.number += 1
        past.number, past.here = self.number, here
        if self._bytes > MOST_BYTES_IN_ALL:
            self._make_room()
        for subscription in self.subscriptions:
            if (here or subscription.everywhere) and subscription.wants(row.stream):
                subscription.add(row)

    def _make_room(self) -> None:
        """Forget the pasts of the streams that were heard of longest ago, where all together weigh too much."""
        while self._bytes > MOST_BYTES_IN_ALL and len(self._pasts) > 1:
            _, oldest = self._pasts.popitem(last=False)
            self._bytes -= oldest.bytes

    def _spreads(self, past: Past, stream_id: str, now: float) -> tuple[float, ...]:
        stream = self._peek(stream_id)
        if stream is None:
            return ()
        past.noted, past.unnoted = now, 0
        means, stds = zip(*map(stream.spread, past.names), strict=True)
        return (*means, *stds)
