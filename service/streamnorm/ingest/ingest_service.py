"""The service: what every way in (HTTP, WebSocket, MQTT, line protocol) calls to have readings normalized.

It gives the engine the time, keeps what changed by way of the streams, and notifies its listeners.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from streamnorm.engine.blocks.answers import AnswerColumns
from streamnorm.engine.blocks.block import Block, BlockAnswer, normalize_block, observe_block
from streamnorm.engine.blocks.bulk import Pointer, Work, normalize_bulk, observe_bulk, observe_each
from streamnorm.engine.blocks.coalesce import SHORTEST_RUN, RunResult, observe_run
from streamnorm.engine.blocks.columns import ReadingColumns, Rows
from streamnorm.engine.blocks.interleaved import are_runs
from streamnorm.engine.blocks.many import observe_blocks
from streamnorm.engine.blocks.observed import ObservedBlock, Pair
from streamnorm.engine.blocks.stack import AnswerStack, BlockStack
from streamnorm.engine.configuration.plan import Plan
from streamnorm.engine.ports.stream_repository import IN_THREAD, ON_COPY
from streamnorm.engine.reading import Answer, Array, Reading
from streamnorm.engine.streams import lifecycle, snapshot
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import InvalidInput, LimitExceeded, StaleSequence, StreamnormError
from streamnorm.ingest.inline_ingest import InlineIngest
from streamnorm.ingest.offload import OFFLOAD_THRESHOLD, execution_of, offload

#: Readings, if they are narrow, that are observed together before others have their turn: some five milliseconds.
AT_ONCE = 1000


class IngestService(InlineIngest):
    """Observes readings for all ways in."""

    async def observe(self, stream_id: str, reading: Reading, *, stats: bool = False, origin: object = None) -> Answer:
        """Normalize a `reading` of the stream `stream_id` and learn from it.

        With `stats`, the answer has each feature's mean and std. Listeners are told the `origin`.
        """
        now = self.clock()

        def apply(stream: Stream) -> Answer:
            answer = stream.observe(reading, now, self.limits)
            if stats:
                answer.mean_stds = [stream.mean_std(name) for name in answer.named(reading)]
            return answer

        answer = await self.streams.update(stream_id, apply)
        if not answer.replayed:
            self.observed += 1
            batch = ((reading, answer),)
            for listener in self.listeners:
                listener.on_batch(stream_id, batch, now, origin)
        return answer

    async def observe_run(self, stream_id: str, readings: Sequence[Reading]) -> RunResult:
        """Observe readings one after the other, up to the first one that is refused."""
        now = self.clock()

        def apply(stream: Stream) -> RunResult:
            run = observe_run(stream, readings, now, self.limits)
            if run.error is not None and not run.answers:
                raise run.error  # nothing has happened, and no stream is created by it
            return run

        stream = self.streams.get_for_inline_update(stream_id)
        try:
            if stream is None:
                run = await self.streams.update(stream_id, apply)
            else:
                run = apply(stream)
                self.streams.commit_inline(stream_id, stream)
        except StreamnormError as error:
            return RunResult(error=error)
        for batch in run.batches:
            self._tell(stream_id, batch, now)
        return run

    async def normalize(self, stream_id: str, reading: Reading, *, stats: bool = False) -> Answer:
        """Normalize a `reading` of the stream `stream_id` and learn nothing; `stats` is as in `observe`."""
        now = self.clock()

        def look(stream: Stream) -> Answer:
            answer = stream.normalize(reading, now)
            if stats:
                answer.mean_stds = [stream.mean_std(name) for name in answer.named(reading)]
            return answer

        return await self.streams.read(stream_id, look)

    async def denormalize(self, stream_id: str, reading: Reading) -> tuple[tuple[str, ...], list[float | Array]]:
        """Turn normalized values back, by today's statistics; returns the raw features and their values."""
        return await self.streams.read(stream_id, lambda stream: stream.denormalize(reading))

    async def observe_block(self, stream_id: str, block: Block) -> BlockAnswer:
        """Observe a block of one stream's readings, as a whole or not at all."""
        now = self.clock()
        if block.in_place:
            block = block.apart() if self.streams.retries else block.with_last_rows(self.listeners.max_rows)
        answer = await self.streams.update(
            stream_id,
            lambda draft: observe_block(draft, block, now, self.limits),
            how=execution_of(block.values.size),
        )
        self._tell_block(stream_id, block, answer, now)
        return answer

    async def observe_blocks(self, blocks: BlockStack) -> Mapping[str, BlockAnswer]:
        """Observe a block of each of several streams, as a whole or not at all."""
        now = self.clock()
        if blocks.in_place:
            blocks = blocks.apart() if self.streams.retries else blocks.with_last_rows(self.listeners.max_rows)
        answers = await self.streams.update_together(
            blocks,
            lambda drafts: observe_blocks(drafts, blocks, now, self.limits),
            how=execution_of(blocks.table.size),
        )
        replayed = 0 if isinstance(answers, AnswerStack) else sum(answer.replayed for answer in answers.values())
        self.observed += (len(answers) - replayed) * blocks.table.shape[1]
        self.listeners.tell_blocks(blocks, answers, now)
        return answers

    async def normalize_block(self, stream_id: str, block: Block) -> BlockAnswer:
        """Normalize a block and learn nothing."""
        now = self.clock()
        copy = await self.streams.read(stream_id, Stream.draft)
        return await offload(block.values.size, partial(normalize_block, copy, block, now, self.limits))

    async def observe_readings(
        self, readings: Sequence[tuple[str, Reading]], pointers: Sequence[str], *, origin: object = None
    ) -> list[Answer]:
        """Observe readings of any streams, in order within each, as a whole or not at all.

        `pointers` name the readings' places in errors. Listeners hear of the very readings, and are told the `origin`.
        """
        few = len(readings) <= AT_ONCE and sum(len(reading.values) for _, reading in readings) <= OFFLOAD_THRESHOLD
        inline = self.try_observe_together(readings, origin) if few else None
        if inline is not None:
            return inline
        columns = ReadingColumns.of(readings, self.limits)
        now = self.clock()
        answers = await self._observe_columns(columns, pointers.__getitem__, now)
        found = [answers.answer(row) for row in range(len(columns))]
        await self._tell_columns(columns, answers, now, lambda row: (readings[row][1], found[row]), origin)
        return found

    async def observe_columns(self, columns: ReadingColumns, pointer: Pointer) -> AnswerColumns:
        """Observe readings of any streams, in order within each, as a whole or not at all.

        `pointer` names a row's place in errors.
        """
        few = len(columns) <= AT_ONCE and columns.size() <= OFFLOAD_THRESHOLD
        if few and len(columns) < SHORTEST_RUN * len(columns.stream_ids):
            if are_runs(columns):
                inline = self.try_observe_columns(columns)
            else:
                each = self.try_observe_together([*columns.readings()])
                inline = None if each is None else AnswerColumns.of(columns, each)
            if inline is not None:
                return inline
        now = self.clock()
        answers = await self._observe_columns(columns, pointer, now)
        await self._tell_columns(columns, answers, now, _pairs_of(columns, answers))
        return answers

    async def observe_some(
        self, stream_id: str, columns: ReadingColumns, rows: Rows, answers: AnswerColumns
    ) -> dict[int, StreamnormError]:
        """Observe the valid ones of `rows` of the `columns`, all of the stream `stream_id`; fill in their `answers`.

        Return why the others cannot be, by row.
        """
        now = self.clock()
        wrong: dict[int, StreamnormError] = {}

        def refuse(row: int, error: StreamnormError) -> None:
            wrong[row] = error.with_traceback(None)  # its frames would hold on to the reading

        def apply(draft: Stream) -> None:
            wrong.clear()
            observe_each(draft, Work(columns, answers, now, self.limits), rows, refuse)
            if len(wrong) == len(rows):
                raise next(iter(wrong.values()))  # nothing has happened, and no stream is created by it

        how = execution_of(columns.size(rows))
        stream = None if how is IN_THREAD else self.streams.get_for_inline_update(stream_id)
        try:
            if stream is None:
                await self.streams.update(stream_id, apply, how=how)
            else:
                apply(stream)
                self.streams.commit_inline(stream_id, stream)
        except (InvalidInput, LimitExceeded) as error:
            return wrong or dict.fromkeys(rows.tolist(), error)
        taken = np.setdiff1d(rows, list(wrong), assume_unique=True) if wrong else rows
        self.observed += len(taken)
        pair = _pairs_of(columns, answers)
        await self.listeners.tell_rows(stream_id, (columns, answers, taken), pair, now)
        return wrong

    async def normalize_columns(self, columns: ReadingColumns) -> AnswerColumns:
        """Normalize readings by each stream's statistics of one moment, and learn nothing."""
        answers, now = AnswerColumns(columns), self.clock()
        for stream_id, rows in columns.groups():
            copy = await self.streams.read(stream_id, Stream.draft)
            await offload(columns.size(rows), partial(normalize_bulk, copy, columns, rows, answers, now))
        return answers

    async def configure(self, stream_id: str, config: Mapping[str, Any]) -> tuple[Stream, str | None]:
        """Create or reconfigure a stream; returns it, and which statistics had to restart and why, if any had to."""
        new = self.check_configuration(stream_id, config)
        now = self.clock()

        def apply(draft: Stream) -> tuple[Stream, str | None]:
            had = bool(draft.layout.names)
            reason = lifecycle.reconfigure(draft, new, now)
            return draft, reason if had else None

        return await self.streams.update(stream_id, apply, how=ON_COPY)

    def check_configuration(self, stream_id: str, config: Mapping[str, Any]) -> Plan:
        """Check a configuration of a stream, which may have `features`, and return the plan that it makes.

        Raises:
            InvalidConfiguration: naming every fault.

        """
        return self.streams.rulebook.configured(stream_id, config)

    async def reset(self, stream_id: str) -> Stream:
        """Discard a stream's statistics."""
        now = self.clock()

        def apply(draft: Stream) -> Stream:
            lifecycle.reset(draft, now)
            return draft

        return await self.streams.update(stream_id, apply, how=ON_COPY, create=False)

    async def restore(self, stream_id: str, data: object) -> tuple[Stream, bool]:
        """Put a snapshot in place of a stream; returns it, and whether there was none before."""
        stream, _ = self.streams.rulebook.applied(stream_id, snapshot.restore_stream(data, self.limits))
        return stream, await self.streams.replace(stream_id, stream)

    async def merge(self, stream_id: str, data: object) -> Stream:
        """Merge a snapshot into a stream."""
        other = snapshot.restore_stream(data, self.limits)
        now = self.clock()

        def apply(draft: Stream) -> Stream:
            lifecycle.merge(draft, other, now, self.limits)
            return draft

        return await self.streams.update(stream_id, apply, how=ON_COPY, create=False)

    async def _observe_columns(self, columns: ReadingColumns, pointer: Pointer, now: float) -> AnswerColumns:
        answers = AnswerColumns(columns)
        work = Work(columns, answers, now, self.limits, pointer)
        groups = dict(columns.groups())
        how = execution_of(columns.size())

        def apply(stream_id: str, draft: Stream) -> None:
            try:
                observe_bulk(draft, work, groups[stream_id])
            except StaleSequence as error:
                raise StaleSequence(error.seq, error.last_seq, stream_id) from None

        def apply_all(drafts: Mapping[str, Stream]) -> None:
            for stream_id, draft in drafts.items():
                apply(stream_id, draft)

        if len(groups) == 1:  # waits for nobody
            (stream_id,) = groups
            await self.streams.update(stream_id, partial(apply, stream_id), how=how)
        elif how is IN_THREAD:
            await self.streams.update_together(groups, apply_all, how=how)
        else:
            await self.streams.update_many({stream_id: partial(apply, stream_id) for stream_id in groups})
        return answers

    async def _tell_columns(
        self,
        columns: ReadingColumns,
        answers: AnswerColumns,
        now: float,
        pair: Callable[[int], Pair],
        origin: object = None,
    ) -> None:
        for stream_id, rows in columns.groups():
            applied = rows[~answers.replayed[rows]]
            self.observed += len(applied)
            await self.listeners.tell_rows(stream_id, (columns, answers, applied), pair, now, origin)

    def _tell_block(self, stream_id: str, block: Block, answer: BlockAnswer, now: float) -> None:
        if not answer.replayed:
            self._tell(stream_id, ObservedBlock(block, answer), now)


def _pairs_of(columns: ReadingColumns, answers: AnswerColumns) -> Callable[[int], Pair]:
    return lambda row: (columns.reading(row), answers.answer(row))
