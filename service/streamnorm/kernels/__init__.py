"""Numbers only: one plain-Python step a method, and the loops that run it."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from streamnorm.kernels.cpu import prebuilt
from streamnorm.kernels.dispatch import MethodKernel
from streamnorm.kernels.method import Method
from streamnorm.kernels.methods import METHODS

if TYPE_CHECKING:
    from streamnorm.kernels.cpu.loops import Loops

__all__ = [
    "CHOICE",
    "METHODS",
    "Method",
    "MethodKernel",
    "compile_on_use",
    "interpret",
    "kernel_for",
    "needs_compiler",
    "on_compiling",
]


#: which kernels are used: "numba" passes libraries over, "interpreted" both
CHOICE = "STREAMNORM_KERNELS"


@functools.cache
def kernel_for(name: str) -> MethodKernel:
    """Return the kernel of a method; its loops are found at their first use.

    They are those of the library that was built for this processor, or compiled by Numba where it is installed.
    """
    if needs_compiler():
        return MethodKernel(METHODS[name], _compiled)
    library = _library()
    return MethodKernel(METHODS[name], None if library is None else functools.partial(prebuilt.load, path=library))


def needs_compiler() -> bool:
    """Return whether loops have to be compiled in this process, and can be."""
    wanted = os.environ.get(CHOICE) != "interpreted"
    return wanted and _library() is None and importlib.util.find_spec("numba") is not None


def _library() -> Path | None:
    return None if os.environ.get(CHOICE) in {"numba", "interpreted"} else prebuilt.fitting_library()


def interpret() -> None:
    """Have all methods interpreted until `compile_on_use`: loading a compiler takes as long as 300 000 values.

    Where a library fits there is no compiler to load, and it is used.
    """
    if needs_compiler():
        for name in METHODS:
            kernel_for(name).fast = None


def compile_on_use() -> None:
    """Have a method's loops compiled, or loaded, the next time that they are used."""
    for name in METHODS:
        vars(kernel_for(name)).pop("fast", None)


_listeners: list[Callable[[], None]] = []


def on_compiling(tell: Callable[[], None]) -> None:
    """Call `tell` once, when something begins to be compiled; a compiler is not loaded for that."""
    _listeners.append(tell)


def _compiled(method: Method) -> Loops:
    from streamnorm.kernels.cpu import numba_loops  # noqa: PLC0415 - triples the memory; only where asked for

    while _listeners:
        numba_loops.on_compiling(_listeners.pop())
    return numba_loops.compiled(method)
