"""Compiles the loops with Numba (the extra `fast`); imported only where it is installed.

Compiled code is given buffers by address. Handing a NumPy array over costs more than the arithmetic of a reading, and a
plain pointer, which has no negative indices to look out for, makes a loop 2.6 times as fast (97 instead of 37 million
values a second); with every call inlined it is 4 times (146 million), and with columns side by side 10 to 17 times (see
`streamnorm.kernels.cpu.simd`). No fast-math: the bits stay the interpreter's.
"""

from __future__ import annotations

import functools
import hashlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit, typeof
from numba.core import config, event
from numba.core import types as numba_types
from numba.extending import intrinsic

from streamnorm.kernels import base_statistics, templates
from streamnorm.kernels.array_types import Array
from streamnorm.kernels.cpu.simd import lane
from streamnorm.kernels.cpu.thread_pool import parallel_for
from streamnorm.kernels.method import Buffer, Method, Packed, Span
from streamnorm.kernels.specialize import bound_observe, specialize
from streamnorm.kernels.templates import LANES

#: A processor works on so many columns at once, and laying states out takes as long as so many values.
FEWEST_LANES, LEAST_IN_LANES = 8, 512
numba_config: Any = config
types: Any = numba_types  # their functions have no annotations
signature_of: Any = typeof
listeners: Any = event


def _pointer_to(kind: Any) -> Any:
    def pointer(_context: Any, address: Any) -> Any:
        def build(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], target.get_value_type(signature.return_type))

        return types.CPointer(kind)(address), build

    return intrinsic(pointer)


doubles: Any = _pointer_to(types.float64)
singles: Any = _pointer_to(types.float32)
offsets_array: Any = _pointer_to(types.int64)


def numbers(_address: int) -> Buffer:
    """Stand in for `doubles` or `singles`, whichever the values are."""
    raise NotImplementedError


# Each stands in for the loop of `streamnorm.kernels.templates` that it is bound to.
row_loop, rows_loop, lanes_loop = templates.observe_row, templates.observe_rows, templates.observe_lanes
finish_loop, wild_loop = templates.finish_rows, templates.first_out_of_range


def observe_row(
    values: int, count: int, t: float, rule: Packed, p: Packed, state: int, first: int, stride: int
) -> bool:
    """Run `loops.observe_row`."""
    return row_loop(doubles(values), count, t, rule, p, doubles(state), first, stride)


def observe_rows(
    values: int, times: int, rule: Packed, p: Packed, state: int, starts: int, ends: int, span: Span, out: int
) -> None:
    """Run `loops.observe_rows`."""
    rows_loop(
        numbers(values),
        doubles(times),
        rule,
        p,
        doubles(state),
        offsets_array(starts),
        offsets_array(ends),
        span,
        numbers(out),
    )


def observe_lanes(values: int, rule: Packed, p: Packed, state: int, span: Span, out: int) -> None:
    """Run `loops.observe_lanes`."""
    lanes_loop(numbers(values), rule, p, doubles(state), span, numbers(out))


def finish_rows(
    out: int, rows: int, columns: int, missing: float, clamp: float, gamma: int, beta: int, compensation: Packed
) -> None:
    """Run `loops.finish_rows`."""
    finish_loop(doubles(out), rows, columns, missing, clamp, doubles(gamma), doubles(beta), compensation)


def first_out_of_range(values: int, size: int, limit: float) -> int:
    """Run `loops.first_wild`."""
    return wild_loop(numbers(values), size, limit)


