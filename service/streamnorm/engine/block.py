"""Many readings of one stream at once, in order; all of this runs on a draft of the stream."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from streamnorm.engine.finish import finish_block
from streamnorm.engine.layout import COUNT, GAP, HEAD, LAST_SEQ, UPDATED, layout
from streamnorm.engine.limits import LARGEST_VALUE, Limits
from streamnorm.engine.reading import Array, check_seq, check_time
from streamnorm.engine.stream import NO_SEQ, Stream
from streamnorm.errors import InvalidReading, LimitExceeded, StaleSequence

if TYPE_CHECKING:
    from streamnorm.kernels import Kernel


@dataclass(frozen=True, slots=True)
class Block:
    """Readings of one stream as a table: `values` is rows × features, NaN where a value is missing.

    They are float64, or float32 and then answered in float32; statistics are kept in float64 all the same.

    `times` are seconds since 1970, one a row, or None for now; `first_seq` numbers the rows from there on.
    """

    names: tuple[str, ...]
    values: Array
    times: Array | None = None
    first_seq: int | None = None
    #: where the answer's values are to be written, if not to an array of their own
    out: Array | None = None


@dataclass(slots=True)
class BlockAnswer:
    """The normalized block, of the same shape, with the stream's counters after it."""

    values: Array
    count: int
    ready: bool
    gap: int = 0
    replayed: bool = False


def observe_block(draft: Stream, block: Block, now: float, limits: Limits) -> BlockAnswer:
    """Normalize a block of readings and learn from it; the same bits as one reading after the other.

    Raises:
        StaleSequence: a row's number was applied before, and the block is not the last one again.
        InvalidReading: naming the row.
        LimitExceeded: too many rows, or features.

    """
    rows = len(block.values)
    times = _check(draft.plan.kernel, block, now, limits)
    gap = 0
    last_seq: int | None = None
    if block.first_seq is not None:
        last_seq = block.first_seq + rows - 1
        check_seq(block.first_seq, "/first_seq")
        if block.first_seq <= draft.state[LAST_SEQ]:
            then = rewound(draft, block.first_seq, last_seq, rows)
            return replace(observe_block(then, block, draft.state[UPDATED], limits), replayed=True)
        check_seq(last_seq, "/first_seq")
        gap = _gap(draft, block.first_seq)
    before = draft.state[:]
    columns = len(block.names)
    draft.fit(block.names, [()] * columns, [False] * columns, limits)
    where = draft.layout
    starts = [where.starts[where.index[name]] for name in block.names]
    plan = draft.plan
    ends = [start + plan.stride for start in starts]
    values = block.values.astype(np.float64, copy=False) if plan.finishes else block.values
    out = block.out if values is block.values else None
    ys = plan.kernel.observe_block(values, times, plan.rule, plan.p, draft.state, starts, ends, out)
    draft.state[COUNT] += rows
    draft.touch(now)
    draft.answered = draft.before = None
    if last_seq is not None:
        draft.state[LAST_SEQ] = last_seq
        draft.state[GAP] = gap
        draft.before = before
    done = finish_block(plan, block.names, ys, block.values.dtype)
    if block.out is not None and done is not block.out:
        block.out[...] = done
    return BlockAnswer(done, draft.count, draft.ready(starts), gap)


def normalize_block(stream: Stream, block: Block, now: float, limits: Limits) -> BlockAnswer:
    """Normalize a block by today's statistics and learn nothing."""
    _check(stream.plan.kernel, block, now, limits)
    ys = np.column_stack([stream.score(name, xs) for name, xs in zip(block.names, block.values.T, strict=True)])
    where = stream.layout
    known = [where.starts[where.index[name]] for name in block.names if name in where.index]
    ready = len(known) == len(block.names) and stream.ready(known)
    return BlockAnswer(finish_block(stream.plan, block.names, ys, block.values.dtype), stream.count, ready)


def rewound(stream: Stream, first_seq: int, last_seq: int, rows: int) -> Stream:
    """Give the stream as it was before its last block, where that is the block of these numbers and so many rows.

    A retry is computed anew from there, to the same bits, and the result is thrown away: nothing is applied twice.

    Raises:
        StaleSequence: it is another.

    """
    last = int(stream.state[LAST_SEQ])
    before = stream.before
    if (
        before is None
        or last_seq != last
        or before[LAST_SEQ] >= first_seq
        or stream.state[COUNT] - before[COUNT] != rows
    ):
        raise StaleSequence(first_seq, last)
    where = stream.layout
    had = (len(before) - HEAD) // where.stride
    then = stream.draft()
    then.layout = layout(where.names[:had], where.shapes[:had], where.stride)
    then.state = before[:]
    return then


def _gap(stream: Stream, seq: int) -> int:
    last = stream.state[LAST_SEQ]
    return 0 if last == NO_SEQ else int(seq - last - 1)


def _check(kernel: Kernel, block: Block, now: float, limits: Limits) -> Array:
    rows, columns = block.values.shape
    if not rows or not columns:
        raise InvalidReading.at("/values", "must hold at least one row of at least one feature")
    if rows > limits.max_rows:
        raise LimitExceeded("max_rows", f"the block has {rows} rows, the limit (max_rows) is {limits.max_rows}")
    if len(block.names) != columns:
        raise InvalidReading.at("/features", f"names {len(block.names)} features, the rows have {columns}")
    if len(set(block.names)) != columns:
        raise InvalidReading.at("/features", "names a feature twice")
    wild = kernel.first_wild(block.values, LARGEST_VALUE)
    if wild is not None:
        row, column = wild
        detail = f"{float(block.values[row, column])!r} is not within ±{LARGEST_VALUE:g}"
        raise InvalidReading.at(f"/values/{row}/{column}", detail)
    if block.times is None:
        return np.full(rows, now)
    if len(block.times) != rows:
        raise InvalidReading.at("/timestamps", f"has {len(block.times)} entries for {rows} rows")
    for row in {int(np.argmin(block.times)), int(np.argmax(block.times))}:
        check_time(float(block.times[row]), now, limits, f"/timestamps/{row}")
    return block.times
