"""The same step on a CUDA device (the extra `gpu`); imported only where it is installed.

One thread works on one column, its state in registers while it goes down the rows. State lies in global memory value by
value (`stride` × columns), and a reading's columns lie side by side, so that neighbouring threads touch neighbouring
words. Where columns are few and rows many, stretches of a column are worked on at once (`streamnorm.kernels.scan`).

Blocks are arrays of this process, which travel there and back, or arrays on the device by any library that speaks the
CUDA array interface (CuPy, PyTorch, Numba), which stay where they are: so does the answer.
"""

from __future__ import annotations

import functools
import math
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import cuda as numba_cuda
from numba import float64 as numba_float64

from streamnorm.kernels import loops, profile, scan
from streamnorm.kernels.kernel import bound_observe, is_on_device, rebuilt
from streamnorm.kernels.method import Buffer, Method, Packed

cuda: Any = numba_cuda
float64: Any = numba_float64

#: Threads that share a processor's registers; enough of them fit that loads of some hide behind the work of others.
THREADS = 128
#: Fewer columns than this leave most of a device idle.
FEW_COLUMNS = 8192
#: Stretches that are worth their joining.
SHORTEST_STRETCH = 256
#: Threads that a device can have at work: an H100 has room for 270 336.
MOST_THREADS = 262_144

STRIDE = 0
observe = loops.observe
note, join = scan.note, scan.join


def columns(
    values: Buffer,
    times: Buffer,
    timed: int,
    rule: Packed,
    p: Packed,
    state: Buffer,
    rows: int,
    inner: int,
    out: Buffer,
) -> None:
    """Take every column in, a thread each: `values` are (…, rows, inner), flat; `state` is stride × columns."""
    column = cuda.grid(1)
    if column >= state.shape[1]:
        return
    own = cuda.local.array(STRIDE, float64)
    for place in range(STRIDE):
        own[place] = state[place, column]
    block = column // inner
    at = block * rows * inner + (column - block * inner)
    ahead = values[at]
    for row in range(rows):
        x = float64(ahead)
        if row + 1 < rows:
            ahead = values[at + inner]  # on its way while x is worked on
        out[at] = observe(x, 0.0, x, x, times[row * timed], rule, p, own, 0, STRIDE)[0]
        at += inner
    for place in range(STRIDE):
        state[place, column] = own[place]


def stretches(values: Buffer, rule: Packed, p: Packed, parts: Buffer, rows: int, inner: int, length: int) -> None:
    """Sum up every stretch of every column from nothing; `parts` is SIZE × stretches × columns."""
    thread = cuda.grid(1)
    many = parts.shape[2]
    if thread >= parts.shape[1] * many:
        return
    stretch = thread // many
    column = thread - stretch * many
    own = cuda.local.array(PART, float64)
    for place in range(PART):
        own[place] = 0.0
    block = column // inner
    at = block * rows * inner + (column - block * inner)
    for row in range(stretch * length, min(rows, (stretch + 1) * length)):
        x = float64(values[at + row * inner])
        note(x, rule[0], own, 0)
        observe(x, 0.0, x, x, 0.0, rule, p, own, 0, STRIDE)
    for place in range(PART):
        parts[place, stretch, column] = own[place]


def joined(parts: Buffer, state: Buffer) -> None:
    """Join the stretches of a column, a thread each: `parts` become the states in which the stretches begin."""
    column = cuda.grid(1)
    if column >= state.shape[1]:
        return
    before = cuda.local.array(STRIDE, float64)
    part = cuda.local.array(PART, float64)
    for place in range(STRIDE):
        before[place] = state[place, column]
    for stretch in range(parts.shape[1]):
        for place in range(PART):
            part[place] = parts[place, stretch, column]
        for place in range(STRIDE):
            parts[place, stretch, column] = before[place]
        join(before, 0, part, 0)


