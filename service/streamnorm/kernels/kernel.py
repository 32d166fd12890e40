"""Binds the loops to a method's step, interpreted or compiled by Numba: the same source, the same bits."""

from __future__ import annotations

import functools
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np
import numpy.typing as npt

from streamnorm.kernels import loops, profile
from streamnorm.kernels.method import Method, Packed

Decorate = Callable[[Callable[..., Any]], Callable[..., Any]]
Array = npt.NDArray[np.float64]


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


@dataclass(frozen=True)
class Kernel:
    """A method bound to the loops.

    `observe` takes one value of one feature in, interpreted; `observe_row` a whole reading of plain features, compiled,
    and is None where nothing is compiled. `observe_block` and `finish_block` work on blocks.
    """

    method: Method
    observe: Callable[..., tuple[float, float]]
    rows: Callable[..., None]
    finish: Callable[..., None]
    observe_row_at: Callable[..., bool] | None = None

    @property
    def compiled(self) -> bool:
        """Whether the loops are compiled."""
        return self.observe_row_at is not None

    def observe_row(
        self, values: list[float], t: float, rule: Packed, p: Packed, state: array[float], first: int, stride: int
    ) -> tuple[array[float], bool]:
        """Take a reading in; gives its raw z-scores, and whether every feature has had its warmup."""
        assert self.observe_row_at is not None  # noqa: S101 - for compiled kernels only
        row = array("d", values)
        at, count = row.buffer_info()
        state_at, size = state.buffer_info()
        return row, self.observe_row_at(at, count, t, rule, p, state_at, size, first, stride)

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
    ) -> Array:
        """Take a block (rows × columns, float64) in; gives its raw z-scores, of the same shape."""
        rows, columns = values.shape
        if not self.compiled:
            out: list[float] = [0.0] * (rows * columns)
            self.rows(values.ravel().tolist(), times.tolist(), rule, p, state, starts, ends, 0, columns, out)
            return np.array(out).reshape(rows, columns)
        result = np.empty((rows, columns))
        self.rows(
            np.ascontiguousarray(values).ravel(),
            times,
            rule,
            p,
            np.frombuffer(state),
            np.array(starts),
            np.array(ends),
            0,
            columns,
            result.ravel(),
        )
        return result

    def finish_block(
        self, out: Array, missing: float, clamp: float, gamma: Sequence[float], beta: Sequence[float], last: Packed
    ) -> Array:
        """Turn a block of raw z-scores into answers; see `loops.finish_rows`."""
        rows, columns = out.shape
        if self.compiled:
            self.finish(out.ravel(), rows, columns, missing, clamp, np.array(gamma), np.array(beta), last)
            return out
        flat = out.ravel().tolist()
        self.finish(flat, rows, columns, missing, clamp, gamma, beta, last)
        return np.array(flat).reshape(rows, columns)


def bind(method: Method, *, compile_with: Decorate | None = None) -> Kernel:
    """Bind the loops to a method; with a compiler, all but `observe` is compiled by it."""

    def loop(decorate: Decorate, template: Any) -> Callable[..., Any]:
        build = functools.partial(rebuilt, decorate=decorate, label=method.name)
        step = build(method.step, {})
        if not method.base:
            step = build(loops.step_behind_base, {"step": step})
        observe = build(loops.observe, {"step": step})
        return observe if template is loops.observe else build(template, {"observe": observe})

    def plain(function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    observe = loop(plain, loops.observe)
    if compile_with is None:
        return Kernel(method, observe, loop(plain, loops.observe_rows), loop(plain, loops.finish_rows))
    from streamnorm.kernels import compiled  # noqa: PLC0415 - imports Numba

    rows, finish = loop(compile_with, loops.observe_rows), loop(compile_with, loops.finish_rows)
    names = {"observe_row": loop(compile_with, loops.observe_row)}
    at_addresses = rebuilt(compiled.observe_row_at, names, decorate=compile_with, label=method.name)
    return Kernel(method, observe, rows, finish, at_addresses)
