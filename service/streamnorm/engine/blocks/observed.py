"""What was observed together, as listeners are told of it: readings with their answers, or a block with its answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from streamnorm.engine.blocks.block import Block, BlockAnswer
from streamnorm.engine.blocks.convert import table_rows
from streamnorm.engine.reading import Answer, Reading

Pair: TypeAlias = tuple[Reading, Answer]


@dataclass(frozen=True, slots=True)
class ObservedBlock:
    """A block and its answer; its rows become readings where a listener asks for `pairs`."""

    block: Block
    answer: BlockAnswer

    def __len__(self) -> int:
        return len(self.block.values)


Batch: TypeAlias = Sequence[Pair] | ObservedBlock


def pairs(batch: Batch) -> Iterable[Pair]:
    """Return a batch's readings with their answers; a block's rows become readings without values."""
    return table_rows(batch.block, batch.answer) if isinstance(batch, ObservedBlock) else batch
