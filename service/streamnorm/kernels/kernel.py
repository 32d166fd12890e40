"""Binds the loops to a method's step, interpreted or compiled by Numba: the same source, the same bits."""

from __future__ import annotations

import functools
import itertools
import math
import os
import threading
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from streamnorm.kernels import loops, profile
from streamnorm.kernels.method import Method, Packed

if TYPE_CHECKING:
    from streamnorm.kernels.compiled import Compiled
    from streamnorm.kernels.cuda import Device

Done = TypeVar("Done")
Decorate = Callable[[Callable[..., Any]], Callable[..., Any]]
#: float64; blocks may be float32 too
Array = npt.NDArray[Any]

#: Columns that are worth a thread: for fewer, threads write to the same lines of the processors' caches.
WIDE = 32
#: Values that are worth a thread: half a millisecond of work, ten times what it costs to hand it over.
LARGE = 1 << 16
WORKER = "streamnorm-kernel"
#: Sizes from which on a block is sent to a device, where there is none.
NEVER = (math.inf, math.inf)


def rebuilt(function: Any, names: dict[str, Any], *, decorate: Decorate, label: str) -> Callable[..., Any]:
    """Build a function anew with some of its global names bound, and the kernels it calls decorated as it is.

    Numba caches compiled code on disk by a function's file, line and qualified name but not by its closure, which is
    why the loops are bound through globals, under a label of their own.
    """
    scope = {**function.__globals__, **names}
    for name in function.__code__.co_names:
        value = scope.get(name)
        if name not in names and isinstance(value, FunctionType) and value.__module__.startswith(__package__):
            scope[name] = rebuilt(value, {}, decorate=decorate, label=label)
    copy = FunctionType(function.__code__, scope, function.__name__, function.__defaults__)
    copy.__module__ = function.__module__
    copy.__qualname__ = f"{label}.{function.__name__}"
    return decorate(copy)


def bound_observe(method: Method, *, decorate: Decorate, label: str) -> Callable[..., Any]:
    """Bind `loops.observe` to a method's step."""
    build = functools.partial(rebuilt, decorate=decorate, label=label)
    step = build(method.step, {})
    if not method.base:
        step = build(loops.step_behind_base, {"step": step})
    return build(loops.observe, {"step": step})


