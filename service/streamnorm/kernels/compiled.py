"""Compiles the loops with Numba (the extra `fast`); imported only where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core import types
from numba.extending import intrinsic

from streamnorm.kernels.method import Buffer, Packed


def _pointer(_context: Any, address: Any) -> Any:

    def build(_target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], _target.get_value_type(signature.return_type))

    return types.CPointer(types.float64)(address), build


#: makes a pointer to float64 of an address
pointer: Any = intrinsic(_pointer)
carray: Any = numba.carray


def compile_loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function, to run without the interpreter's lock; no fast-math: the bits stay the interpreter's."""
    compiled: Callable[..., Any] = numba.njit(nogil=True, error_model="numpy", cache=True)(function)
    return compiled


def observe_row(
    _values: Buffer, _t: float, _rule: Packed, _p: Packed, _state: Buffer, _first: int, _stride: int
) -> bool:
    """Stand in for `loops.observe_row` until it is bound to a method."""
    raise NotImplementedError


def observe_row_at(
    values: int, count: int, t: float, rule: Packed, p: Packed, state: int, size: int, first: int, stride: int
) -> bool:
    """Run `observe_row` on buffers given by address and length.

    Handing a NumPy array over to compiled code costs more than the arithmetic of a whole reading; a number does not.
    """
    row = carray(pointer(values), count)
    return observe_row(row, t, rule, p, carray(pointer(state), size), first, stride)
