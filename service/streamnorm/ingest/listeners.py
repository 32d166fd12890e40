"""Who hears of what was observed: events, metrics, bridges."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, runtime_checkable

from streamnorm.engine.blocks.answers import AnswerColumns
from streamnorm.engine.blocks.block import BlockAnswer
from streamnorm.engine.blocks.columns import ReadingColumns, Rows
from streamnorm.engine.blocks.observed import Batch, ObservedBlock, Pair, block_of
from streamnorm.engine.blocks.stack import AnswerStack, BlockStack

#: Readings that a listener hears of before others have their turn: some three milliseconds.
TOLD_AT_ONCE = 500
#: Fewer rows are told of faster one by one.
SHORTEST_BLOCK = 4


class ObservationListener(Protocol):
    """Hears of everything that is observed, after it was; must be quick, and never raises."""

    #: of a stream's readings that are observed together it hears of so many, the last ones; None: of all
    max_rows: int | None

    def on_batch(self, stream_id: str, batch: Batch, now: float, origin: object = None) -> None:
        """Be notified of a `batch` of the stream `stream_id`, observed together; replayed readings are not in it.

        `now` is the time of arrival (s since 1970); `origin` is what had them observed, where it said so.
        """


@runtime_checkable
class StackListener(Protocol):
    """A listener that is told of the blocks of many streams at once, if they are a stack."""

    def on_stack(self, stack: BlockStack, answers: AnswerStack, now: float) -> None:
        """Be notified of a `stack` of blocks, and of its `answers`; `now` is as in `on_batch`."""


class Listeners(list[ObservationListener]):
    """The listeners of a service, in the order in which they are told."""

    def __init__(self) -> None:
        super().__init__()
        #: readings of bulks that listeners heard of since others had their turn
        self._told = 0

    @property
    def max_rows(self) -> int:
        """The most rows of a block whose raw values one of them looks at; who hears of all looks at answers only."""
        return max((listener.max_rows or 0 for listener in self), default=0)

    def tell(self, stream_id: str, batch: Batch, now: float, origin: object = None) -> None:
        """Tell of a stream's batch; see `ObservationListener.on_batch`."""
        for listener in self:
            listener.on_batch(stream_id, batch, now, origin)

    def tell_blocks(self, blocks: BlockStack, answers: Mapping[str, BlockAnswer], now: float) -> None:
        """Tell of several streams' `blocks`, and of their `answers`; `now` is as in `on_batch`."""
        for listener in self:
            if isinstance(answers, AnswerStack) and isinstance(listener, StackListener):
                listener.on_stack(blocks, answers, now)
                continue
            for stream_id, answer in answers.items():
                if not answer.replayed:
                    listener.on_batch(stream_id, ObservedBlock(blocks[stream_id], answer), now)

    def tell_rows_at_once(
        self,
        stream_id: str,
        observed: tuple[ReadingColumns, AnswerColumns, Rows],
        pair: Callable[[int], Pair],
        now: float,
    ) -> None:
        """Tell of rows that were observed while nobody else has their turn; see `tell_rows`."""
        for listener in self:
            for batch in batches_for(listener, observed, pair):
                listener.on_batch(stream_id, batch, now)

    async def tell_rows(
        self,
        stream_id: str,
        observed: tuple[ReadingColumns, AnswerColumns, Rows],
        pair: Callable[[int], Pair],
        now: float,
        origin: object = None,
    ) -> None:
        """Tell of rows of columns that were `observed` of the stream `stream_id`; others have their turn in between.

        A listener that hears of all rows is told what `pair` returns of each, another one of a block, where they make
        one. `now` and `origin` are as in `ObservationListener.on_batch`.
        """
        for listener in [*self]:
            for batch in batches_for(listener, observed, pair):
                listener.on_batch(stream_id, batch, now, origin)
                self._told += len(batch)
                if self._told >= TOLD_AT_ONCE:
                    self._told = 0
                    await asyncio.sleep(0)


def batches_for(
    listener: ObservationListener,
    observed: tuple[ReadingColumns, AnswerColumns, Rows],
    pair: Callable[[int], Pair],
) -> Iterable[Batch]:
    """Return what a `listener` is told of rows of columns that were `observed`; see `Listeners.tell_rows`."""
    columns, answers, rows = observed
    due = rows[-(listener.max_rows or 0) :]
    in_block = listener.max_rows is not None and len(due) >= SHORTEST_BLOCK
    block = block_of(columns, answers, due, pair) if in_block else None
    if block is not None:
        return (block,)
    starts = range(0, len(due), TOLD_AT_ONCE)
    return ([pair(row) for row in due[start : start + TOLD_AT_ONCE].tolist()] for start in starts)
