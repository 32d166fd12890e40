"""Blocks of many streams, alike and in one array, taken in by compiled loops on all cores.

Narrow blocks are taken in several at once, their columns side by side: registers then hold whole groups of columns.
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from streamnorm.kernels.array_types import Array
from streamnorm.kernels.base_statistics import AGE, COUNT, WEIGHT
from streamnorm.kernels.cpu.loops import Counts, Loops, aligned, entry_name, packed
from streamnorm.kernels.cpu.thread_pool import MANY, parallel_for
from streamnorm.kernels.method import Packed
from streamnorm.kernels.templates import DEPTH, GROUP, LANES


class Stack(NamedTuple):
    """The blocks at `places` of `values`, which is blocks × rows × columns, as is `out`, where their answers go.

    A row of `states` is one stream's state, in which a column's `size` numbers begin at its place in `starts`. All rows
    are of one `time` (s since 1970); no value may be beyond ±`limit`. `rule` and `p` are as in
    `streamnorm.kernels.templates`.
    """

    values: Array
    out: Array
    places: Counts
    states: Array
    starts: Counts
    size: int
    rule: Packed
    p: Packed
    time: float
    limit: float


def observe_stack(loops: Loops, stack: Stack) -> int | None:
    """Take a `stack` in by the `loops` of a method; its states change.

    Returns the place of a block that has a value out of range, None if there is none; which others were taken in is
    open, then.
    """
    many, columns = len(stack.places), stack.values.shape[2]
    loop = loops.entries.get(entry_name("beside", stack.values))
    if loop is None or columns > LANES or loops.lanes(stack.rule, stack.p, stack.values[0]) is None:
        wild = _shared_out(stack, functools.partial(_take_one_by_one, loops, stack))
    else:
        alike = stack.states[:, stack.starts[0] + np.array((WEIGHT, COUNT, AGE))]
        order = np.lexsort(alike.T)  # those that are alike take less time together
        lines = order[:, None], (stack.starts + np.arange(stack.size)[:, None])[:, None]
        own = stack.states[lines].reshape(stack.size, -1)
        ordered = stack._replace(places=stack.places[order])
        wild = _shared_out(stack, functools.partial(_take_side_by_side, loop, loops, ordered, own))
        stack.states[lines] = own.reshape(stack.size, many, columns)
    return wild


def abreast(columns: int) -> int:
    """Return how many blocks of so many `columns` are taken in at once: if possible, so that no group is broken.

    >>> abreast(10), abreast(7), abreast(40)
    (4, 8, 1)
    """
    most = LANES // columns
    return next((several for several in range(most, 0, -1) if several * columns % GROUP == 0), most)


def _shared_out(stack: Stack, take: Callable[[int, int], int | None]) -> int | None:
    """Have `take` work on all blocks, by their numbers in the stack, on all cores; return the least that it found."""
    wild: list[int] = []

    def work(first: int, last: int) -> None:
        place = take(first, last)
        if place is not None:
            wild.append(place)

    many = len(stack.places)
    parallel_for(many, many * stack.values[0].size, work, least=MANY)
    return min(wild, default=None)


def _take_one_by_one(loops: Loops, stack: Stack, first: int, last: int) -> int | None:
    times = np.full(stack.values.shape[1], stack.time)
    starts, ends = stack.starts.tolist(), (stack.starts + stack.size).tolist()
    for number in range(first, last):
        place = int(stack.places[number])
        values = stack.values[place]
        if loops.first_out_of_range(values, stack.limit) >= 0:
            return place
        state = array("d", stack.states[number].tobytes())
        loops.observe_block(values, times, stack.rule, stack.p, state, starts, ends, stack.out[place])
        stack.states[number] = state
    return None


def _take_side_by_side(
    loop: Callable[..., object], loops: Loops, stack: Stack, own: Array, first: int, last: int
) -> int | None:
    """Take blocks in by way of a tile; a row of `own` has a number of every block's and column's state."""
    _, rows, columns = stack.values.shape
    find, length, several = loops.entries[entry_name("wild", stack.values)], rows * columns, abreast(columns)
    (rule_at, _rule), (p_at, _p) = packed(stack.rule), packed(stack.p)
    tile, room = aligned(stack.size * LANES).reshape(stack.size, LANES), aligned(DEPTH * LANES)
    begins = stack.places * length  # in numbers, not in bytes
    values_at, out_at, begins_at = stack.values.ctypes.data, stack.out.ctypes.data, begins.ctypes.data
    checked = (values_at + begins * stack.values.itemsize).tolist()
    before, room_at = (values_at, rule_at, p_at, tile.ctypes.data), room.ctypes.data
    for start in range(first, last, several):
        end = min(start + several, last)
        for number in range(start, end):
            if find(checked[number], length, stack.limit) >= 0:
                return int(stack.places[number])
        width = (end - start) * columns
        states = own[:, start * columns : end * columns]
        tile[:, :width] = states
        span = array("q", (rows, columns, end - start, 0))
        loop(*before, span.buffer_info()[0], begins_at + start * begins.itemsize, room_at, out_at)
        states[...] = tile[:, :width]
    return None
