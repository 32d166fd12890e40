"""Ring buffers of events, bounded by number and bytes: a stream's recent history, and a subscriber's queue."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Container
from typing import Self

from streamnorm.events.event import (
    MOST_BYTES,
    MOST_ROWS,
    OVERHEAD,
    LazyBlockEvents,
    Names,
    ReadingEvent,
    most_rows,
    numbers,
)
from streamnorm.events.kinds import KindChange, Kinds
from streamnorm.events.subscriptions import Subscriptions

#: Bytes of an empty history: its objects, and what the features of eight were at the last look.
EMPTY = 1810
#: Limit of one subscriber's queue: 170 readings of four features, 58 of twenty. There may be thousands of slow ones.
MOST_QUEUED_BYTES = 32 * 1024


class Ring:
    """A bounded queue of events that drops the oldest."""

    __slots__ = ("bytes", "dropped", "rows")

    #: bytes of an empty buffer
    empty = 0
    #: limit in bytes
    most_bytes = MOST_BYTES

    def __init__(self) -> None:
        self.rows: deque[ReadingEvent] = deque()
        self.bytes = self.empty
        self.dropped = 0

    def add(self, row: ReadingEvent) -> int:
        """Append an event; return by how many bytes the queue has grown."""
        rows, before = self.rows, self.bytes
        rows.append(row)
        size = before + len(row.packed) + OVERHEAD
        while len(rows) > MOST_ROWS or (size > self.most_bytes and len(rows) > 1):
            size -= len(rows.popleft().packed) + OVERHEAD
            self.dropped += 1
        self.bytes = size
        return size - before

    def clear(self) -> None:
        """Discard everything."""
        self.rows.clear()
        self.bytes, self.dropped = self.empty, 0


class StreamHistory(Ring):
    """One stream's recent events, and when its mean and deviation were recorded last."""

    __slots__ = ("count", "here", "kinds", "names", "noted", "number", "pack", "tailed", "tails", "unnoted")

    empty = EMPTY

    def __init__(self) -> None:
        super().__init__()
        self.names: Names = ()
        #: what its features were when they were looked at last
        self.kinds = Kinds()
        #: packs a row without means and deviations
        self.pack = numbers(3).pack
        self.noted = -math.inf
        #: readings since then
        self.unnoted = 0
        #: the hub's sequence number of the latest event
        self.number = 0
        #: the stream's count of readings at the latest event
        self.count = 0
        #: whether the latest event was observed by this process
        self.here = True
        #: the latest events, if they came as blocks and were not unpacked yet; a list, for a deque takes 760 bytes
        #: before there is anything in it
        self.tails: list[LazyBlockEvents] = []
        #: the number of their rows
        self.tailed = 0

    def add_tail(self, tail: LazyBlockEvents, *, alone: bool) -> None:
        """Append the events of a block; with `alone` they replace all others."""
        if alone:
            self.rows.clear()
            self.tails[:] = (tail,)
            self.tailed, self.dropped, self.bytes = len(tail.values), 0, self.empty + tail.weight
            return
        tails = self.tails
        tails.append(tail)
        self.tailed += len(tail.values)
        self.bytes += tail.weight
        most = most_rows(len(tail.names), self.most_bytes)
        while self.tailed - len(tails[0].values) >= most:  # the others suffice
            self.bytes -= sum(len(row.packed) + OVERHEAD for row in self.rows)
            self.rows.clear()
            self._take_tail()

    def unpack(self) -> None:
        """Build the events of the last blocks."""
        while self.tails:
            for row in self._take_tail().rows():
                self.add(row)

    @property
    def latest(self) -> ReadingEvent | None:
        """The latest event."""
        if self.tails:
            return self.tails[-1].rows(1)[0]
        return self.rows[-1] if self.rows else None

    def clear(self) -> None:
        """Discard everything."""
        super().clear()
        self.tails.clear()
        self.tailed = 0

    def _take_tail(self) -> LazyBlockEvents:
        """Remove and return the first of the blocks."""
        tail = self.tails.pop(0)
        self.tailed -= len(tail.values)
        self.bytes -= tail.weight
        return tail


def is_wanted(stream_id: str, streams: Container[str] | None, prefix: str) -> bool:
    """Return whether `stream_id` is one of the named `streams` (None: of all), and starts with `prefix`."""
    return (streams is None or stream_id in streams) and stream_id.startswith(prefix)


class Subscription(Ring):
    """A subscriber's queue: the events of the named `streams` (None: of all) whose ids start with `prefix`.

    It is one of `readers` while it receives events; `glance` is the prefix of the streams whose latest events the
    subscriber requests as summaries.
    """

    __slots__ = ("_readers", "changes", "ended", "full", "glance", "prefix", "reason", "streams", "wake")

    most_bytes = MOST_QUEUED_BYTES
    #: whether it receives events of other replicas, too
    everywhere = True

    def __init__(
        self, readers: Subscriptions, streams: frozenset[str] | None, prefix: str, glance: str | None = None
    ) -> None:
        super().__init__()
        self._readers, self.streams, self.prefix, self.glance = readers, streams, prefix, glance
        self.wake = asyncio.Event()
        #: set when the queue is half full
        self.full = asyncio.Event()
        self.ended = False
        #: why it ended
        self.reason = ""
        #: of the kinds of sensors; bounded, the oldest go first
        self.changes: deque[KindChange] = deque(maxlen=MOST_ROWS)

    def wants(self, stream_id: str) -> bool:
        """Return whether a stream is subscribed to."""
        return is_wanted(stream_id, self.streams, self.prefix)

    def add(self, row: ReadingEvent) -> int:
        """Queue an event; return by how many bytes the queue has grown."""
        grown = super().add(row)
        self.wake.set()
        if self.bytes > self.most_bytes // 2:
            self.full.set()
        return grown

    def add_change(self, change: KindChange) -> None:
        """Queue a change of a sensor's kind."""
        self.changes.append(change)
        self.wake.set()

    def take_changes(self) -> list[KindChange]:
        """Return the changes that are queued."""
        taken = list(self.changes)
        self.changes.clear()
        if not self.rows:  # nothing is left to be woken for
            self.wake.clear()
        return taken

    def take(self) -> tuple[list[ReadingEvent], int]:
        """Return and clear the queue, with the number of events dropped before it."""
        taken = list(self.rows), self.dropped
        self.clear()
        return taken

    def clear(self) -> None:
        """Discard everything."""
        super().clear()
        self.wake.clear()
        self.full.clear()

    def take_one(self) -> tuple[ReadingEvent | None, int]:
        """Remove and return the oldest event, if there is one, with the number of events dropped before it."""
        dropped, self.dropped = self.dropped, 0
        if not self.rows:
            return None, dropped
        row = self.rows.popleft()
        self.bytes -= len(row.packed) + OVERHEAD
        if not self.rows:
            self.clear()
        return row, dropped

    def end(self, reason: str) -> None:
        """End the subscription with a reason."""
        self.ended, self.reason = True, reason
        self.wake.set()
        self.full.set()

    def __enter__(self) -> Self:
        """Start receiving events."""
        self._readers.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop receiving events."""
        self._readers.remove(self)
