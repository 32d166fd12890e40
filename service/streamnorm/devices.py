"""Offloading of blocks to a CUDA device, above the size at which a start-up benchmark finds it faster.

Blocks are copied to the device and back, so the benchmark includes the transfers. An error of the device, its driver or
its compiler only costs time: the CPU repeats the failed block, and processes all later ones.
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
NONE = "there is no CUDA device: blocks are processed by the CPU"
FAILED = "the CUDA device failed, blocks are processed by the CPU from now on: %r"
#: the benchmark: values per block, rule, repetitions
SIZES = (1 << 16, 1 << 18, 1 << 20, 1 << 22)
RULE = (0.999, 0.0, 32.0, 0.0)
ROUNDS = 3
#: columns of a block that is processed by one core
FEW = 8
#: rows of the blocks that trigger the device's compilation
PREPARED = (1, 1024)


def device_exists() -> bool:
    """Return whether there is a usable CUDA device; log a warning if only the extra is installed.

    The driver library is checked first, since initializing the driver takes 40 MB.
    """
    if importlib.util.find_spec("numba_cuda") is None:
        return False
    with contextlib.suppress(ImportError):  # an incomplete extra, or a missing driver
        if _has_driver() and on_device().available():
            return True
    log.warning(NONE)
    return False


def enable_device(device: str, method: str) -> None:
    """Enable offloading: `cuda` for all but small blocks, `auto` above the size at which the device is faster."""
    if device == "cpu" or not device_exists():
        return
    try:
        benchmark_devices(method)
        sizes = (SIZES[0], SIZES[0]) if device == "cuda" else measure_threshold(method)
    except Exception as error:  # noqa: BLE001 - drivers and compilers raise arbitrary errors
        log.warning(FAILED, error)
        return
    for name in METHODS:
        kernel_for(name).device_from, kernel_for(name).device_failed = sizes, disable_device
    log.info("the CUDA device processes blocks of %s values and more, on wide ones of %s", *sizes)


def disable_device(error: Exception) -> None:
    """Process all blocks on the CPU from now on, and log the error once."""
    if any(kernel_for(name).device_from != NEVER for name in METHODS):
        for name in METHODS:
            kernel_for(name).device_from = NEVER
        log.warning(FAILED, error)


def benchmark_devices(method: str) -> None:
    """Compile the device's loops for a method; those for other methods and rules are compiled at their first use."""
    for kind in (np.float64, np.float32):
        for rows in PREPARED:
            seconds(method, kernel_for(method).device.observe_block, np.zeros((rows, 1), kind))


def measure_threshold(method: str) -> tuple[float, float]:
    """Measure the number of values above which the device is faster than one core, and than all cores."""
    return shortest(method, FEW), shortest(method, WIDE * max(2, cores()))


def shortest(method: str, columns: int) -> float:
    """Measure the number of values above which the device is faster, for blocks with this many columns."""
    kernel = kernel_for(method)
    threshold = math.inf
    for size in reversed(SIZES):
        table = np.random.default_rng(0).normal(size=(size // columns, columns))
        variants = kernel.device.observe_block, kernel.observe_block
        device, cpu = (min(seconds(method, variant, table) for _ in range(ROUNDS)) for variant in variants)
        if device >= cpu:
            break
        threshold = size
    return threshold


def seconds(method: str, observe_block: Callable[..., object], table: Any) -> float:
    """Measure the seconds that `observe_block` takes for a `table` (rows × columns) of new features with a `method`."""
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
