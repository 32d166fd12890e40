"""The event hub: the recent history of every stream, and queues for subscribers.

Rules:

1. A reading is packed once, and the event is shared by all subscribers.
2. All buffers are bounded by rows and bytes, and drop their oldest events; a queue counts what it dropped.
3. All work happens on the event loop's thread.
"""

from __future__ import annotations

from array import array
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from streamnorm.engine.blocks.observed import ObservedBlock
from streamnorm.events.buffers import EMPTY, StreamHistory, Subscription
from streamnorm.events.event import (
    MOST_ROWS,
    LazyBlockEvents,
    Names,
    ReadingEvent,
    last_rows,
    make_row,
    most_rows,
    numbers,
    origins,
    plain,
    shared,
    spreads_of,
    spreads_weight,
)
from streamnorm.events.kinds import INVALID, KindListeners
from streamnorm.events.subscriptions import Subscriptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streamnorm.engine.blocks.block import Block, BlockAnswer
    from streamnorm.engine.blocks.observed import Batch
    from streamnorm.engine.blocks.stack import AnswerStack, BlockStack
    from streamnorm.engine.reading import Array
    from streamnorm.engine.streams.stream import Stream

#: Limit of all histories together: 200 readings each for 500 streams of 8 features.
MOST_BYTES_IN_ALL = 32 * 1024 * 1024
#: the first numbers of a packed event
COUNTERS = numbers(3)
STOPPING = "the service is stopping"
#: Seconds, or readings, between records of mean and deviation: they cost more than the rest, and change slowly.
SECONDS_BETWEEN_SPREADS = 1.0
#: Numbers of a feature's state that are worth copying, instead of working out its mean and deviation.
SMALL = 32
READINGS_BETWEEN_SPREADS = 128


