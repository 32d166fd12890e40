"""Between readings and a block of them: a block's rows as readings, and readings that are alike as a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from streamnorm.engine.blocks.block import Block, BlockAnswer
from streamnorm.engine.blocks.readiness import ready_after
from streamnorm.engine.reading import Answer, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def table_rows(block: Block, answer: BlockAnswer, *, listed: bool = False) -> Iterator[tuple[Reading, Answer]]:
    """Yield a block's rows and their answers as they would be, had each come alone; the readings without values.

    `answer` is the block's; `listed` is whether the readings are to be answered as arrays.
    """
    last = len(block.values) - 1
    ready = [answer.ready] * (last + 1) if answer.before is None else ready_after(block.values, answer.before).tolist()
    skews = [0.0] * (last + 1) if answer.skews is None else answer.skews.tolist()
    for row, ys in enumerate(answer.values):
        time = None if block.times is None else float(block.times[row])
        seq = None if block.first_seq is None else block.first_seq + row
        count = answer.count if answer.before is None else answer.count - last + row
        gap = 0 if row else answer.gap
        one = Answer(list(ys), count, ready[row], gap, answer.replayed, skew=skews[row])
        yield Reading(answer.names or block.names, [], listed, time, seq), one


def have_equal_features(readings: Sequence[Reading]) -> bool:
    """Return whether readings make a table: all have the same features, and no channels."""
    names = set(readings[0].names)
    return all(one.plain and len(one.names) == len(names) and names.issuperset(one.names) for one in readings)


def concatenate(readings: Sequence[Reading], answers: Sequence[Answer]) -> tuple[tuple[str, ...], BlockAnswer]:
    """Return the features of readings that are alike, and their answers as one; NaN where there is nothing to say."""
    names, last = readings[0].names, answers[-1]
    table: list[Sequence[Any]] = []
    for reading, answer in zip(readings, answers, strict=True):
        ys = answer.values
        if reading.names != names:
            found = dict(zip(reading.names, ys, strict=True))
            ys = [found[name] for name in names]
        table.append(ys)
    gap = sum(answer.gap for answer in answers)
    skews = np.array([answer.skew for answer in answers])
    whole = np.array(table, dtype=np.float64)
    return names, BlockAnswer(whole, last.count, last.ready, gap, last.replayed, skews if skews.any() else None)
