"""Many readings of one stream at once, in order; all of this runs on a draft of the stream."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from streamnorm.engine.limits import LARGEST_VALUE, Limits
from streamnorm.engine.postprocess import postprocess_block
from streamnorm.engine.reading import Array, check_seq, check_time
from streamnorm.engine.state_layout import COUNT, GAP, HEADER_SIZE, LAST_SEQ, UPDATED, layout_for
from streamnorm.engine.stream import NO_SEQ, Stream
from streamnorm.errors import InvalidReading, LimitExceeded, StaleSequence

if TYPE_CHECKING:
    from array import array

    from streamnorm.kernels import MethodKernel


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

    @property
    def last_seq(self) -> int:
        """The last row's number, where rows are numbered."""
        return (self.first_seq or 0) + len(self.values) - 1


@dataclass(slots=True)
class BlockAnswer:
    """The normalized block, of the same shape, with the stream's counters after it."""

    values: Array
    count: int
    ready: bool
    gap: int = 0
    replayed: bool = False
    #: how many readings each feature lacked of its warmup before the block; None where nothing was learned of it
    lacking: list[float] | None = None


@dataclass(slots=True)
class BlockInProgress:
    """A block that was checked and has its place in the stream, ready for the arithmetic."""

    values: Array
    times: Array
    starts: list[int]
    ends: list[int]
    lacking: list[float]
    before: array[float]
    gap: int


def observe_block(draft: Stream, block: Block, now: float, limits: Limits) -> BlockAnswer:
    """Normalize a block of readings and learn from it; the same bits as one reading after the other.

    Raises:
        StaleSequence: a row's number was applied before, and the block is not the last one again.
        InvalidReading: naming the row.
        LimitExceeded: too many rows, or features.

    """
    if is_replay(draft, block):
        then = before_last_block(draft, block.first_seq or 0, block.last_seq, len(block.values))
        return replace(observe_block(then, block, draft.state[UPDATED], limits), replayed=True)
    work, plan = begin_block(draft, block, now, limits), draft.plan
    out = block.out if work.values is block.values else None
    ys = plan.kernel.observe_block(work.values, work.times, plan.rule, plan.p, draft.state, work.starts, work.ends, out)
    return end_block(draft, block, work, ys, now)


def is_replay(stream: Stream, block: Block) -> bool:
    """Return whether a block's numbers begin before those that are still to come."""
    if block.first_seq is None:
        return False
    check_seq(block.first_seq, "/first_seq")
    return block.first_seq <= stream.state[LAST_SEQ]


def begin_block(draft: Stream, block: Block, now: float, limits: Limits) -> BlockInProgress:
    """Check a block, and make room for its features."""
    kernel = draft.plan.kernel
    times = _check(kernel, block, now, limits)
    gap = 0
    if block.first_seq is not None:
        check_seq(block.last_seq, "/first_seq")
        gap = _gap(draft, block.first_seq)
    before = draft.state[:]
    columns = len(block.names)
    draft.ensure_features(block.names, [()] * columns, [False] * columns, limits)
    where = draft.layout
    starts = [where.starts[where.index[name]] for name in block.names]
    ends = [start + draft.plan.stride for start in starts]
    values = kernel.as_type(block.values, np.float64) if draft.plan.finishes else block.values
    return BlockInProgress(values, times, starts, ends, draft.warmup_remaining(starts), before, gap)


def end_block(draft: Stream, block: Block, work: BlockInProgress, ys: Array, now: float) -> BlockAnswer:
    """Count what was observed, and make the answer of its raw z-scores."""
    draft.state[COUNT] += len(block.values)
    draft.touch(now)
    draft.answered = draft.before = None
    if block.first_seq is not None:
        draft.state[LAST_SEQ] = block.last_seq
        draft.state[GAP] = work.gap
        draft.before = work.before
    done = postprocess_block(draft.plan, block.names, ys, block.values.dtype)
    if block.out is not None and done is not block.out:
        block.out[...] = done
    return BlockAnswer(done, draft.count, draft.ready(work.starts), work.gap, lacking=work.lacking)


def normalize_block(stream: Stream, block: Block, now: float, limits: Limits) -> BlockAnswer:
    """Normalize a block by today's statistics and learn nothing."""
    _check(stream.plan.kernel, block, now, limits)
    ys = np.column_stack([stream.score(name, xs) for name, xs in zip(block.names, block.values.T, strict=True)])
    done = postprocess_block(stream.plan, block.names, ys, block.values.dtype)
    return BlockAnswer(done, stream.count, ready_for(stream, block.names))


def ready_for(stream: Stream, names: tuple[str, ...]) -> bool:
    """Whether the stream knows features, and all of them have had their warmup."""
    where = stream.layout
    return all(name in where.index for name in names) and stream.ready([where.starts[where.index[n]] for n in names])


def before_last_block(stream: Stream, first_seq: int, last_seq: int, rows: int) -> Stream:
    """Return the stream as it was before its last block, where that is the block of these numbers and so many rows.

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
    had = (len(before) - HEADER_SIZE) // where.stride
    then = stream.draft()
    then.layout = layout_for(where.names[:had], where.shapes[:had], where.stride)
    then.state = before[:]
    return then


def _gap(stream: Stream, seq: int) -> int:
    last = stream.state[LAST_SEQ]
    return 0 if last == NO_SEQ else int(seq - last - 1)


def _check(kernel: MethodKernel, block: Block, now: float, limits: Limits) -> Array:
    rows, columns = block.values.shape
    if not rows or not columns:
        raise InvalidReading.at("/values", "must hold at least one row of at least one feature")
    if rows > limits.max_rows:
        raise LimitExceeded("max_rows", f"the block has {rows} rows, the limit (max_rows) is {limits.max_rows}")
    if len(block.names) != columns:
        raise InvalidReading.at("/features", f"names {len(block.names)} features, the rows have {columns}")
    if len(set(block.names)) != columns:
        raise InvalidReading.at("/features", "names a feature twice")
    wild = kernel.first_out_of_range(block.values, LARGEST_VALUE)
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
