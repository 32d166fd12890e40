"""The same step on a CUDA device (the extra `gpu`); imported only where it is wanted.

`Device` does what `MethodKernel` does with blocks: with those of this process, which travel there and back piece by
piece, and with arrays on the device by any library that speaks the CUDA array interface (CuPy, PyTorch, Numba), which
stay where they are, as does the answer. What happens there is in `streamnorm.kernels.cuda.device_loops`. Where columns
are few and rows many, stretches of a column are worked on at once (`streamnorm.kernels.cuda.prefix_scan`).

Rules:

1. A state changes last, when nothing can fail any more: an error of the device leaves everything as it was.
2. The receiver of an array need not wait for it, and what came with a stream is waited for: work is done on the
   device's default stream, and finished when a call returns.
3. Arrays that came from outside are only read.

The compiler contracts a product and a sum to one rounding, and a root of a quotient is one instruction here: answers
agree with the processor's to 1e-12 of max(1, |y|) in float64 while a mean is within 100 deviations of 0.

What has the name of a parameter of `MethodKernel` is the same: `values` and `times` of a block, `rule`, `p`, `state`
with each column's part from `starts` to `ends`, answers `out`, and for the last stage `ys`, `missing`, `clamp`,
`gamma`, `beta` and `compensation`. A state has `stride` numbers a column; code for it differs by whether it is `timed`,
or `robust`.
"""

from __future__ import annotations

import functools
import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numba_cuda  # noqa: F401 - takes the place of Numba's own remnant, `numba.cuda`, which is not meant
import numpy as np
import numpy.typing as npt
from numba import types as numba_types
from numba.cuda import libdevice
from numba.cuda.core import config

from streamnorm.kernels import templates
from streamnorm.kernels.array_types import is_on_device
from streamnorm.kernels.cuda import device_loops, prefix_scan
from streamnorm.kernels.method import Method, Packed
from streamnorm.kernels.specialize import bound_observe, specialize

cuda: Any = device_loops.cuda
types: Any = numba_types  # their functions have no annotations
cuda_config: Any = config
rsqrt: Any = libdevice.rsqrt

#: Threads of a block: a processor has room for several blocks, and fills up with the next ones.
THREADS = 128
#: Longest state that registers hold: two of a thread's 255 a float, and some to work with.
IN_REGISTERS = 64
#: Fewer columns than this leave most of a device idle: an H100 works on 528 groups of 32 threads at once.
FEW_COLUMNS = 16_384
#: Stretches that are worth their joining.
SHORTEST_STRETCH = 128
#: Threads that a device can have at work: an H100 has registers for 152 064.
MOST_THREADS = 131_072
#: Values of a block of this process that are on the device at once: half a gigabyte of float64.
PIECE = 1 << 26
#: kernel and types of its arguments
Program = tuple[Any, tuple[Any, ...]]


