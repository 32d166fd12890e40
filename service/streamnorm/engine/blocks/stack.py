"""Blocks of many streams that are alike, as one array, observed with one pass of Python over the streams.

Every function gives the bits that the blocks would have given one by one.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from streamnorm.engine.blocks.block import Block, BlockAnswer, check_shape, check_values, same_times
from streamnorm.engine.blocks.readiness import Before
from streamnorm.engine.limits import LARGEST_SEQ, LARGEST_VALUE, Limits
from streamnorm.engine.reading import Array
from streamnorm.engine.state.layout import COUNT, CREATED, LAST_SEQ, SKEW, UPDATED
from streamnorm.engine.streams.postprocess import postprocess_block
from streamnorm.engine.streams.stream import NO_SEQ, Stream
from streamnorm.errors import InvalidInput, StaleSequence
from streamnorm.kernels import base_statistics as base
from streamnorm.kernels.cpu.stacks import Stack
from streamnorm.kernels.cpu.stacks import observe_stack as take_stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamnorm.kernels.cpu.loops import Loops

Numbers = npt.NDArray[Any]
#: Streams of one plan and one layout, and the places of their blocks.
Group: TypeAlias = "tuple[list[Stream], Numbers]"

#: Values that are copied of the last rows of blocks, for those who look at them later: 4 MB of float64.
KEPT = 1 << 19


@dataclass(frozen=True, eq=False, slots=True)
class BlockStack(Mapping[str, Block]):
    """A block of each of several streams, with the same features and as many rows.

    `places` are those of the streams in `table`, which is streams × rows × features; `times` (s since 1970) has one a
    row, or streams × rows; `first_seqs` has one a stream, negative for none. `out` and `last_rows` are as in `Block`.
    """

    places: Mapping[str, int]
    names: tuple[str, ...]
    table: Array
    times: Array | None
    first_seqs: Numbers | None
    out: Array
    last_rows: Array | None = None

    @property
    def in_place(self) -> bool:
        """Whether the answer may take the place of the values."""
        return self.out is self.table

    def apart(self) -> Self:
        """Return the stack with its answers in an array of their own."""
        return replace(self, out=np.empty_like(self.table))

    def with_last_rows(self, most: int) -> Self:
        """Return the stack with a copy of each block's last rows, at most `most`, and fewer where that is too much."""
        many, rows, columns = self.table.shape
        kept = min(rows, most, max(1, KEPT // max(1, many * columns)))
        return replace(self, last_rows=self.table[:, rows - kept :].copy())

    def __getitem__(self, stream_id: str) -> Block:
        """Build a stream's block."""
        place = self.places[stream_id]
        values, times, seqs = self.table[place], self.times, self.first_seqs
        return Block(
            self.names,
            values,
            times if times is None or times.ndim == 1 else times[place],
            None if seqs is None or seqs[place] < 0 else int(seqs[place]),
            values if self.in_place else self.out[place],
            None if self.last_rows is None else self.last_rows[place],
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True, eq=False, slots=True)
class AnswerStack(Mapping[str, BlockAnswer]):
    """The answers to a stack of blocks, with one of `counts`, `ready` and `gaps` a stream.

    `table` is as that of the blocks; `lacking` (streams × features) are the readings that each feature lacked of its
    warmup before the block.
    """

    places: Mapping[str, int]
    table: Array
    counts: Numbers
    ready: Numbers
    gaps: Numbers
    lacking: Array
    #: of every row, in seconds since 1970
    time: float

    def __getitem__(self, stream_id: str) -> BlockAnswer:
        """Build the answer to a stream's block."""
        place = self.places[stream_id]
        values, lacking = self.table[place], self.lacking[place].tolist()
        before = Before(lacking, [], [], same_times(self.time, len(values)), 0.0, 0.0)
        counted = self.counts.item(place), self.ready.item(place), self.gaps.item(place)
        return BlockAnswer(values, *counted, before=before)

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def observe_stack(drafts: Mapping[str, Stream], stack: BlockStack, now: float, limits: Limits) -> AnswerStack | None:
    """Normalize a block of each stream and learn from it, on all of the machine's cores.

    None, and nothing has happened, where blocks or streams want to be looked at one by one. `drafts` has the stack's
    ids; `now` and `limits` are as in `observe_block`.

    Raises:
        InvalidReading, LimitExceeded: as `observe_block` says; pointers begin with the stream's id.

    """
    ids = [*stack.places]
    streams = [drafts[stream_id] for stream_id in ids]
    alike: dict[tuple[int, int], list[int]] = {}
    for place, stream in enumerate(streams):
        alike.setdefault((id(stream.plan), id(stream.layout)), []).append(place)
    groups: list[Group] = [([streams[place] for place in places], np.array(places)) for places in alike.values()]
    loops = [_loops_for(some[0], stack) for some, _ in groups]
    if None in loops or not _are_numbers_due(streams, stack):
        return None
    with naming(ids[0]):
        check_shape(stack.names, stack.table.shape[1:], limits)
    many, _, columns = stack.table.shape
    out = stack.out
    if stack.in_place and any(some[0].plan.finishes for some, _ in groups):
        out = np.empty_like(stack.table)  # else what was missing could not be told
    counts, ready = np.empty(many, np.int64), np.empty(many, np.bool_)
    answers = AnswerStack(stack.places, out, counts, ready, np.zeros(many, np.int64), np.empty((many, columns)), now)
    for group, own in zip(groups, loops, strict=True):
        if own is not None:
            _observe_alike(group, stack, answers, own, limits)
    return answers


def _loops_for(stream: Stream, stack: BlockStack) -> Loops | None:
    """Return the compiled loops, where nothing but the values matters to a stream, and they take them as they are."""
    plan, where, values = stream.plan, stream.layout, stack.table
    offloads, (many, rows, columns) = plan.kernel.should_offload, values.shape
    simple = (
        stack.times is None
        and not (plan.mixed or plan.clocked or where.mixed)
        and where.plain
        and values.flags.c_contiguous
        and (values.dtype == np.float64 or not plan.finishes)
        and not (offloads(rows * columns, columns) or offloads(values.size, many * columns))
    )
    return plan.kernel.fast if simple else None


def _are_numbers_due(streams: Sequence[Stream], stack: BlockStack) -> bool:
    """Return whether every block's numbers are in range and still to come."""
    if stack.first_seqs is None:
        return True
    last = [stream.state[LAST_SEQ] for stream in streams]
    wrong = (stack.first_seqs <= last) | (stack.first_seqs > LARGEST_SEQ + 1 - stack.table.shape[1])
    return not (wrong & (stack.first_seqs >= 0)).any()


def _observe_alike(group: Group, stack: BlockStack, answers: AnswerStack, loops: Loops, limits: Limits) -> None:
    """Observe the blocks of a group."""
    streams, places = group
    plan, values, now = streams[0].plan, stack.table, answers.time
    rows, columns = values.shape[1:]
    ids = [*stack.places]
    before = [stream.state for stream in streams]
    had = np.frombuffer(b"".join(before)).reshape(len(streams), -1)
    with naming(ids[places[0]]):
        streams[0].ensure_features(stack.names, [()] * columns, [False] * columns, limits)
    where = streams[0].layout
    starts = np.array([where.starts[where.index[name]] for name in stack.names])
    states = np.zeros((len(streams), where.size))
    states[:, : had.shape[1]] = had
    answers.lacking[places] = plan.warmup - states[:, starts + base.COUNT]
    stacked = Stack(values, answers.table, places, states, starts, plan.stride, plan.rule, plan.p, now, LARGEST_VALUE)
    wild = take_stack(loops, stacked)
    if wild is not None:
        with naming(ids[wild]):
            check_values(plan.kernel, values[wild])
    if plan.finishes:
        for place in places:
            postprocess_block(plan, stack.names, answers.table[place])
    states[:, COUNT] += rows
    states[:, UPDATED] = now
    states[states[:, CREATED] == 0.0, CREATED] = now
    states[:, SKEW] = 0.0
    numbered: Numbers = np.zeros(len(streams), np.bool_)
    if stack.first_seqs is not None:
        seqs, last = stack.first_seqs[places], states[:, LAST_SEQ]
        numbered = seqs >= 0
        answers.gaps[places] = np.where(numbered & (last != NO_SEQ), seqs - last - 1, 0)
        states[numbered, LAST_SEQ] = seqs[numbered] + (rows - 1)
    answers.counts[places] = states[:, COUNT]
    answers.ready[places] = (states[:, starts + base.COUNT] >= plan.warmup).all(axis=1)
    numbers, blank = states.reshape(-1).data, array("d", bytes(8 * where.size))
    for at, stream, was, kept in zip(range(0, states.size, where.size), streams, before, numbered, strict=True):
        stream.layout, stream.state = where, blank[:]
        memoryview(stream.state)[:] = numbers[at : at + where.size]
        stream.answered, stream.before = None, was if kept else None


@contextmanager
def naming(stream_id: str) -> Iterator[None]:
    """Add the stream's id to errors.

    Raises:
        StaleSequence, InvalidInput: as raised by the block, naming the stream.

    """
    try:
        yield
    except StaleSequence as error:
        raise StaleSequence(error.seq, error.last_seq, stream_id) from None
    except InvalidInput as error:
        raise error.within(f"/{stream_id}") from None