@dataclass(frozen=True)
class Compiled:
    """A method's loops, each compiled at its first call; the last two of each kind are for float64 and float32.

    Methods that keep more than the base block have no `lanes`.
    """

    row: Any
    finish: Any
    rows: Any
    rows_of_singles: Any
    wild: Any
    wild_of_singles: Any
    lanes: Any = None
    lanes_of_singles: Any = None

    def compile(self, p: Packed) -> None:
        """Compile everything now, or load it from the cache, for packed parameters of this length."""
        i8, f8 = types.int64, types.float64
        packed, rule = signature_of(tuple(map(float, p))), types.UniTuple(f8, 4)
        rows = (i8, i8, rule, packed, i8, i8, i8, types.UniTuple(i8, 4), i8)
        wild = (i8, i8, f8)
        self.row.compile((i8, i8, f8, rule, packed, i8, i8, i8))
        self.finish.compile((i8, i8, i8, f8, f8, i8, i8, types.UniTuple(f8, 2)))
        for loop in (self.rows, self.rows_of_singles):
            loop.compile(rows)
        for loop in (self.wild, self.wild_of_singles):
            loop.compile(wild)
        for loop in (self.lanes, self.lanes_of_singles):
            if loop is not None:
                loop.compile((i8, rule, packed, i8, types.UniTuple(i8, 4), i8))

    @property
    def signatures(self) -> int:
        """How many machine codes there are: it stays, once all is compiled."""
        return sum(len(loop.signatures) for loop in astuple(self) if loop is not None)

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
        plain = rule[1] == 0.0 and rule[3] == 0.0
        if self.lanes is not None and plain and columns >= FEWEST_LANES and values.size >= LEAST_IN_LANES:
            self._side_by_side(values, rule, p, state, starts, out)
            return
        loop = self.rows if values.dtype == np.float64 else self.rows_of_singles
        times = np.ascontiguousarray(times, dtype=np.float64)
        at, to = np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64)
        before = values.ctypes.data, times.ctypes.data, rule, p, state.buffer_info()[0], at.ctypes.data, to.ctypes.data
        parallel_for(
            columns, values.size, lambda first, last: loop(*before, (rows, columns, first, last), out.ctypes.data)
        )

    def _side_by_side(
        self, values: Array, rule: Packed, p: Packed, state: array[float], starts: Sequence[int], out: Array
    ) -> None:
        """Observe a block with its columns' states laid out value by value; see `streamnorm.kernels.cpu.simd`."""
        rows, columns = values.shape
        loop = self.lanes if values.dtype == np.float64 else self.lanes_of_singles
        flat = np.frombuffer(state)
        places = np.arange(base_statistics.SIZE)[:, None] + np.array(starts)[None, :]
        states = flat[places]

        def work(first: int, last: int) -> None:
            for at in range(first, last, LANES):
                end = min(at + LANES, last)
                own = np.zeros((base_statistics.SIZE, LANES))
                own[:, : end - at] = states[:, at:end]
                loop(values.ctypes.data, rule, p, own.ctypes.data, (rows, columns, at, end), out.ctypes.data)
                states[:, at:end] = own[:, : end - at]

        parallel_for(columns, values.size, work)
        flat[places] = states


@functools.cache
def compiled(method: Method) -> Compiled:
    """Return a method's loops, to be compiled."""
    label = f"{method.name}-{sources()}"
    observe = bound_observe(method, decorate=_inlined, label=label)
    row = specialize(templates.observe_row, {"observe": observe}, decorate=_inlined, label=label)
    rows = specialize(templates.observe_rows, {"observe": observe}, decorate=_inlined, label=label)
    lanes = specialize(templates.observe_lanes, {"observe": observe, "lane": lane}, decorate=_inlined, label=label)
    finish = specialize(templates.finish_rows, {}, decorate=_inlined, label=label)
    wild = specialize(templates.first_out_of_range, {}, decorate=_inlined, label=label)

    def entry(function: Any, kind: str = "", **names: Any) -> Any:
        return specialize(function, names, decorate=_entry, label=label + kind)

    return Compiled(
        entry(observe_row, row_loop=row),
        entry(finish_rows, finish_loop=finish),
        entry(observe_rows, rows_loop=rows, numbers=doubles),
        entry(observe_rows, "-singles", rows_loop=rows, numbers=singles),
        entry(first_out_of_range, wild_loop=wild, numbers=doubles),
        entry(first_out_of_range, "-singles", wild_loop=wild, numbers=singles),
        *(
            (
                entry(observe_lanes, lanes_loop=lanes, numbers=doubles),
                entry(observe_lanes, "-singles", lanes_loop=lanes, numbers=singles),
            )
            if method.base
            else ()
        ),
    )


class _Compiling(event.Listener):
    """Calls a function at the first compilation; what is loaded from the cache is not compiled."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell: Callable[[], None] | None = tell

    def on_start(self, _: Any) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell()

    def on_end(self, _: Any) -> None:
        """Do nothing."""


def on_compiling(tell: Callable[[], None]) -> None:
    """Call `tell` once, when something begins to be compiled."""
    listeners.register("numba:compile", _Compiling(tell))


def use_cache_dir(folder: Path) -> None:
    """Keep what is compiled from now on in a folder, instead of where Numba would."""
    numba_config.CACHE_DIR = str(folder)


@functools.cache
def sources() -> str:
    """Return a digest of the kernels' source.

    Numba's cache looks at the file of a function, not at what it calls. Of that file it looks at place and time: what
    another installation has kept, or this one before it was installed anew, is compiled once more.
    """
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(f"{file} {file.stat().st_mtime_ns}".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _inlined(function: Callable[..., Any]) -> Any:
    return njit(nogil=True, error_model="numpy", forceinline=True)(function)


def _entry(function: Callable[..., Any]) -> Any:
    try:
        return njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # nowhere to keep the cache
        return njit(nogil=True, error_model="numpy")(function)
