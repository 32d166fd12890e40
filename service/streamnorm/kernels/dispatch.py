"""A method bound to the loops, interpreted or compiled: the same source, the same bits.

Throughout, a block's `values` are rows × columns with one of `times` (s since 1970) a row, `rule` is what
`streamnorm.kernels.templates` takes, `p` are the method's packed parameters, and a column's state is `state` from its
place in `starts` to that in `ends`.
"""

from __future__ import annotations

import functools
import math
from array import array
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from streamnorm.kernels import base_statistics, templates
from streamnorm.kernels.array_types import Array, is_on_device
from streamnorm.kernels.cpu.thread_pool import WIDE
from streamnorm.kernels.method import Method, Packed
from streamnorm.kernels.specialize import bound_observe, plain, specialize

if TYPE_CHECKING:
    from streamnorm.kernels.cpu.loops import Loops
    from streamnorm.kernels.cuda.device import Device

Done = TypeVar("Done")
#: Sizes from which on a block is sent to a device, where there is none.
NEVER = (math.inf, math.inf)


class MethodKernel:
    """A method bound to the loops.

    `observe` takes one value of one feature in, interpreted; `fast.row`, where there is `fast`, a whole
    reading of plain features, compiled. `observe_block` and `finish_block` work on blocks, compiled where `fast` is.
    `find` returns the compiled loops when they are first asked for; without it, everything is interpreted.
    """

    def __init__(self, method: Method, find: Callable[[Method], Loops] | None = None) -> None:
        build = functools.partial(specialize, decorate=plain, label=method.name)
        self.method = method
        self.observe = bound_observe(method, decorate=plain, label=method.name)
        self._rows = build(templates.observe_rows, {"observe": self.observe})
        self._find = find
        #: the values from which on a block travels to a CUDA device and back: if one core here would work on it, if all
        self.device_from = NEVER
        #: is told when the device failed to do what is then done here, and why
        self.device_failed: Callable[[Exception], object] = _unheard

    @functools.cached_property
    def fast(self) -> Loops | None:
        """The compiled loops, found when first asked for; None while there are none, and everything is interpreted."""
        return None if self._find is None else self._find(self.method)

    @property
    def compiled(self) -> bool:
        """Whether the loops are compiled."""
        return self.fast is not None

    @functools.cached_property
    def device(self) -> Device:
        """The loops on a CUDA device; see `on_device`."""
        found: Device = on_device().device(self.method)
        return found

    def as_type(self, values: Array, kind: npt.DTypeLike) -> Array:
        """Return a block as float64 or float32, wherever it lies."""
        if is_on_device(values):
            there: Array = self.device.as_type(values, kind)
            return there
        return values.astype(kind, copy=False)

    def own_size(self, p: Packed) -> int:
        """Count the floats that a feature needs behind its base block."""
        return 0 if self.method.base else self.method.size(p)

    def spread(self, p: Packed, state: Any, at: int) -> tuple[float, float]:
        """Return the mean and standard deviation of the feature whose state begins at `at`."""
        return self.method.spread(p, state, at if self.method.base else at + base_statistics.SIZE)

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
        """Take a block (rows × columns, float64 or float32) in; returns its raw z-scores, of the same shape and type.

        They are written to `out`, C-contiguous, where it is given; that may be `values`. A block on a CUDA device is
        answered there.
        """
        if is_on_device(values):
            there: Array = self.device.observe_block(values, times, rule, p, state, starts, ends)
            return there
        if self.should_offload(values.size, values.shape[1]):
            there_to = None if out is values else out  # a device that fails must leave the values as they are
            sent: Array | None = self._try_device(
                lambda: self.device.observe_block(values, times, rule, p, state, starts, ends, there_to)
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
        self.fast.observe_block(np.ascontiguousarray(values), times, rule, p, state, starts, ends, result)
        return result

    def should_offload(self, size: int, columns: int) -> bool:
        """Return whether a block of `size` values goes to a CUDA device and back."""
        return size >= self.device_from[columns >= 2 * WIDE]

    def observe_table(
        self, values: Array, times: Array, rule: Packed, p: Packed, state: Array
    ) -> tuple[Array, Array] | None:
        """Take blocks of alike streams in at once; see `Device.observe_table`. None where a device failed."""
        return self._try_device(lambda: self.device.observe_table(values, times, rule, p, state))

    def _try_device(self, work: Callable[[], Done]) -> Done | None:
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
            self.fast.finish(out, missing, clamp, gamma, beta, last)
            return out
        flat = out.ravel().tolist()
        templates.finish_rows(flat, rows, columns, missing, clamp, gamma, beta, last)
        return np.array(flat).reshape(rows, columns)

    def first_out_of_range(self, values: Array, limit: float) -> tuple[int, int] | None:
        """Find the row and column of the first value beyond ±limit; infinities are, NaN is not."""
        if is_on_device(values):
            place = self.device.first_out_of_range(values, limit)
        elif self.fast is None:
            # float64 of NumPy: beside float32, a float of Python would overflow to infinity, which then is in range
            wild = ~(np.abs(values) <= np.float64(limit)) & ~np.isnan(values)
            place = int(wild.argmax()) if wild.any() else -1
        else:
            place = self.fast.first_out_of_range(np.ascontiguousarray(values), limit)
        return None if place < 0 else divmod(place, values.shape[1])


def on_device() -> ModuleType:
    """Return what works on a CUDA device.

    Raises:
        ImportError: the extra `gpu` is not installed.

    """
    try:
        from streamnorm.kernels.cuda import device  # noqa: PLC0415 - only where there is a device
    except ImportError as error:
        raise ImportError(f"a CUDA device needs the extra: pip install 'streamnorm[gpu]' ({error})") from error
    return device


def _unheard(_error: Exception) -> None:
    """Stand in for who is told why a device failed."""
