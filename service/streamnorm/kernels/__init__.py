"""Numbers only: one plain-Python step a method, and the loops that run it."""

from __future__ import annotations

import functools
import importlib.util

from streamnorm.kernels.adaptive import ADAPTIVE
from streamnorm.kernels.batch import BATCH
from streamnorm.kernels.batch_renorm import BATCH_RENORM
from streamnorm.kernels.kernel import Kernel
from streamnorm.kernels.method import Method
from streamnorm.kernels.online import CUMULATIVE, ONLINE
from streamnorm.kernels.online_2019 import ONLINE_2019
from streamnorm.kernels.streaming import STREAMING

__all__ = ["METHODS", "Kernel", "Method", "kernel"]

METHODS: dict[str, Method] = {
    method.name: method for method in (ONLINE, ADAPTIVE, CUMULATIVE, BATCH, BATCH_RENORM, STREAMING, ONLINE_2019)
}


@functools.cache
def kernel(name: str) -> Kernel:
    """Give the kernel of a method; its loops compile at their first use where Numba (the extra `fast`) is installed."""
    made = Kernel(METHODS[name])
    if importlib.util.find_spec("numba") is not None:
        from streamnorm.kernels.compiled import compiled  # noqa: PLC0415 - triples the memory; only where asked for

        made.fast = compiled(made.method)
    return made
