"""Between readings and a block of them: a block's rows as readings, and readings that are alike as a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from streamnorm.engine.blocks.block import Block, BlockAnswer
from streamnorm.engine.reading import Answer, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamnorm.engine.reading import Array


def table_rows(block: Block, answer: BlockAnswer, *, listed: bool = False) -> Iterator[tuple[Reading, Answer]]:
    """Yield a block's rows and their answers as they would be, had each come alone; the readings without values.

    `listed` is whether the readings are to be answered as arrays.
    """
    last = len(block.values) - 1
    ready = [answer.ready] * (last + 1) if answer.lacking is None else ready_after(block.values, answer.lacking)
    for row, ys in enumerate(answer.values):
        time = None if block.times is None else float(block.times[row])
        seq = None if block.first_seq is None else block.first_seq + row
        count = answer.count if answer.lacking is None else answer.count - last + row
        gap = 0 if row else answer.gap
        yield Reading(block.names, [], listed, time, seq), Answer(list(ys), count, ready[row], gap, answer.replayed)


def ready_after(values: Array, lacking: Sequence[float]) -> list[bool]:
    """Tell after which rows every feature has had its warmup, where each lacked so many readings before them."""
    if max(lacking) <= 0:
        return [True] * len(values)
    present = (~np.isnan(values)).cumsum(axis=0)
    ready: list[bool] = np.all(present >= np.array(lacking), axis=1).tolist()
    return ready


def have_equal_features(readings: Sequence[Reading]) -> bool:
    """Return whether readings make a table: all have the same features, and no channels."""
    names = set(readings[0].names)
    return all(one.plain and len(one.names) == len(names) and names.issuperset(one.names) for one in readings)


def concatenate(readings: Sequence[Reading], answers: Sequence[Answer]) -> tuple[tuple[str, ...], BlockAnswer]:
    """Return the features of readings that are alike, and their answers as one; NaN where there is nothing to say."""
    names, last = readings[0].names, answers[-1]
    table: list[list[Any]] = []
    for reading, answer in zip(readings, answers, strict=True):
        ys = answer.values
        if reading.names != names:
            found = dict(zip(reading.names, ys, strict=True))
            ys = [found[name] for name in names]
        table.append(ys)
    gap = sum(answer.gap for answer in answers)
    return names, BlockAnswer(np.array(table, dtype=np.float64), last.count, last.ready, gap, last.replayed)