class Kernel:
    """A method bound to the loops.

    `observe` takes one value of one feature in, interpreted; `observe_row`, which is there where `fast` is, a whole
    reading of plain features, compiled. `observe_block` and `finish_block` work on blocks, compiled where `fast` is.
    """

    def __init__(self, method: Method) -> None:
        plain = functools.partial(rebuilt, decorate=_plain, label=method.name)
        self.method = method
        self.observe = bound_observe(method, decorate=_plain, label=method.name)
        self._rows = plain(loops.observe_rows, {"observe": self.observe})
        #: the compiled loops; None while there are none, and then everything is interpreted
        self.fast: Compiled | None = None
        #: the values from which on a block travels to a CUDA device and back: if one core here would work on it, if all
        self.device_from = NEVER
        #: is told when the device failed to do what is then done here, and why
        self.device_failed: Callable[[Exception], object] = _unheard

    @property
    def compiled(self) -> bool:
        """Whether the loops are compiled."""
        return self.fast is not None

    def observe_row(
        self, values: list[float], t: float, rule: Packed, p: Packed, state: array[float], first: int, stride: int
    ) -> tuple[array[float], bool]:
        """Take a reading in; gives its raw z-scores, and whether every feature has had its warmup."""
        row = array("d", values)
        at, count = row.buffer_info()
        return row, self.fast.row(at, count, t, rule, p, state.buffer_info()[0], first, stride)  # type: ignore[union-attr]

    @functools.cached_property
    def device(self) -> Device:
        """The loops on a CUDA device; see `on_device`."""
        found: Device = on_device().device(self.method)
        return found

    def as_type(self, values: Array, kind: npt.DTypeLike) -> Array:
        """Give a block as float64 or float32, wherever it lies."""
        if is_on_device(values):
            there: Array = self.device.as_type(values, kind)
            return there
        return values.astype(kind, copy=False)

    def own_size(self, p: Packed) -> int:
        """Count the floats that a feature needs behind its base block."""
        return 0 if self.method.base else self.method.size(p)

    def spread(self, p: Packed, state: Any, at: int) -> tuple[float, float]:
        """Give the mean and standard deviation of the feature whose state begins at `at`."""
        return self.method.spread(p, state, at if self.method.base else at + profile.SIZE)

    def observe_block(
        self,
        values: Array,
        times: Array,
        rule: Packed,
        p: Packed,
        state: array[float],
        starts: Sequence[int],
        ends: Sequence[int],
        out: Array | None = None,
    ) -> Array:
        """Take a block (rows × columns, float64 or float32) in; gives its raw z-scores, of the same shape and type.

        They are written to `out`, C-contiguous, where it is given. A block on a CUDA device is answered there.
        """
        if is_on_device(values):
            there: Array = self.device.observe_block(values, times, rule, p, state, starts, ends)
            return there
        if self.sends(values.size, values.shape[1]):
            sent: Array | None = self._sent(
                lambda: self.device.observe_block(values, times, rule, p, state, starts, ends, out)
            )
            if sent is not None:
                return sent
        rows, columns = values.shape
        result = np.empty_like(values, order="C") if out is None else out
        if self.fast is None:
            ys: list[float] = [0.0] * (rows * columns)
            span = (rows, columns, 0, columns)
            self._rows(values.ravel().tolist(), times.tolist(), rule, p, state, starts, ends, span, ys)
            result[...] = np.array(ys).reshape(rows, columns)
            return result
        values = np.ascontiguousarray(values)
        times = np.ascontiguousarray(times, dtype=np.float64)
        at, to = np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64)
        loop = self.fast.rows if values.dtype == np.float64 else self.fast.rows_of_singles
        before = values.ctypes.data, times.ctypes.data, rule, p, state.buffer_info()[0], at.ctypes.data, to.ctypes.data
        out_at = result.ctypes.data
        share(columns, values.size, lambda first, last: loop(*before, (rows, columns, first, last), out_at))
        return result

    def sends(self, size: int, columns: int) -> bool:
        """Tell whether a block of `size` values goes to a CUDA device and back."""
        return size >= self.device_from[columns >= 2 * WIDE]

    def observe_table(
        self, values: Array, times: Array, rule: Packed, p: Packed, state: Array
    ) -> tuple[Array, Array] | None:
        """Take blocks of alike streams in at once; see `Device.observe_table`. None where a device failed."""
        return self._sent(lambda: self.device.observe_table(values, times, rule, p, state))

    def _sent(self, work: Callable[[], Done]) -> Done | None:
        """Have the device do what can be done here too; None where it failed, and then it changed nothing."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - drivers and compilers raise what they like
            self.device_failed(error)
            return None

    def finish_block(
        self, out: Array, missing: float, clamp: float, gamma: Sequence[float], beta: Sequence[float], last: Packed
    ) -> Array:
        """Turn a block of raw z-scores (float64) into answers; see `loops.finish_rows`."""
        if is_on_device(out):
            done: Array = self.device.finish_block(out, missing, clamp, gamma, beta, last)
            return done
        rows, columns = out.shape
        if self.fast is not None:
            out = np.ascontiguousarray(out)
            scale, shift = np.array(gamma, dtype=np.float64), np.array(beta, dtype=np.float64)
            self.fast.finish(out.ctypes.data, rows, columns, missing, clamp, scale.ctypes.data, shift.ctypes.data, last)
            return out
        flat = out.ravel().tolist()
        loops.finish_rows(flat, rows, columns, missing, clamp, gamma, beta, last)
        return np.array(flat).reshape(rows, columns)

    def first_wild(self, values: Array, limit: float) -> tuple[int, int] | None:
        """Find the row and column of the first value beyond ±limit; infinities are, NaN is not."""
        if is_on_device(values):
            place = self.device.first_wild(values, limit)
        elif self.fast is None:
            wild = ~(np.abs(values) <= limit) & ~np.isnan(values)
            place = int(wild.argmax()) if wild.any() else -1
        else:
            values = np.ascontiguousarray(values)
            find = self.fast.wild if values.dtype == np.float64 else self.fast.wild_of_singles
            place = find(values.ctypes.data, values.size, limit)
        return None if place < 0 else divmod(place, values.shape[1])


def is_on_device(values: object) -> bool:
    """Tell whether an array lies on a CUDA device; Numba's have a mark of their own, in its simulator too."""
    return hasattr(values, "__cuda_array_interface__") or hasattr(values, "__cuda_ndarray__")


def on_device() -> ModuleType:
    """Give what works on a CUDA device.

    Raises:
        ImportError: the extra `gpu` is not installed.

    """
    try:
        from streamnorm.kernels import cuda  # noqa: PLC0415 - only where there is a device
    except ImportError as error:
        raise ImportError(f"a CUDA device needs the extra: pip install 'streamnorm[gpu]' ({error})") from error
    return cuda


def share(items: int, size: int, work: Callable[[int, int], object], *, least: int = WIDE) -> None:
    """Share items, `size` values in all, out among the machine's cores; the calling thread takes the first part.

    Each part has at least `least` of them; `work` is given the first item of a part and its end.
    """
    parts = min(items // least, size // LARGE)
    parts = min(parts, cores()) if parts > 1 else 1  # asking the system takes longer than a short block
    if parts < 2 or threading.current_thread().name.startswith(WORKER):  # noqa: PLR2004 - nobody to share with
        work(0, items)
        return
    edges = [items * part // parts for part in range(parts + 1)]
    others = [_pool().submit(work, *pair) for pair in itertools.pairwise(edges[1:])]
    try:
        work(0, edges[1])
    finally:
        wait(others)
    for other in others:
        other.result()


def cores() -> int:
    """Count the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), thread_name_prefix=WORKER)


def _unheard(_error: Exception) -> None:
    """Stand in for who is told why a device failed."""


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    return function