class EventHub:
    """Keeps the recent history of every stream, and publishes events; a `streamnorm.ingest.ObservationListener`.

    `peek` returns a resident stream, for its mean and deviation.
    """

    max_rows: int | None = MOST_ROWS

    def __init__(self, peek: Callable[[str], Stream | None]) -> None:
        self._peek = peek
        self._pasts: OrderedDict[str, StreamHistory] = OrderedDict()
        self._bytes = 0
        self.subscriptions = Subscriptions()
        self.ended = False
        #: sequence number of the latest event
        self.number = 0
        #: the features of the streams whose past is remembered, by the kind of sensor that they look like
        self.kinds: Counter[str] = Counter()
        #: are told when a feature becomes another kind of sensor; must be quick, and never raise
        self.kind_listeners: KindListeners = []

    def on_batch(self, stream_id: str, batch: Batch, now: float, origin: object = None) -> None:  # noqa: ARG002
        """Record the events of a batch, a block's as far as they are kept; see `ObservationListener.on_batch`."""
        if isinstance(batch, ObservedBlock):
            self._record_block(stream_id, batch.block, batch.answer, now)
            return
        for reading, answer in batch:
            values, ys = reading.values, answer.values
            if not reading.plain:
                values, ys = [plain(value) for value in values], [plain(y) for y in ys]
            names = reading.names
            if answer.names is not None:
                values, names = [values[place] for place in origins(names, answer.names)], answer.names
            past, count = self._pasts.get(stream_id), answer.count
            if past is None or count <= past.count or (names is not past.names and names != past.names):
                past = self._past(stream_id, names, count)
            else:  # what `_past` does, without the call
                self._pasts.move_to_end(stream_id)
                past.count = count
                past.unnoted += 1
            time = now if reading.timestamp is None else min(reading.timestamp, now)
            if ys.__class__ is array:  # then the values are one, too
                packed = b"".join((COUNTERS.pack(time, count, answer.ready), values, ys))  # type: ignore[arg-type]
            else:
                packed = past.pack(time, count, answer.ready, *values, *ys)
            if past.unnoted >= READINGS_BETWEEN_SPREADS or now - past.noted >= SECONDS_BETWEEN_SPREADS:
                packed += self._spreads(past, stream_id, now)
            self._add(past, make_row(ReadingEvent, (stream_id, past.names, packed)))

    def on_stack(self, stack: BlockStack, answers: AnswerStack, now: float) -> None:
        """Record the events of the last rows of many streams' blocks; see `StackListener.on_stack`."""
        values = stack.table if stack.last_rows is None else stack.last_rows
        rows, counts, ready = stack.table.shape[1], answers.counts.tolist(), answers.ready.tolist()
        for stream_id, place in stack.places.items():
            tables, count = (values[place], answers.table[place], None), counts[place]
            self._record_rows(stream_id, stack.names, tables, rows=rows, count=count, ready=ready[place], now=now)

    def take(self, row: ReadingEvent) -> None:
        """Record an event of another replica, unless it arrives out of order."""
        time, count = numbers(2).unpack_from(row.packed)
        known = self._pasts.get(row.stream)
        latest = None if known is None else known.latest
        if known is not None and latest is not None and count <= known.count and time <= latest.time:
            return
        past = self._past(row.stream, row.names, int(count))
        self._add(past, row, here=False)

    def subscribe(
        self, streams: frozenset[str] | None = None, prefix: str = "", glance: str | None = None
    ) -> Subscription:
        """Build a subscription, which receives events while its `with` block runs.

        It covers the named `streams` (None: all) whose ids start with `prefix`; `glance` is the prefix of the streams
        to summarize, if any.
        """
        subscription = Subscription(self.subscriptions, streams, prefix, glance)
        if self.ended:
            subscription.end(STOPPING)
        return subscription

    def past(self, stream_id: str) -> list[ReadingEvent]:
        """Return the recent events of a stream, the oldest first."""
        past = self._pasts.get(stream_id)
        if past is None:
            return []
        self._unpack(past)
        return list(past.rows)

    def newest(self, stream_id: str) -> ReadingEvent | None:
        """Return the latest event of a stream, if there is one."""
        past = self._pasts.get(stream_id)
        return None if past is None else past.latest

    def latest(self, since: int, prefix: str = "", *, everywhere: bool = True) -> Iterator[ReadingEvent]:
        """Yield the latest event of each stream with `prefix` that has had one after the number `since`, newest first.

        Without `everywhere`, events of other replicas are left out.
        """
        for past in reversed(self._pasts.values()):
            if past.number <= since:
                return
            row = past.latest if everywhere or past.here else None
            if row is not None and row.stream.startswith(prefix):
                yield row

    def invalid(self, stream_id: str) -> dict[str, str]:
        """Return the features of a stream that send nothing but missing values, each with `INVALID`."""
        past = self._pasts.get(stream_id)
        return {} if past is None else {name: kind for name, kind in past.kinds.told.items() if kind == INVALID}

    def discard(self, stream_id: str) -> None:
        """Discard the history of a deleted stream."""
        past = self._pasts.pop(stream_id, None)
        if past is not None:
            self._bytes -= past.bytes
            past.kinds.forget(self.kinds)

    def end(self) -> None:
        """End every subscription, so that open event streams do not delay a shutdown."""
        self.ended = True
        for subscription in self.subscriptions:
            subscription.end(STOPPING)

    def _record_block(self, stream_id: str, block: Block, answer: BlockAnswer, now: float) -> None:
        """Record the events of a block's last rows."""
        values = (block.values if block.last_rows is None else block.last_rows)[-MOST_ROWS:]
        if answer.names is not None:
            values = values[:, origins(block.names, answer.names)]
        names, rows = answer.names or block.names, len(block.values)
        tables = values, answer.values, block.times
        self._record_rows(stream_id, names, tables, rows=rows, count=answer.count, ready=answer.ready, now=now)

    def _record_rows(
        self,
        stream_id: str,
        names: Names,
        tables: tuple[Array, Array, Array | None],
        *,
        rows: int,
        count: int,
        ready: bool,
        now: float,
    ) -> None:
        """Record the last ones of so many rows: their values, as many as there are, their answers, and their times."""
        values, ys, times = tables
        past = self._past(stream_id, names, count - rows + 1)
        past.count = count
        past.unnoted += rows - 1
        due = past.unnoted >= READINGS_BETWEEN_SPREADS or now - past.noted >= SECONDS_BETWEEN_SPREADS
        spreads: bytes | Stream = b""
        if due and (stream := self._noted(past, stream_id, now)) is not None:
            if len(stream.state) <= SMALL * len(names):
                spreads = stream.draft()
                spreads.answered = spreads.before = None
            else:
                spreads = spreads_of(stream, past.names)
        # one half goes to who comes first, the other is divided between all streams, so that all of them stay
        half = MOST_BYTES_IN_ALL // 2
        share = max(half - self._bytes + past.bytes, half // len(self._pasts))
        most = most_rows(len(past.names), share - EMPTY - spreads_weight(spreads))
        kept = min(most, len(values))
        of_rows = now if times is None else np.minimum(times[-kept:], now)
        tail = LazyBlockEvents(
            stream_id, past.names, of_rows, count, ready, last_rows(values, kept), last_rows(ys, kept), spreads
        )
        self._bytes -= past.bytes
        past.add_tail(tail, alone=rows >= most or rows > kept)
        self._bytes += past.bytes
        self.number += 1
        past.number, past.here = self.number, True
        if self._bytes > MOST_BYTES_IN_ALL:
            self._make_room()
        for subscription in self.subscriptions.of(stream_id) if self.subscriptions else ():
            for row in tail.rows():
                subscription.add(row)

    def _past(self, stream_id: str, names: Names, count: int) -> StreamHistory:
        past = self._pasts.get(stream_id)
        if past is None:
            past = self._pasts[stream_id] = StreamHistory()
            self._bytes += past.bytes
        else:
            self._pasts.move_to_end(stream_id)
        if count <= past.count:  # reset, restored or recreated
            self._bytes += past.empty - past.bytes
            past.clear()
        past.count = count
        past.unnoted += 1
        if names != past.names:
            past.names = shared(names)
            past.pack = numbers(3 + 2 * len(names)).pack
        return past

    def _add(self, past: StreamHistory, row: ReadingEvent, *, here: bool = True) -> None:
        if past.tails:
            self._unpack(past)
        self._bytes += past.add(row)
        self.number = past.number = self.number + 1
        past.here = here
        if self._bytes > MOST_BYTES_IN_ALL:
            self._make_room()
        if self.subscriptions:
            for subscription in self.subscriptions.of(row.stream):
                if here or subscription.everywhere:
                    subscription.add(row)

    def _unpack(self, past: StreamHistory) -> None:
        self._bytes -= past.bytes
        past.unpack()
        self._bytes += past.bytes

    def _make_room(self) -> None:
        """Discard the histories of the least recently active streams until the total limit holds."""
        while self._bytes > MOST_BYTES_IN_ALL and len(self._pasts) > 1:
            _, oldest = self._pasts.popitem(last=False)
            self._bytes -= oldest.bytes
            oldest.kinds.forget(self.kinds)

    def _spreads(self, past: StreamHistory, stream_id: str, now: float) -> bytes:
        stream = self._noted(past, stream_id, now)
        return b"" if stream is None else spreads_of(stream, past.names)

    def _noted(self, past: StreamHistory, stream_id: str, now: float) -> Stream | None:
        """Return the stream whose mean and deviation are recorded now, and look at what kinds its features are."""
        stream = self._peek(stream_id)
        if stream is None:
            return None
        past.noted, past.unnoted = now, 0
        if now >= past.kinds.due:
            self._look(past, stream_id, stream, now)
        return stream

    def _look(self, past: StreamHistory, stream_id: str, stream: Stream, now: float) -> None:
        """Notify the listeners of changed kinds of a stream's features."""
        for change in past.kinds.look(stream_id, stream, now, self.kinds):
            for listener in self.kind_listeners:
                listener(change)
            for subscription in self.subscriptions:
                if subscription.wants(stream_id) or (
                    subscription.glance is not None and stream_id.startswith(subscription.glance)
                ):
                    subscription.add_change(change)