def answered(
    values: Buffer,
    rule: Packed,
    p: Packed,
    parts: Buffer,
    state: Buffer,
    rows: int,
    inner: int,
    length: int,
    out: Buffer,
) -> None:
    """Go through every stretch again, from the state in which it begins; the last one's end is the column's."""
    thread = cuda.grid(1)
    many = parts.shape[2]
    if thread >= parts.shape[1] * many:
        return
    stretch = thread // many
    column = thread - stretch * many
    own = cuda.local.array(STRIDE, float64)
    for place in range(STRIDE):
        own[place] = parts[place, stretch, column]
    block = column // inner
    at = block * rows * inner + (column - block * inner)
    for row in range(stretch * length, min(rows, (stretch + 1) * length)):
        x = float64(values[at + row * inner])
        out[at + row * inner] = observe(x, 0.0, x, x, 0.0, rule, p, own, 0, STRIDE)[0]
    if stretch == parts.shape[1] - 1:
        for place in range(STRIDE):
            state[place, column] = own[place]


def wild(values: Buffer, limit: float, found: Buffer) -> None:
    """Find the first value beyond ±limit: `found` becomes the least of itself and its place."""
    place = cuda.grid(1)
    if place < values.size:
        x = values[place]
        if x > limit or x < -limit:
            cuda.atomic.min(found, 0, place)


def finish(
    ys: Buffer,
    columns: int,
    missing: float,
    clamp: float,
    gamma: Buffer,
    beta: Buffer,
    last: Packed,
    out: Buffer,
) -> None:
    """Turn raw z-scores into answers, a thread a row."""
    row = cuda.grid(1)
    if row < ys.size // columns:
        own = ys[row * columns : (row + 1) * columns]
        finish_row(own, 1, columns, missing, clamp, gamma, beta, last)
        for column in range(columns):
            out[row * columns + column] = own[column]


def copy(values: Buffer, out: Buffer) -> None:
    """Copy values into an array of another type."""
    place = cuda.grid(1)
    if place < values.size:
        out[place] = values[place]


PART = scan.SIZE
finish_row = loops.finish_rows


class Device:
    """A method's loops on a device. Blocks have the shape (rows, features) or (streams, rows, features)."""

    def __init__(self, method: Method) -> None:
        self._method = method
        self._finish = _kernel(finish, "finish", finish_row=_device(loops.finish_rows, {}))
        self._wild = _kernel(wild, "wild")
        self._copy = _kernel(copy, "copy")

    def observe(
        self, values: Any, times: npt.NDArray[np.float64] | None, rule: Packed, p: Packed, state: Any, out: Any = None
    ) -> Any:
        """Take a block on the device in, with its state (stride × columns) there; gives its raw z-scores there.

        Without `times` all readings have the same time, which no rule without a time constant looks at.
        """
        rows, inner = values.shape[-2:]
        out = cuda.device_array(values.shape, values.dtype) if out is None else out
        flat, flat_out = _flat(values), _flat(out)
        stride, many = state.shape
        length = self._stretch(rows, many, rule)
        packed = tuple(map(float, p)) or (0.0,)
        if length == rows:
            moments = cuda.to_device(np.zeros(1) if times is None else times)
            work = _bound(self._method, stride, columns)
            work[_grid(many)](flat, moments, int(times is not None), rule, packed, state, rows, inner, flat_out)
            return out
        parts = cuda.device_array((PART, math.ceil(rows / length), many), np.float64)
        threads = _grid(parts.shape[1] * many)
        _bound(self._method, stride, stretches)[threads](flat, rule, packed, parts, rows, inner, length)
        _bound(self._method, stride, joined)[_grid(many)](parts, state)
        work = _bound(self._method, stride, answered)
        work[threads](flat, rule, packed, parts, state, rows, inner, length, flat_out)
        return out

    def _stretch(self, rows: int, many: int, rule: Packed) -> int:
        """Tell how long a stretch is; all rows where time is not to be cut, or not worth it."""
        linear = self._method.base and rule[1] == 0.0 and rule[3] == 0.0
        if not linear or many >= FEW_COLUMNS:
            return rows
        length = max(SHORTEST_STRETCH, math.ceil(rows * many / MOST_THREADS))
        return length if rows >= 2 * length else rows

    def observe_block(
        self,
        values: Any,
        times: npt.NDArray[np.float64],
        rule: Packed,
        p: Packed,
        state: array[float],
        starts: Sequence[int],
        ends: Sequence[int],
        out: Any = None,
    ) -> Any:
        """Do what `Kernel.observe_block` does; what came from the device stays there."""
        stride = ends[0] - starts[0]
        places = np.arange(stride)[:, None] + np.array(starts)[None, :]
        flat = np.frombuffer(state)
        own = cuda.to_device(np.ascontiguousarray(flat[places]))
        timed = times if rule[1] > 0.0 else None
        if is_on_device(values):
            ys = self.observe(as_device(values), timed, rule, p, own)
        else:
            there = cuda.to_device(np.ascontiguousarray(values))
            ys = self.observe(there, timed, rule, p, own, there).copy_to_host(out)
        flat[places] = own.copy_to_host()
        return ys

    def observe_table(
        self, values: Any, times: npt.NDArray[np.float64], rule: Packed, p: Packed, state: npt.NDArray[np.float64]
    ) -> npt.NDArray[Any]:
        """Take blocks of this process (streams × rows × features) in, with their state (stride × columns) in place."""
        there, own = cuda.to_device(values), cuda.to_device(state)
        self.observe(there, times if rule[1] > 0.0 else None, rule, p, own, there)
        own.copy_to_host(state)
        ys: npt.NDArray[Any] = there.copy_to_host()
        return ys

    def finish_block(
        self, ys: Any, missing: float, clamp: float, gamma: Sequence[float], beta: Sequence[float], last: Packed
    ) -> Any:
        """Do what `Kernel.finish_block` does, for a block on the device."""
        rows, many = ys.shape
        scale, shift = (
            cuda.to_device(np.array(gamma, dtype=np.float64)),
            cuda.to_device(np.array(beta, dtype=np.float64)),
        )
        out = cuda.device_array(ys.shape, ys.dtype)
        self._finish[_grid(rows)](_flat(ys), many, missing, clamp, scale, shift, last, _flat(out))
        return out

    def as_type(self, values: Any, kind: npt.DTypeLike) -> Any:
        """Give a block on the device as float64 or float32."""
        if values.dtype == np.dtype(kind):
            return values
        out = cuda.device_array(values.shape, kind)
        size = math.prod(values.shape)
        self._copy[_grid(size)](_flat(as_device(values)), _flat(out))
        return out

    def first_wild(self, values: Any, limit: float) -> int:
        """Find the place of the first value beyond ±limit in a block on the device; −1 where there is none."""
        size = math.prod(values.shape)
        found = cuda.to_device(np.array([size], dtype=np.int64))
        self._wild[_grid(size)](_flat(as_device(values)), limit, found)
        place = int(found.copy_to_host()[0])
        return place if place < size else -1


