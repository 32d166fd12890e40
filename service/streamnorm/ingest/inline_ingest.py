"""The half of the service that waits for nothing: readings of streams in memory, observed as they are parsed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from streamnorm.engine.blocks.answers import AnswerColumns
from streamnorm.engine.blocks.bulk import Work
from streamnorm.engine.blocks.coalesce import nothing_to_refuse, observe_run
from streamnorm.engine.blocks.columns import ReadingColumns
from streamnorm.engine.blocks.interleaved import all_fit, observe_interleaved
from streamnorm.engine.blocks.observed import Batch, Pair
from streamnorm.engine.limits import Limits
from streamnorm.engine.ports.stream_repository import StreamRepository
from streamnorm.engine.reading import Answer, Reading
from streamnorm.engine.streams.stream import Stream
from streamnorm.ingest.listeners import Listeners


class InlineIngest:
    """Observes readings of the `streams` where that needs no waiting; elsewhere a call returns None.

    `limits` are those of each reading; `clock` returns the time in seconds since 1970.
    """

    def __init__(
        self,
        streams: StreamRepository,
        *,
        limits: Limits,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.streams = streams
        self.limits = limits
        self.clock = clock
        self.listeners = Listeners()
        #: readings observed since the start
        self.observed = 0

    def try_observe_inline(self, stream_id: str, reading: Reading) -> Answer | None:
        """Observe a reading where that needs no waiting; None, and nothing has happened, where it does."""
        stream = self.streams.get_for_inline_update(stream_id)
        return None if stream is None else self.observe_inline(stream_id, stream, reading)

    def observe_inline(self, stream_id: str, stream: Stream, reading: Reading) -> Answer:
        """Observe a `reading` of the stream `stream_id`: of the `stream` just got for an inline update."""
        now = self.clock()
        answer = stream.observe(reading, now, self.limits)
        if not answer.replayed:
            self.streams.commit_inline(stream_id, stream)
            self.observed += 1
            batch = ((reading, answer),)
            for listener in self.listeners:  # `_tell`, without the call
                listener.on_batch(stream_id, batch, now)
        return answer

    def try_observe_together(
        self, readings: Sequence[tuple[str, Reading]], origin: object = None
    ) -> list[Answer] | None:
        """Observe readings of any streams where that needs no waiting, and none is refused or was applied before.

        Otherwise return None; then nothing has happened. Listeners are told the `origin`.
        """
        now = self.clock()
        runs: dict[str, list[Reading]] = {}
        for stream_id, reading in readings:
            runs.setdefault(stream_id, []).append(reading)
        streams: dict[str, Stream] = {}
        for stream_id, run in runs.items():
            stream = self.streams.get_for_inline_update(stream_id)
            if stream is None or not nothing_to_refuse(stream, run, now, self.limits):
                return None
            streams[stream_id] = stream
        if not self._are_in_place(streams):
            return None
        answers: dict[str, Iterator[Answer]] = {}
        for stream_id, stream in streams.items():
            run = runs[stream_id]
            before = stream.state[:] if len(run) > 1 and any(reading.seq is not None for reading in run) else None
            found = observe_run(stream, run, now, self.limits)
            stream.before = before  # what a retry is answered from
            self.streams.commit_inline(stream_id, stream)
            for batch in found.batches:
                self._tell(stream_id, batch, now, origin)
            answers[stream_id] = iter(found.answers)
        return [next(answers[stream_id]) for stream_id, _ in readings]

    def try_observe_columns(self, columns: ReadingColumns) -> AnswerColumns | None:
        """Observe readings of any streams, in order within each, where nothing is to be waited for or to be refused.

        Otherwise return None; then nothing has happened.
        """
        now = self.clock()
        streams: dict[str, Stream] = {}
        for stream_id, rows in columns.groups():
            stream = self.streams.get_for_inline_update(stream_id)
            if stream is None or not all_fit(stream, columns, rows, now, self.limits):
                return None
            streams[stream_id] = stream
        if not self._are_in_place(streams):
            return None
        answers = AnswerColumns(columns)
        groups = [(streams[stream_id], rows) for stream_id, rows in columns.groups()]
        observe_interleaved(groups, Work(columns, answers, now, self.limits))
        pairs: list[Pair] = []

        def pair(row: int) -> Pair:
            if not pairs:  # all at once takes a third of the time that it takes one by one
                pairs.extend(zip((reading for _, reading in columns.readings()), answers.all(), strict=True))
            return pairs[row]

        for stream_id, rows in columns.groups():
            self.streams.commit_inline(stream_id, streams[stream_id])
            self.observed += len(rows)
            self.listeners.tell_rows_at_once(stream_id, (columns, answers, rows), pair, now)
        return answers

    def _are_in_place(self, streams: Mapping[str, Stream]) -> bool:
        """Return whether streams got for an inline update are those in memory.

        A copy is committed at once, or refused; one may have been evicted for another one.
        """
        return all(stream is self.streams.peek(stream_id) for stream_id, stream in streams.items())

    def _tell(self, stream_id: str, batch: Batch, now: float, origin: object = None) -> None:
        self.observed += len(batch)
        self.listeners.tell(stream_id, batch, now, origin)
