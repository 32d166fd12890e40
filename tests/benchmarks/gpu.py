"""A CUDA device beside this machine's processor, all of its cores: `python -m tests.benchmarks.gpu`."""

from __future__ import annotations

import math
import statistics
from array import array
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from streamnorm import Normalizer, devices
from streamnorm.kernels import METHODS, base_statistics, kernel_for
from streamnorm.kernels.dispatch import on_device
from tests.benchmarks.arithmetic import RULE
from tests.benchmarks.report import Row, show

#: streams × rows × features, the block that the goals are about
STREAMS, ROWS, FEATURES = 10_000, 1000, 16
#: a block of one stream that is long, and one that is wide
LONG, WIDE = (4_000_000, 8), (1000, 16_000)
ROUNDS = 7
LOOKED_AT = f"of {', '.join(map(str, devices.SIZES))} float64, there and back"
STRIDE = base_statistics.SIZE
GIGA = 1e9


def measure() -> list[Row]:
    """Measure the device, where there is one."""
    if not devices.device_exists():
        return [Row("no CUDA device here: not measured", "", [], [], "")]
    here = wide_here()
    return [*resident(here), few_columns(), whole_call(here), *from_host(here), *crossover()]


def random(shape: tuple[int, ...], kind: str) -> Any:
    """Build a block."""
    return np.random.default_rng(0).normal(20.0, 3.0, shape).astype(kind)


def fresh(columns: int) -> tuple[array[float], range, range]:
    """Return the state of so many new features."""
    starts, ends = range(0, STRIDE * columns, STRIDE), range(STRIDE, STRIDE * columns + 1, STRIDE)
    return array("d", bytes(8 * STRIDE * columns)), starts, ends


def seconds(work: Callable[[], object]) -> float:
    """Return the median of some rounds on the device, by its own clock, after one that compiles."""
    events: Any = on_device().cuda
    work()
    took = []
    for _ in range(ROUNDS):
        began, ended = events.event(), events.event()
        began.record()
        work()
        ended.record()
        ended.synchronize()
        took.append(events.event_elapsed_time(began, ended) / 1000.0)
    return float(statistics.median(took))


def wide_here() -> float:
    """Measure the values a second that this machine's cores work on, together, compiled."""
    table, works = random(WIDE, "f4"), kernel_for("online")
    took = [devices.seconds("online", works.observe_block, table) for _ in range(ROUNDS)]
    return float(table.size / statistics.median(took[1:]))


def bandwidth() -> float:
    """Return the bytes a second of the device's memory, by its own account."""
    device: Any = on_device().cuda.get_current_device()
    return float(2 * device.MEMORY_CLOCK_RATE * 1000 * device.GLOBAL_MEMORY_BUS_WIDTH / 8)


def resident(here: float) -> list[Row]:
    """Measure blocks of many streams that are on the device, as is their state; each value goes in and comes out."""
    rows = []
    for kind, goals in (("f4", ("≥ 0.6", "≥ 20")), ("f8", ("", ""))):
        values = on_device().cuda.to_device(random((STREAMS, ROWS, FEATURES), kind))
        size, what = math.prod(values.shape), f"{STREAMS}×{ROWS}×{FEATURES} {values.dtype} on the device"
        took = seconds(stays(values, STREAMS * FEATURES))
        moved = 2 * size * values.dtype.itemsize / took / GIGA
        rows += [
            Row(what, "memory bandwidth", [bandwidth() / GIGA], [moved], "GB/s", goals[0], "in and out"),
            Row(what, "all cores", [here / 1e6], [size / took / 1e6], "M values/s", goals[1]),
        ]
    return rows


def stays(values: Any, columns: int) -> Callable[[], object]:
    """Update with what is on the device, as is its state."""
    cuda = on_device()
    out, state = cuda.cuda.device_array_like(values), cuda.cuda.to_device(np.zeros((STRIDE, columns)))
    rows, _ = values.shape[-2:]
    times, works = np.zeros(rows), cuda.device(METHODS["online"])
    return lambda: works.observe(values, times, RULE, (), state, out)


def few_columns() -> Row:
    """Measure stretches of time worked on at once, against a thread a column."""
    cuda = on_device()
    work = stays(cuda.cuda.to_device(random(LONG, "f4")), LONG[1])
    together = seconds(work)
    with mock.patch.object(cuda, "FEW_COLUMNS", 0):
        alone = seconds(work)
    here, there = [math.prod(LONG) / 1e6 / alone], [math.prod(LONG) / 1e6 / together]
    return Row("few columns, many rows", "a thread a column", here, there, "M values/s", "", f"{LONG}")


def whole_call(here: float) -> Row:
    """Measure a Normalizer's call, its checks and the way of its state included."""
    normalizer, values = Normalizer(), on_device().cuda.to_device(random(WIDE, "f4"))
    took = seconds(lambda: normalizer.observe_block(values))
    rate = math.prod(WIDE) / took / 1e6
    return Row(
        "Normalizer.observe_block, on the device", "all cores", [here / 1e6], [rate], "M values/s", "", f"{WIDE}"
    )


def from_host(here: float) -> list[Row]:
    """Measure blocks of this process, in usual memory and in pinned, on their way there and back."""
    pinned, back = (on_device().cuda.pinned_array(WIDE, np.float32) for _ in range(2))
    table = random(WIDE, "f4")
    pinned[...] = table
    rows = []
    for what, work in (("usual", travels(table, np.empty_like(table))), ("pinned", travels(pinned, back))):
        took = seconds(work)
        conditions = f"{WIDE} float32, {2 * table.nbytes / took / GIGA:.1f} GB/s there and back"
        rate = table.size / took / 1e6
        rows.append(Row(f"from {what} memory", "all cores", [here / 1e6], [rate], "M values/s", "", conditions))
    return rows


def travels(values: Any, out: Any) -> Callable[[], object]:
    """Send a block of this process there and back."""
    works, times = on_device().device(METHODS["online"]), np.zeros(len(values))
    state, starts, ends = fresh(values.shape[1])
    return lambda: works.observe_block(values, times, RULE, (), state, starts, ends, out)


def crossover() -> list[Row]:
    """Tell from which size on a service sends blocks of float64 there."""
    sizes = devices.measure_threshold("online")
    return [
        Row(f"it wins against {whom} from", "", [], [size] if size < math.inf else [], "values", "", LOOKED_AT)
        for whom, size in zip(("one core", "all cores"), sizes, strict=True)
    ]


if __name__ == "__main__":
    show(measure())