def as_device(values: Any) -> Any:
    """Look at an array on the device, whosever it is, as one of float64 or float32 in C order; without a copy."""
    found = cuda.as_cuda_array(values) if hasattr(values, "__cuda_array_interface__") else values
    if found.dtype not in {np.dtype(np.float64), np.dtype(np.float32)} or not found.is_c_contiguous():
        raise TypeError(f"an array on the device must be float64 or float32 in C order, not {found.dtype}")
    return found


@functools.cache
def available() -> bool:
    """Tell whether there is a device to be used."""
    return bool(cuda.is_available())


@functools.cache
def device(method: Method) -> Device:
    """Give a method's loops, compiled at their first use."""
    return Device(method)


@functools.cache
def _bound(method: Method, stride: int, template: Callable[..., Any]) -> Any:
    """Bind a kernel to a method and to the length of its state, which registers must know beforehand."""
    names: dict[str, Any] = {"STRIDE": stride}
    used = template.__code__.co_names
    if "observe" in used:
        names["observe"] = bound_observe(method, decorate=_on_device, label=f"cuda-{method.name}")
    if "note" in used:
        names["note"] = _device(scan.note, {})
    if "join" in used:
        merge = _device(profile.merge, {})
        names["join"] = _device(
            scan.join, {"join_profiles": merge, "join_statistics": _device(scan.join_statistics, {})}
        )
    return _kernel(template, f"{method.name}-{stride}", **names)


def _device(function: Any, names: dict[str, Any]) -> Any:
    return rebuilt(function, names, decorate=_on_device, label="cuda")


def _on_device(function: Callable[..., Any]) -> Any:
    return cuda.jit(device=True, inline=True)(function)


def _kernel(template: Any, label: str, **names: Any) -> Any:
    return rebuilt(template, names, decorate=cuda.jit, label=f"cuda-{label}")


def _flat(values: Any) -> Any:
    return values.reshape(math.prod(values.shape))


def _grid(threads: int) -> tuple[int, int]:
    return max(1, math.ceil(threads / THREADS)), THREADS
