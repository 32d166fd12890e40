"""Compiled loops as the rest calls them: Numba compiled them in this process, or a build did before it.

Arguments are those of the loops in `streamnorm.kernels.templates`: arrays in C order (`values`, `times`, `out`) with
`rule`, `p` and the `state` of each column from its place in `starts` to that in `ends`; for the last stage `missing`,
`clamp`, `gamma`, `beta` and, `last`, the compensation.
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Callable, Mapping, Sequence
from struct import Struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from streamnorm.kernels.array_types import Array
from streamnorm.kernels.cpu.thread_pool import parallel_for
from streamnorm.kernels.method import Packed
from streamnorm.kernels.templates import DEPTH, GROUP, LANES

Counts = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

#: Values that are worth laying states out.
LEAST_IN_LANES = 512
#: Last columns, fewer than a group, that are worth copying beside repetitions of the last one, and their values; the
#: rows that are copied at once.
FEWEST_COPIED, LEAST_COPIED, COPIED = 5, 8192, 4096
#: tuples of rules and parameters whose copies for compiled code are kept
KEPT = 4096


@functools.lru_cache(maxsize=KEPT)
def packed(numbers: Packed) -> tuple[int, array[float]]:
    """Return the address of numbers, and what holds them there."""
    held = array("d", numbers)
    return held.buffer_info()[0], held


#: Packs the arguments of `Loops.row`: the address of the values and their number, the time, the addresses of the first
#: feature's state and of `RowConstants`. One argument of bytes takes a third of the time that these take one by one.
row_call: Final = Struct("qqdqq").pack
CALL_SIZE: Final = 40


class RowConstants:
    """What the readings of all streams that are configured alike have in common, where compiled code finds it.

    `rule`, `p` and `stride` are those of `templates.observe_row`.
    """

    __slots__ = ("_held", "address")

    def __init__(self, rule: Packed, p: Packed, stride: int) -> None:
        (rule_at, held_rule), (p_at, held_p) = packed(rule), packed(p)
        block = array("q", (rule_at, p_at, stride))
        self._held = block, held_rule, held_p
        self.address = block.buffer_info()[0]


class Loops:
    """A method's compiled loops.

    `entries` are functions by the names of `streamnorm.kernels.cpu.abi`; those that may take long release the GIL.
    Methods that keep more than the base block have no lanes.
    """

    def __init__(self, entries: Mapping[str, Any]) -> None:
        self.entries = entries
        #: runs `templates.observe_row`; takes what `row_call` returns
        self.row: Callable[[bytes], bool] = entries["row"]

    def observe_readings(self, values: Array, starts: Counts, widths: Counts, times: Array, own: Counts) -> Bools:
        """Take readings in, one after the other: each has `widths` numbers of `values` from `starts` on.

        The raw z-scores replace them. A row of `own` has the addresses of a reading's first feature's state and of its
        `RowConstants`. Returns what `templates.observe_row` does of each.
        """
        calls = np.empty((len(starts), 5), np.int64)
        calls[:, 0] = values.ctypes.data + values.itemsize * starts
        calls[:, 1] = widths
        calls[:, 2] = times.view(np.int64)
        calls[:, 3:] = own
        self.entries["readings"](calls.ctypes.data, len(calls))
        ready: Bools = calls[:, 1] != 0
        return ready

    def finish(
        self, out: Array, missing: float, clamp: float, gamma: Sequence[float], beta: Sequence[float], last: Packed
    ) -> None:
        """Run `templates.finish_rows` on a block of float64 in C order."""
        scale, shift = np.array(gamma, dtype=np.float64), np.array(beta, dtype=np.float64)
        at, _last = packed(last)
        self.entries["finish"](out.ctypes.data, *out.shape, missing, clamp, scale.ctypes.data, shift.ctypes.data, at)

    def first_out_of_range(self, values: Array, limit: float) -> int:
        """Run `templates.first_out_of_range` on a block in C order."""
        find: Callable[..., int] = self.entries[entry_name("wild", values)]
        return find(values.ctypes.data, values.size, limit)

    def observe_block(
        self,
        values: Array,
        times: Array,
        rule: Packed,
        p: Packed,
        state: array[float],
        starts: Sequence[int],
        ends: Sequence[int],
        out: Array,
    ) -> None:
        """Do what `MethodKernel.observe_block` does, on all cores, with arrays in C order."""
        rows, columns = values.shape
        lanes = self.lanes(rule, p, values)
        if lanes is not None:
            self._side_by_side(lanes, values, rule, p, state, starts, ends[0] - starts[0], out)
            return
        loop = self.entries[entry_name("rows", values)]
        times = np.ascontiguousarray(times, dtype=np.float64)
        at, to = array("q", starts), array("q", ends)
        (rule_at, _rule), (p_at, _p) = packed(rule), packed(p)
        before = values.ctypes.data, times.ctypes.data, rule_at, p_at, state.buffer_info()[0]

        def work(first: int, last: int) -> None:
            span = array("q", (rows, columns, first, last))
            loop(*before, at.buffer_info()[0], to.buffer_info()[0], span.buffer_info()[0], out.ctypes.data)

        parallel_for(columns, values.size, work)

    def lanes(self, rule: Packed, p: Packed, values: Array) -> Callable[..., object] | None:
        """Return the loop for columns side by side, where there is one and a block of such `values` is worth it.

        `rule` and `p` are as in `streamnorm.kernels.templates`.
        """
        plain = rule[1] == 0.0 and rule[3] == 0.0 and values.size >= LEAST_IN_LANES
        return self.entries.get(entry_name(f"lanes_{int(p[0]) if p else 0}", values)) if plain else None

    def _side_by_side(
        self,
        loop: Callable[..., object],
        values: Array,
        rule: Packed,
        p: Packed,
        state: array[float],
        starts: Sequence[int],
        size: int,
        out: Array,
    ) -> None:
        """Observe columns with their states laid out value by value; see `streamnorm.kernels.cpu.pointers`."""
        flat = np.frombuffer(state)
        places = np.arange(size)[:, None] + np.array(starts)[None, :]
        states = flat[places]
        (rule_at, _rule), (p_at, _p) = packed(rule), packed(p)

        def observe(some: Array, first: int, last: int, own: Array, answers: Array) -> None:
            tiles = _tiles(own)
            span = array("q", (*some.shape, first, last))
            room = aligned(DEPTH * LANES)
            after = span.buffer_info()[0], room.ctypes.data, answers.ctypes.data
            loop(some.ctypes.data, rule_at, p_at, tiles.ctypes.data, *after)
            for tile, left in zip(tiles, range(0, last - first, LANES), strict=True):
                own[:, left : left + LANES] = tile[:, : last - first - left]

        def work(first: int, last: int) -> None:
            rest = (last - first) % GROUP
            copied = rest >= FEWEST_COPIED and rest * len(values) >= LEAST_COPIED
            whole = last - rest if copied else last
            if first < whole:
                observe(values, first, whole, states[:, first:whole], out)
            if not copied:
                return
            group = np.minimum(np.arange(whole, whole + GROUP), last - 1)  # the last column again and again
            own = states[:, group]
            for top in range(0, len(values), COPIED):
                copy = values[top : top + COPIED].take(group, axis=1)
                answers = np.empty_like(copy)
                observe(copy, 0, GROUP, own, answers)
                out[top : top + COPIED, whole:last] = answers[:, : last - whole]
            states[:, whole:last] = own[:, : last - whole]

        parallel_for(len(starts), len(values) * len(starts), work)
        flat[places] = states


def _tiles(states: Array) -> Array:
    """Lay states (numbers × columns) out in tiles of `LANES` columns."""
    size, columns = states.shape
    count = -(-columns // LANES)
    tiles = aligned(count * size * LANES).reshape(count, size, LANES)
    for tile, left in zip(tiles, range(0, columns, LANES), strict=True):
        tile[:, : columns - left] = states[:, left : left + LANES]
    return tiles


def aligned(size: int) -> Array:
    """Return room for `size` numbers at the beginning of a line of the caches.

    Registers of a line's length would otherwise take two lines at every access.
    """
    room = np.empty(size + GROUP)
    begin = -(room.ctypes.data // room.itemsize) % GROUP
    return room[begin : begin + size]


def entry_name(name: str, values: Array) -> str:
    """Return the name of the entry called `name` for the type of `values`."""
    return name if values.dtype.char == "d" else f"{name}_of_singles"
