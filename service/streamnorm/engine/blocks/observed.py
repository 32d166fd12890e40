"""What was observed together, as listeners are told of it: readings with their answers, or a block with its answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from streamnorm.engine.blocks.answers import AnswerColumns
from streamnorm.engine.blocks.block import Block, BlockAnswer
from streamnorm.engine.blocks.columns import ReadingColumns, Rows
from streamnorm.engine.blocks.convert import table_rows
from streamnorm.engine.reading import Answer, Reading

Pair: TypeAlias = tuple[Reading, Answer]


@dataclass(frozen=True, slots=True)
class ObservedBlock:
    """A block and its answer; its rows become readings where a listener asks for `pairs`."""

    block: Block
    answer: BlockAnswer
    #: returns the readings that it was made of, if it was
    of: Callable[[], Iterable[Pair]] | None = None

    def __len__(self) -> int:
        return len(self.block.values)


Batch: TypeAlias = Sequence[Pair] | ObservedBlock


def pairs(batch: Batch) -> Iterable[Pair]:
    """Return a batch's readings with their answers; a block's rows become readings without values."""
    if not isinstance(batch, ObservedBlock):
        return batch
    return table_rows(batch.block, batch.answer) if batch.of is None else batch.of()


def block_of(
    columns: ReadingColumns, answers: AnswerColumns, rows: Rows, pair: Callable[[int], Pair]
) -> ObservedBlock | None:
    """Return `rows` of one stream's `columns`, and their `answers`, as a block; `pair` returns both of a row.

    None if they make no block: their features differ, or only some have a time, or are ready.
    """
    if not len(rows) or answers.renamed:
        return None
    first, last = rows.item(0), rows.item(-1)  # to index an array for a number takes three times as long
    head = columns.heads[columns.head_of.item(first)]
    same = columns.uniform or (columns.form_of[rows] == columns.form_of[first]).all()
    same = same and np.count_nonzero(answers.ready[rows]) in {0, len(rows)}
    count = answers.counts.item(last)
    if not head.plain or not same or count - answers.counts.item(first) != len(rows) - 1:
        return None
    times = None if math.isnan(columns.times.item(first)) else columns.times[rows]
    answer = BlockAnswer(answers.rows(rows), count, answers.ready.item(last))
    block = Block(head.names, columns.table(rows), times)
    return ObservedBlock(block, answer, lambda: map(pair, rows.tolist()))
