"""Which blocks a CUDA device works on: from the size on where it wins, as measured when the service starts.

A block of this process travels there and back, so the transfer is part of what is measured. An error of the device, of
its driver or of its compiler costs nothing but time: the processor does what it failed to do, and everything after it.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import logging
import math
import time
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np

from streamnorm.kernels import METHODS, base_statistics, kernel_for
from streamnorm.kernels.cpu.thread_pool import WIDE, cores
from streamnorm.kernels.dispatch import NEVER, on_device

log = logging.getLogger(__name__)

DRIVER = "libcuda.so.1"
NONE = "there is no CUDA device: blocks are worked on by the processor"
FAILED = "the CUDA device failed, blocks are worked on by the processor from now on: %r"
#: blocks that the processor and the device are compared by: values, rule, how often
SIZES = (1 << 16, 1 << 18, 1 << 20, 1 << 22)
RULE = (0.999, 0.0, 32.0, 0.0)
ROUNDS = 3
#: columns of a block that one core works on
FEW = 8
#: rows of the blocks that have the device compile what it needs
PREPARED = (1, 1024)


def device_exists() -> bool:
    """Return whether there is a CUDA device that can be used; in one line where there might have been one.

    The driver is looked for first, for asking it takes 40 MB.
    """
    if importlib.util.find_spec("numba_cuda") is None:
        return False
    with contextlib.suppress(ImportError):  # of a part of the extra, or of the driver
        if _has_driver() and on_device().available():
            return True
    log.warning(NONE)
    return False


def enable_device(device: str, method: str) -> None:
    """Have blocks worked on by the device: `cuda` sends all that are not small, `auto` those for which it wins."""
    if device == "cpu" or not device_exists():
        return
    try:
        benchmark_devices(method)
        sizes = (SIZES[0], SIZES[0]) if device == "cuda" else measure_threshold(method)
    except Exception as error:  # noqa: BLE001 - drivers and compilers raise what they like
        log.warning(FAILED, error)
        return
    for name in METHODS:
        kernel_for(name).device_from, kernel_for(name).device_failed = sizes, disable_device
    log.info("the CUDA device works on blocks of %s values and more, on wide ones of %s", *sizes)


def disable_device(error: Exception) -> None:
    """Leave all blocks to the processor from now on, and say so once."""
    if any(kernel_for(name).device_from != NEVER for name in METHODS):
        for name in METHODS:
            kernel_for(name).device_from = NEVER
        log.warning(FAILED, error)


def benchmark_devices(method: str) -> None:
    """Have the device compile the loops of a method; those of another, or of another rule, are at their first use."""
    for kind in (np.float64, np.float32):
        for rows in PREPARED:
            seconds(method, kernel_for(method).device.observe_block, np.zeros((rows, 1), kind))


def measure_threshold(method: str) -> tuple[float, float]:
    """Measure from how many values on the device is faster than one core, and than all of them."""
    return shortest(method, FEW), shortest(method, WIDE * max(2, cores()))


def shortest(method: str, columns: int) -> float:
    """Measure from how many values on the device is faster, for blocks of so many columns."""
    works = kernel_for(method)
    found = math.inf
    for size in reversed(SIZES):
        table = np.random.default_rng(0).normal(size=(size // columns, columns))
        ways = works.device.observe_block, works.observe_block
        there, here = (min(seconds(method, way, table) for _ in range(ROUNDS)) for way in ways)
        if there >= here:
            break
        found = size
    return found


def seconds(method: str, observe_block: Callable[..., object], table: Any) -> float:
    """Measure how long a block of new features takes."""
    p = METHODS[method].parameters().pack()
    rows, columns = table.shape
    stride = base_statistics.SIZE + kernel_for(method).own_size(p)
    starts, ends = range(0, stride * columns, stride), range(stride, stride * columns + 1, stride)
    times, state = np.zeros(rows), array("d", bytes(8 * stride * columns))
    began = time.perf_counter()
    observe_block(table, times, RULE, p, state, starts, ends)
    return time.perf_counter() - began


def _has_driver() -> bool:
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return False
    return True