class Device:
    """A method's loops on a device. Blocks have the shape (rows, features) or (streams, rows, features)."""

    def __init__(self, method: Method) -> None:
        self._method = method
        self._finish = _kernel("finish", finish_rows=_device(templates.finish_rows))
        self._wild = _kernel("wild")
        self._copy = _kernel("copy")

    def observe(
        self, values: Any, times: npt.NDArray[np.float64], rule: Packed, p: Packed, state: Any, out: Any = None
    ) -> Any:
        """Take a block on the device in, with its state (stride × columns) there; returns its raw z-scores there.

        `times` has one a row; no rule without a time constant looks at them. `out` may be `values`.
        """
        rows, inner = values.shape[-2:]
        out = cuda.device_array(values.shape, values.dtype) if out is None else out
        if not math.prod(values.shape):
            return out
        flat, answers = _flat(values), _flat(out)
        stride, many = state.shape
        packed = _packed(p)
        there = cuda.to_device(np.ascontiguousarray(times) if rule[1] > 0.0 else np.zeros(1))
        program = functools.partial(_bound, self._method, stride, timed=rule[1] > 0.0, robust=rule[3] > 0.0)
        length = self._stretch(rows, many, rule)
        if length == rows:
            work = program(_columns(stride))
            work[_grid(many)](flat, there, rule, packed, state, rows, inner, answers)
            return out
        count = math.ceil(rows / length)
        group = math.ceil(math.sqrt(count))
        parts = cuda.device_array((prefix_scan.SIZE, count, many), np.float64)
        sums = cuda.device_array((prefix_scan.SIZE, math.ceil(count / group), many), np.float64)
        every, groups = _grid(count * many), _grid(sums.shape[1] * many)
        program("stretches")[every](flat, rule, packed, parts, rows, inner, length)
        program("folded")[groups](parts, group, sums)
        program("begun")[_grid(many)](sums, sums.shape[1], state.reshape(stride, 1, many))
        program("begun")[groups](parts, group, sums)
        program("answered")[every](flat, there, rule, packed, parts, state, rows, inner, length, answers)
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
        """Do what `MethodKernel.observe_block` does; what came from the device stays there."""
        flat = np.frombuffer(state)
        places = np.arange(ends[0] - starts[0])[:, None] + np.array(starts)[None, :]
        own = cuda.to_device(flat[places])
        if is_on_device(values):
            ys = self.observe(values, times, rule, p, own)
        else:
            ys = np.empty_like(values, order="C") if out is None else out
            for some in _pieces(*values.shape):
                there = cuda.to_device(np.ascontiguousarray(values[some]))
                self.observe(there, times[some], rule, p, own, there).copy_to_host(ys[some])
        flat[places] = own.copy_to_host()
        return ys

    def observe_table(
        self, values: npt.NDArray[Any], times: npt.NDArray[np.float64], rule: Packed, p: Packed, state: Any
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Take blocks of this process (streams × rows × features) in; returns their answers, and their states after it.

        `state` is stride × columns, the columns in the order of the streams, and stays as it is.
        """
        there, own = cuda.to_device(values), cuda.to_device(state)
        self.observe(there, times, rule, p, own, there)
        return there.copy_to_host(), own.copy_to_host()

    def finish_block(
        self,
        ys: Any,
        missing: float,
        clamp: float,
        gamma: Sequence[float],
        beta: Sequence[float],
        compensation: Packed,
    ) -> Any:
        """Do what `MethodKernel.finish_block` does, for a block on the device."""
        width = ys.shape[1] if compensation[1] >= 0.0 else 1  # layer scaling looks at all of a row
        scale, shift = cuda.to_device(np.array(gamma, np.float64)), cuda.to_device(np.array(beta, np.float64))
        grid = _grid(math.prod(ys.shape) // width)
        self._finish[grid](_flat(ys), width, missing, clamp, scale, shift, compensation)
        cuda.synchronize()
        return ys

    def as_type(self, values: Any, kind: npt.DTypeLike) -> Any:
        """Return a block on the device as float64 or float32."""
        if values.dtype == np.dtype(kind):
            return values
        out = cuda.device_array(values.shape, kind)
        self._copy[_grid(math.prod(values.shape))](_flat(values), _flat(out))
        cuda.synchronize()
        return out

    def first_out_of_range(self, values: Any, limit: float) -> int:
        """Find the place of the first value beyond ±limit in a block on the device; −1 where there is none."""
        size = math.prod(values.shape)
        found = cuda.to_device(np.array([size], dtype=np.int64))
        self._wild[_grid(size)](_flat(values), limit, found)
        place = int(found.copy_to_host()[0])
        return place if place < size else -1

    def programs(self, p: Packed, stride: int, *, timed: bool = False, robust: bool = False) -> Iterator[Program]:
        """List all that may run on the device for such streams, with the types that it is called with."""
        f8, i8 = types.float64, types.int64
        doubles, table, cube = f8[::1], f8[:, ::1], f8[:, :, ::1]
        rule, packed = types.UniTuple(f8, 4), types.UniTuple(f8, len(_packed(p)))
        program = functools.partial(_bound, self._method, stride, timed=timed, robust=robust)
        linear = self._method.base and not timed and not robust
        for kind in (types.float64, types.float32):
            flat = kind[::1]
            yield program(_columns(stride)), (flat, doubles, rule, packed, table, i8, i8, flat)
            yield self._wild, (flat, f8, i8[::1])
            yield self._copy, (flat, (f8 if kind is types.float32 else types.float32)[::1])
            if linear:
                yield program("stretches"), (flat, rule, packed, cube, i8, i8, i8)
                yield program("answered"), (flat, doubles, rule, packed, cube, table, i8, i8, i8, flat)
        if linear:
            yield program("folded"), (cube, i8, cube)
            yield program("begun"), (cube, i8, cube)
        yield self._finish, (doubles, i8, f8, f8, doubles, doubles, types.UniTuple(f8, 2))


def as_device(values: Any) -> Any:
    """Inspect an array on the device, whosever it is, as one of float64 or float32 in C order; without a copy.

    Raises:
        TypeError: it is another.

    """
    found = cuda.as_cuda_array(values) if hasattr(values, "__cuda_array_interface__") else values
    if found.dtype not in {np.dtype(np.float64), np.dtype(np.float32)} or not found.is_c_contiguous():
        raise TypeError(f"an array on the device must be float64 or float32 in C order, not {found.dtype}")
    return found


@functools.cache
def available() -> bool:
    """Return whether there is a device to be used."""
    return bool(cuda.is_available())


@functools.cache
def device(method: Method) -> Device:
    """Return a method's loops, compiled at their first use."""
    cuda_config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # a small block is no mistake
    return Device(method)


@functools.cache
def _bound(method: Method, stride: int, name: str, *, timed: bool, robust: bool) -> Any:
    """Bind a template to a method, and to what the compiler is to know of its streams."""
    used = getattr(device_loops, name).__code__.co_names
    names: dict[str, Any] = {"STRIDE": stride}
    if "observe" in used or "through" in used:
        names["observe"] = bound_observe(method, decorate=_on_device, label=f"cuda-{method.name}")
    if "through" in used:
        names["through"] = _device(device_loops.through, TIMED=timed, ROBUST=robust, **names)
    for function in (device_loops.begin, device_loops.note, device_loops.join):
        if function.__name__ in used:
            names[function.__name__] = _device(function)
    return _kernel(name, **names)


def _columns(stride: int) -> str:
    return "columns" if stride <= IN_REGISTERS else "long_columns"


def _kernel(name: str, **names: Any) -> Any:
    return specialize(getattr(device_loops, name), names, decorate=cuda.jit, label="cuda")


def _device(function: Any, **names: Any) -> Any:
    return specialize(function, names, decorate=_on_device, label="cuda")


def _on_device(function: Callable[..., Any]) -> Any:
    has_own = function.__name__ == "quotient_root" and not cuda_config.ENABLE_CUDASIM
    return cuda.jit(device=True, inline="always")(_quotient_root if has_own else function)


def _quotient_root(a: float, b: float) -> float:
    """Return √(a/b) by an instruction that a simulator does not have, in 8 steps instead of 19."""
    return a * rsqrt(a * b)  # type: ignore[no-any-return]


def _packed(p: Packed) -> tuple[float, ...]:
    return tuple(map(float, p)) or (0.0,)  # a kernel takes no empty tuple


def _pieces(rows: int, columns: int) -> Iterator[slice]:
    """Cut a block into pieces that are not too large for the device."""
    most = max(1, PIECE // max(1, columns))
    return (slice(first, min(rows, first + most)) for first in range(0, rows, most))


def _flat(values: Any) -> Any:
    return values.reshape(math.prod(values.shape))


def _grid(count: int) -> tuple[int, int]:
    return max(1, math.ceil(count / THREADS)), THREADS
