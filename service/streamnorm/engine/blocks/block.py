"""Many readings of one stream at once, in order.

Everywhere `draft` is the copy of a stream that is changed, `stream` one that stays as it is, `now` the time of arrival
in seconds since 1970, and `limits` bound the rows, the features and the values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from streamnorm.engine.blocks.readiness import Before, MixedBefore, ready_for, rested
from streamnorm.engine.limits import LARGEST_VALUE, Limits
from streamnorm.engine.reading import Array, check_seq
from streamnorm.engine.state.layout import COUNT, HEADER_SIZE, LAST_SEQ, OFFSET, SKEW, TIME, UPDATED, layout_for
from streamnorm.engine.state.mixed_layout import MixedLayout, layout_of
from streamnorm.engine.streams import mixed
from streamnorm.engine.streams.clock import Settled, check_time, settle_rows
from streamnorm.engine.streams.stream import NO_SEQ, Stream
from streamnorm.errors import InvalidReading, LimitExceeded, StaleSequence

if TYPE_CHECKING:
    from array import array

    from streamnorm.engine.configuration.plan import Plan
    from streamnorm.engine.state.mixed_layout import AnyLayout
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
    #: where the answer's values are to be written, if they are of the same features, and not to an array of their own;
    #: the values themselves, where nobody needs these afterwards
    out: Array | None = None
    #: a copy of the last rows, for those who look at them after the answer has taken the place of the values
    last_rows: Array | None = None

    @property
    def last_seq(self) -> int:
        """The last row's number, where rows are numbered."""
        return (self.first_seq or 0) + len(self.values) - 1

    @property
    def in_place(self) -> bool:
        """Whether the answer may take the place of the values."""
        return self.out is self.values

    def apart(self) -> Self:
        """Return the block with its answer in an array of its own."""
        return replace(self, out=None)

    def with_last_rows(self, most: int) -> Self:
        """Return the block with a copy of its last rows, at most `most`."""
        return replace(self, last_rows=self.values[max(0, len(self.values) - most) :].copy())


@dataclass(slots=True)
class BlockAnswer:
    """The normalized block, of the same shape, with the stream's counters after it."""

    values: Array
    count: int
    ready: bool
    gap: int = 0
    replayed: bool = False
    #: see `Answer.skew`, one a row; None where there is nothing to tell
    skews: Array | None = None
    #: what the block's features rested on before it; None where nothing was learned of it
    before: Before | MixedBefore | None = None
    #: the names of the columns, where they are not those of the block: a circular feature has two
    names: tuple[str, ...] | None = None

    @property
    def clock_ahead(self) -> float:
        """The most seconds by which a row's stamp was ahead of the arrival."""
        return 0.0 if self.skews is None else max(0.0, float(self.skews.max()))

    @property
    def clock_set_back(self) -> float:
        """The most seconds by which the device's clock was found set back."""
        return 0.0 if self.skews is None else max(0.0, -float(self.skews.min()))


@dataclass(slots=True)
class BlockInProgress:
    """A block that was checked and has its place in the stream, ready for the arithmetic.

    `names` and `values` are those of the block as prepared.
    """

    names: tuple[str, ...]
    values: Array
    times: Array
    settled: Settled | None
    starts: list[int]
    ends: list[int]
    rested: Before | MixedBefore
    before: array[float]
    gap: int


def observe_block(draft: Stream, block: Block, now: float, limits: Limits) -> BlockAnswer:
    """Normalize a `block` of readings and learn from it; the same bits as one reading after the other.

    It runs on a `draft` of the stream, which an error may leave half changed. `now` is the time of arrival (s since
    1970), `limits` bound the rows, the features and the values.

    Raises:
        StaleSequence: a row's number was applied before, and the block is not the last one again.
        InvalidReading: naming the row.
        LimitExceeded: too many rows, or features.

    """
    if is_replay(draft, block):
        then = before_last_block(draft, block.first_seq or 0, block.last_seq, len(block.values))
        return replace(observe_block(then, block, draft.state[UPDATED], limits), replayed=True)
    work = begin_block(draft, block, now, limits)
    out = block.out if work.values is block.values else None
    if block.in_place and (draft.plan.finishes or draft.plan.mixed):  # after which what was missing cannot be told
        out = None
    ys = mixed.observe_columns(draft, work.values, work.times, starts=work.starts, ends=work.ends, out=out)
    return end_block(draft, block, work, ys, now)


def is_replay(stream: Stream, block: Block) -> bool:
    """Return whether a block's numbers begin before those that are still to come."""
    if block.first_seq is None:
        return False
    check_seq(block.first_seq, "/first_seq")
    return block.first_seq <= stream.state[LAST_SEQ]


def begin_block(draft: Stream, block: Block, now: float, limits: Limits) -> BlockInProgress:
    """Check a `block`, prepare it, and make room for its features.

    Raises:
        StaleSequence, InvalidReading, LimitExceeded: as `observe_block` says.

    """
    kernel = draft.plan.kernel
    _check(kernel, block, now, limits)
    settled = None
    if block.times is not None or draft.plan.clocked:
        stamps = same_times(now, len(block.values)) if block.times is None else block.times
        settled = settle_rows(draft.state, stamps, now, limits, draft.plan.patience)
    times = same_times(now, len(block.values)) if settled is None else settled.times
    gap = 0
    if block.first_seq is not None:
        check_seq(block.last_seq, "/first_seq")
        gap = _gap(draft, block.first_seq)
    before = draft.state[:]
    columns = len(block.names)
    draft.ensure_features(block.names, [()] * columns, [False] * columns, limits)
    names, values = mixed.prepare_table(draft, block.names, block.values, times)
    where = draft.layout
    starts = [where.starts[where.index[name]] for name in names]
    ends = [where.ends[where.index[name]] for name in names]
    if draft.plan.finishes or draft.plan.mixed:
        values = kernel.as_type(values, np.float64)
    return BlockInProgress(
        names, values, times, settled, starts, ends, rested(draft, starts, values, times), before, gap
    )


