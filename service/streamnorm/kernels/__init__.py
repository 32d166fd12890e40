"""Numbers only: one plain-Python step a method, and the loops that run it."""

from __future__ import annotations

import functools
import importlib.util

from streamnorm.kernels.kernel import Kernel, bind
from streamnorm.kernels.method import Method
from streamnorm.kernels.online import CUMULATIVE, ONLINE

__all__ = ["METHODS", "Kernel", "Method", "kernel"]

METHODS: dict[str, Method] = {method.name: method for method in (ONLINE, CUMULATIVE)}


@functools.cache
def kernel(name: str) -> Kernel:
    """Give the kernel of a method, with compiled loops where Numba (the extra `fast`) is installed."""
    if importlib.util.find_spec("numba") is None:
        return bind(METHODS[name])
    from streamnorm.kernels.compiled import compile_loop  # noqa: PLC0415 - triples the memory; only where asked for

    return bind(METHODS[name], compile_with=compile_loop)
