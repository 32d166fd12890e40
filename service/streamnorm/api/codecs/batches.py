"""Decoded batches, independent of the media type: single readings, a table of one stream, tables of many streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamnorm.api.codecs.codec import Table
from streamnorm.api.codecs.serialize import reading_to_json, rows_to_json
from streamnorm.engine.blocks.answers import AnswerColumns
from streamnorm.engine.blocks.block import Block, BlockAnswer
from streamnorm.engine.blocks.bulk import Pointer
from streamnorm.engine.blocks.columns import ReadingColumns
from streamnorm.engine.blocks.convert import table_rows
from streamnorm.engine.blocks.stack import AnswerStack, BlockStack
from streamnorm.engine.reading import Array, ordinal_names
from streamnorm.errors import StreamnormError
from streamnorm.ingest import IngestService

#: approximate bytes of an answer in JSON
LINE = 100
#: Readings of many streams that wait for one commit, where they must be durable.
AT_ONCE = 2000
#: Streams of one reading each that are observed before control returns to the event loop: about ten milliseconds.
STREAMS_AT_ONCE = 100


async def observe_valid(
    service: IngestService, columns: ReadingColumns, refused: Callable[[int, StreamnormError], None]
) -> None:
    """Have `service` observe the valid readings of `columns`, in order within each stream.

    `refused` hears of the rows of the others, and why.
    """
    answers = AnswerColumns(columns)
    waiting: list[asyncio.Task[dict[int, StreamnormError]]] = []
    readings = 0

    async def finish() -> None:
        for wrong in await asyncio.gather(*waiting):
            for row, error in wrong.items():
                refused(row, error)
        waiting.clear()

    for stream_id, rows in columns.groups():
        waiting.append(asyncio.create_task(service.observe_some(stream_id, columns, rows, answers)))
        if not len(waiting) % STREAMS_AT_ONCE:
            await asyncio.sleep(0)
        readings += len(rows)
        if readings >= AT_ONCE:
            await finish()
            readings = 0
    await finish()


@dataclass
class ReadingBatch:
    """Readings of any streams, one by one; `pointer` names each in errors."""

    columns: ReadingColumns
    pointer: Pointer

    @property
    def is_table(self) -> bool:
        """Whether the answers form a table."""
        return self.columns.alike()

    async def observe(self, service: IngestService, *, learn: bool) -> AnsweredReadings:
        """Observe the readings, or only normalize them."""
        if not len(self.columns):
            return AnsweredReadings(self, AnswerColumns(self.columns))
        if learn:
            return AnsweredReadings(self, await service.observe_columns(self.columns, self.pointer))
        return AnsweredReadings(self, await service.normalize_columns(self.columns))


@dataclass
class AnsweredReadings:
    """Readings and their answers."""

    batch: ReadingBatch
    answers: AnswerColumns

    @property
    def bytes(self) -> int:
        """Approximate size of the answers as text."""
        return len(self.batch.columns) * LINE

    def bodies(self) -> Iterator[dict[str, Any]]:
        """Return the answer to each reading."""
        return rows_to_json(self.batch.columns, self.answers)

    def table(self) -> Table:
        """Return the answers as a table."""
        columns, answers = self.batch.columns, self.answers
        names, values = answers.table()
        seq = int(columns.seqs[-1])
        gap, replayed = int(answers.gaps.sum()), bool(answers.replayed[-1])
        skews = answers.skews if answers.skews.any() else None
        made = names if answers.renamed else None
        count, ready = int(answers.counts[-1]), bool(answers.ready[-1])
        answer = BlockAnswer(values, count, ready, gap, replayed, skews, names=made)
        return Table(columns.stream_ids[0], names, answer, None if seq < 0 else seq)


@dataclass
class BlockBatch:
    """A table of one stream."""

    stream_id: str
    block: Block
    is_table = True

    async def observe(self, service: IngestService, *, learn: bool) -> AnsweredBlock:
        """Observe the rows, or only normalize them."""
        call = service.observe_block if learn else service.normalize_block
        return AnsweredBlock(self, await call(self.stream_id, self.block))


@dataclass
class AnsweredBlock:
    """A table and its answer."""

    batch: BlockBatch
    answer: BlockAnswer

    @property
    def bytes(self) -> int:
        """Approximate size of the answers as text."""
        return max(self.answer.values.nbytes, len(self.answer.values) * LINE)

    def bodies(self) -> Iterator[dict[str, Any]]:
        """Return the answer to each row."""
        block = self.batch.block
        listed = block.names == ordinal_names(len(block.names))
        return (
            reading_to_json(self.batch.stream_id, reading, answer)
            for reading, answer in table_rows(block, self.answer, listed=listed)
        )

    def table(self) -> Table:
        """Return the answers as a table."""
        block = self.batch.block
        last_seq = None if block.first_seq is None else block.last_seq
        return Table(self.batch.stream_id, self.answer.names or block.names, self.answer, last_seq)


@dataclass
class BlocksBatch:
    """One table for each of several streams."""

    blocks: BlockStack
    is_table = True

    async def observe(self, service: IngestService, *, learn: bool) -> AnsweredBlocks:
        """Observe the tables, or only normalize them."""
        if learn:
            return AnsweredBlocks(self, await service.observe_blocks(self.blocks))
        answers = {name: await service.normalize_block(name, block) for name, block in self.blocks.items()}
        return AnsweredBlocks(self, answers)


@dataclass
class AnsweredBlocks:
    """Tables of many streams and their answers."""

    batch: BlocksBatch
    answers: Mapping[str, BlockAnswer]

    @property
    def bytes(self) -> int:
        """Size of the answers."""
        return self.batch.blocks.table.nbytes

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the arrays of the answer."""
        arrays: dict[str, np.ndarray[Any, Any]] = {"streams": np.array(list(self.answers))}
        if isinstance(self.answers, AnswerStack):
            done = self.answers
            arrays |= {"values": done.table, "count": done.counts, "ready": done.ready}
            return arrays | ({"gap": done.gaps} if done.gaps.any() else {})
        answers = self.answers.values()
        names, values = self._table()
        arrays |= {
            "values": values,
            "count": np.array([answer.count for answer in answers]),
            "ready": np.array([answer.ready for answer in answers]),
        }
        if any(answer.gap for answer in answers):
            arrays["gap"] = np.array([answer.gap for answer in answers])
        if any(answer.replayed for answer in answers):
            arrays["replayed"] = np.array([answer.replayed for answer in answers])
        if names is not None:
            arrays["features"] = np.array(names)
        return arrays

    def _table(self) -> tuple[list[str] | None, Array]:
        """Return the names of the features, where they are not the request's, and the values.

        Then they are those of all streams, NaN where a stream does not have one.
        """
        given, out, answers = self.batch.blocks.names, self.batch.blocks.out, self.answers.values()
        if all(answer.names is None for answer in answers):
            for answer, place in zip(answers, out, strict=True):
                if not np.may_share_memory(answer.values, place):
                    place[...] = answer.values
            return None, out
        places: dict[str, int] = {}
        for answer in answers:
            for name in answer.names or given:
                places.setdefault(name, len(places))
        values = np.full((*out.shape[:2], len(places)), np.nan, out.dtype)
        for answer, own in zip(answers, values, strict=True):
            own[:, [places[name] for name in answer.names or given]] = answer.values
        return list(places), values
