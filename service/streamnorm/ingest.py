"""The service: what every way in (HTTP, WebSocket, MQTT, line protocol) calls to have readings normalized.

It gives the engine the time, keeps what changed by way of the streams, and tells whoever listens.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

from streamnorm.engine import lifecycle, snapshot
from streamnorm.engine.blocks.block import Block, BlockAnswer, normalize_block, observe_block
from streamnorm.engine.blocks.coalesce import RunResult, observe_readings, observe_run
from streamnorm.engine.blocks.many import observe_blocks
from streamnorm.engine.config import Configuration, configuration
from streamnorm.engine.limits import Limits
from streamnorm.engine.plan import plan
from streamnorm.engine.ports.stream_repository import Change, StreamRepository
from streamnorm.engine.reading import Answer, Array, Reading
from streamnorm.engine.stream import Stream
from streamnorm.errors import LimitExceeded, StaleSequence, StreamnormError

T = TypeVar("T")

#: Blocks of more values are worked on in another thread; for less, the way there and back costs about as much.
OFFLOAD_THRESHOLD = 10_000


class ObservationListener(Protocol):
    """Hears of everything that is observed, after it was; must be quick, and never raises."""

    #: of a stream's readings that are observed together it hears of so many, the last ones; None: of all
    max_rows: int | None

    def on_reading(self, stream_id: str, reading: Reading, answer: Answer, now: float) -> None:
        """Be notified of one reading."""

    def on_block(self, stream_id: str, block: Block, answer: BlockAnswer, now: float) -> None:
        """Be notified of a block."""


class IngestService:
    """Observes readings for all ways in."""

    def __init__(
        self,
        streams: StreamRepository,
        *,
        limits: Limits,
        defaults: Mapping[str, Any],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.streams = streams
        self.limits = limits
        self.clock = clock
        #: configuration of streams that are not configured
        self.defaults = defaults
        self.listeners: list[ObservationListener] = []
        #: readings observed since the start
        self.observed = 0

    def try_observe_inline(self, stream_id: str, reading: Reading) -> Answer | None:
        """Observe a reading where that needs no waiting; None, and nothing has happened, where it does."""
        stream = self.streams.get_for_inline_update(stream_id)
        if stream is None:
            return None
        now = self.clock()
        answer = stream.observe(reading, now, self.limits)
        self._notify(stream_id, reading, answer, now)
        return answer

    async def observe(self, stream_id: str, reading: Reading, *, stats: bool = False) -> Answer:
        """Normalize a reading and learn from it; with `stats`, the answer has each feature's mean and std."""
        now = self.clock()

        def apply(stream: Stream) -> Answer:
            answer = stream.observe(reading, now, self.limits)
            if stats:
                answer.mean_stds = [stream.mean_std(name) for name in reading.names]
            return answer

        answer = await self.streams.update(stream_id, apply)
        self._notify(stream_id, reading, answer, now)
        return answer

    async def observe_run(self, stream_id: str, readings: Sequence[Reading]) -> RunResult:
        """Observe readings one after the other, up to the first one that is refused."""
        now = self.clock()

        def apply(stream: Stream) -> RunResult:
            run = observe_run(stream, readings, now, self.limits)
            if run.error is not None and not run.answers:
                raise run.error  # nothing has happened, and no stream comes into being by it
            return run

        stream = self.streams.get_for_inline_update(stream_id)
        try:
            run = apply(stream) if stream is not None else await self.streams.update(stream_id, apply)
        except StreamnormError as error:
            return RunResult(error=error)
        for what, answer in run.pieces:
            if isinstance(what, Reading):
                self._notify(stream_id, what, cast("Answer", answer), now)
            else:
                self._notify_block(stream_id, what, cast("BlockAnswer", answer), now)
        return run

    async def normalize(self, stream_id: str, reading: Reading, *, stats: bool = False) -> Answer:
        """Normalize a reading and learn nothing."""

        def look(stream: Stream) -> Answer:
            answer = stream.normalize(reading)
            if stats:
                answer.mean_stds = [stream.mean_std(name) for name in reading.names]
            return answer

        return await self.streams.read(stream_id, look)

    async def denormalize(self, stream_id: str, reading: Reading) -> list[float | Array]:
        """Turn normalized values back, by today's statistics."""
        return await self.streams.read(stream_id, lambda stream: stream.denormalize(reading))

    async def observe_block(self, stream_id: str, block: Block) -> BlockAnswer:
        """Observe a block of one stream's readings, as a whole or not at all."""
        now = self.clock()
        heavy = block.values.size > OFFLOAD_THRESHOLD
        answer = await self.streams.update(
            stream_id, lambda draft: observe_block(draft, block, now, self.limits), draft=True, heavy=heavy
        )
        self._notify_block(stream_id, block, answer, now)
        return answer

    async def observe_blocks(self, blocks: Mapping[str, Block]) -> dict[str, BlockAnswer]:
        """Observe a block of each of several streams, as a whole or not at all."""
        now = self.clock()
        heavy = sum(block.values.size for block in blocks.values()) > OFFLOAD_THRESHOLD
        answers = await self.streams.update_together(
            blocks, lambda drafts: observe_blocks(drafts, blocks, now, self.limits), heavy=heavy
        )
        for stream_id, answer in answers.items():
            self._notify_block(stream_id, blocks[stream_id], answer, now)
        return answers

    async def normalize_block(self, stream_id: str, block: Block) -> BlockAnswer:
        """Normalize a block and learn nothing."""
        now = self.clock()
        if block.values.size <= OFFLOAD_THRESHOLD:
            return await self.streams.read(stream_id, lambda stream: normalize_block(stream, block, now, self.limits))
        copy = await self.streams.read(stream_id, Stream.draft)
        return await asyncio.to_thread(normalize_block, copy, block, now, self.limits)

    async def observe_readings(self, readings: Sequence[tuple[str, Reading]], pointers: Sequence[str]) -> list[Answer]:
        """Observe readings of any streams, in order within each, as a whole or not at all.

        `pointers` name the readings' places in errors.
        """
        if len(readings) > self.limits.max_rows:
            detail = f"there are {len(readings)} readings, the limit (max_rows) is {self.limits.max_rows}"
            raise LimitExceeded("max_rows", detail)
        now = self.clock()
        rows: dict[str, list[int]] = {}
        for row, (stream_id, _) in enumerate(readings):
            rows.setdefault(stream_id, []).append(row)

        def of(stream_id: str, group: list[int]) -> Change[list[Answer]]:
            own, places = [readings[row][1] for row in group], [pointers[row] for row in group]

            def apply(draft: Stream) -> list[Answer]:
                try:
                    return observe_readings(draft, own, now, self.limits, places)
                except StaleSequence as error:
                    raise StaleSequence(error.seq, error.last_seq, stream_id) from None

            return apply

        heavy = sum(len(reading.names) for _, reading in readings) > OFFLOAD_THRESHOLD
        found = await self._update_many(
            {stream_id: of(stream_id, group) for stream_id, group in rows.items()}, heavy=heavy
        )
        given = {stream_id: iter(answers) for stream_id, answers in found.items()}
        answers = [next(given[stream_id]) for stream_id, _ in readings]
        for stream_id, group in rows.items():
            own = [(readings[row][1], answers[row]) for row in group if not answers[row].replayed]
            self.observed += len(own)
            for listener in self.listeners:
                for pair in own[-(listener.max_rows or 0) :]:
                    listener.on_reading(stream_id, *pair, now)
        return answers

    async def configure(self, stream_id: str, config: Mapping[str, Any]) -> tuple[Stream, str | None]:
        """Create or reconfigure a stream; returns it, and why its statistics had to restart if they had to."""
        new = plan(self.configuration(config))
        now = self.clock()

        def apply(draft: Stream) -> tuple[Stream, str | None]:
            had = bool(draft.layout.names)
            reason = lifecycle.reconfigure(draft, new, now)
            return draft, reason if had else None

        return await self.streams.update(stream_id, apply, draft=True)

    def configuration(self, config: Mapping[str, Any]) -> Configuration:
        """Fill a configuration up with the defaults and check it."""
        return configuration(config, self.defaults)

    async def reset(self, stream_id: str) -> Stream:
        """Discard a stream's statistics."""
        now = self.clock()

        def apply(draft: Stream) -> Stream:
            lifecycle.reset(draft, now)
            return draft

        return await self.streams.update(stream_id, apply, draft=True, create=False)

    async def restore(self, stream_id: str, data: object) -> tuple[Stream, bool]:
        """Put a snapshot in place of a stream; returns it, and whether there was none before."""
        stream = snapshot.restore_stream(data, self.limits)
        return stream, await self.streams.replace(stream_id, stream)

    async def merge(self, stream_id: str, data: object) -> Stream:
        """Merge a snapshot into a stream."""
        other = snapshot.restore_stream(data, self.limits)
        now = self.clock()

        def apply(draft: Stream) -> Stream:
            lifecycle.merge(draft, other, now, self.limits)
            return draft

        return await self.streams.update(stream_id, apply, draft=True, create=False)

    async def _update_many(self, changes: dict[str, Change[T]], *, heavy: bool) -> dict[str, T]:
        """Change several streams as a whole; one alone waits for nobody."""
        if len(changes) > 1:
            return await self.streams.update_many(changes, heavy=heavy)
        ((stream_id, apply),) = changes.items()
        return {stream_id: await self.streams.update(stream_id, apply, draft=True, heavy=heavy)}

    def _notify(self, stream_id: str, reading: Reading, answer: Answer, now: float) -> None:
        if not answer.replayed:
            self.observed += 1
            for listener in self.listeners:
                listener.on_reading(stream_id, reading, answer, now)

    def _notify_block(self, stream_id: str, block: Block, answer: BlockAnswer, now: float) -> None:
        if not answer.replayed:
            self.observed += len(block.values)
            for listener in self.listeners:
                listener.on_block(stream_id, block, answer, now)