def end_block(draft: Stream, block: Block, work: BlockInProgress, ys: Array, now: float) -> BlockAnswer:
    """Count a `block` that was observed, and make the answer of its raw z-scores `ys`, rows × features as in `work`.

    Raises:
        InvalidReading: the answer has other columns than the array that it is to be written to.

    """
    draft.state[COUNT] += len(block.values)
    draft.touch(now)
    draft.state[SKEW] = 0.0
    skews = None
    if work.settled is not None:
        draft.state[TIME:HEADER_SIZE] = work.settled.clock[TIME:]
        skews = work.settled.skews
    draft.answered = draft.before = None
    if block.first_seq is not None:
        draft.state[LAST_SEQ] = block.last_seq
        draft.before = work.before
    done = mixed.finish_block(draft.plan, draft.layout, work.names, ys, block.values.dtype)
    names = work.names if work.names != block.names else None
    if block.out is not None and not block.in_place and done is not block.out and names is None:
        block.out[...] = done
    ready = draft.ready(work.starts, float(work.times[-1]))
    return BlockAnswer(done, draft.count, ready, work.gap, skews=skews, before=work.rested, names=names)


def normalize_block(stream: Stream, block: Block, now: float, limits: Limits) -> BlockAnswer:
    """Normalize a `block` by a `stream`'s statistics and learn nothing; `now` and `limits` as in `observe_block`."""
    _check(stream.plan.kernel, block, now, limits)
    names, values = prepared_copy(stream, block, now)
    ys = np.column_stack([stream.score(name, xs) for name, xs in zip(names, values.T, strict=True)])
    done = mixed.finish_block(stream.plan, stream.layout, names, ys, block.values.dtype)
    renamed = names if names != block.names else None
    return BlockAnswer(done, stream.count, ready_for(stream, names, now), names=renamed)


def prepared_copy(stream: Stream, block: Block, now: float) -> tuple[tuple[str, ...], Array]:
    """Return a `block` as it is normalized, rows × features, after the names of its columns; nothing is learned."""
    if not stream.plan.mixed:
        return block.names, block.values
    times = same_times(now, len(block.values)) if block.times is None else block.times + stream.state[OFFSET]
    return mixed.prepare_table(stream, block.names, block.values, times, learn=False)


def before_last_block(stream: Stream, first_seq: int, last_seq: int, rows: int) -> Stream:
    """Return the stream as it was before its last block, where that has so many `rows`, `first_seq` to `last_seq`.

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
    then = stream.draft()
    then.layout = _layout_of_size(stream.plan, where, len(before))
    then.state = before[:]
    return then


def _layout_of_size(plan: Plan, where: AnyLayout, size: int) -> AnyLayout:
    """Return the layout of the first features, as many as have so many numbers."""
    if not isinstance(where, MixedLayout):
        had = (size - HEADER_SIZE) // where.stride
        return layout_for(where.names[:had], where.shapes[:had], where.stride)
    layouts = (layout_of(plan, where.sources[:had], where.source_shapes[:had]) for had in range(len(where.sources)))
    return next((layout for layout in layouts if layout.size == size), where)


def same_times(time: float, rows: int) -> Array:
    """Return a `time` (s since 1970) for each of so many `rows`, in the memory of one."""
    return np.ndarray(rows, np.float64, np.array(time), strides=(0,))


def _gap(stream: Stream, seq: int) -> int:
    last = stream.state[LAST_SEQ]
    return 0 if last == NO_SEQ else int(seq - last - 1)


def _check(kernel: MethodKernel, block: Block, now: float, limits: Limits) -> None:
    rows, _ = block.values.shape
    check_shape(block.names, block.values.shape, limits)
    check_values(kernel, block.values)
    if block.times is None:
        return
    if len(block.times) != rows:
        raise InvalidReading.at("/timestamps", f"has {len(block.times)} entries for {rows} rows")
    for row in {int(np.argmin(block.times)), int(np.argmax(block.times))}:
        check_time(float(block.times[row]), now, limits, f"/timestamps/{row}")


def check_shape(names: tuple[str, ...], shape: tuple[int, ...], limits: Limits) -> None:
    """Check a block's number of rows and of columns, its `shape`, and the `names` of these.

    Raises:
        InvalidReading: there are no rows, or other columns than names.
        LimitExceeded: there are more rows than `limits` allow.

    """
    rows, columns = shape
    if not rows or not columns:
        raise InvalidReading.at("/values", "must hold at least one row of at least one feature")
    if rows > limits.max_rows:
        raise LimitExceeded("max_rows", f"the block has {rows} rows, the limit (max_rows) is {limits.max_rows}")
    if len(names) != columns:
        raise InvalidReading.at("/features", f"names {len(names)} features, the rows have {columns}")
    if len(set(names)) != columns:
        raise InvalidReading.at("/features", "names a feature twice")


def check_values(kernel: MethodKernel, values: Array) -> None:
    """Check a block's `values`, rows × features, by the loops of a `kernel`.

    Raises:
        InvalidReading: one is out of range.

    """
    wild = kernel.first_out_of_range(values, LARGEST_VALUE)
    if wild is not None:
        row, column = wild
        detail = f"{float(values[row, column])!r} is not within ±{LARGEST_VALUE:g}"
        raise InvalidReading.at(f"/values/{row}/{column}", detail)
