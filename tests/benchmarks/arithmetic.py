"""The arithmetic alone, in process and on one core: `python -m tests.benchmarks.arithmetic`."""

from __future__ import annotations

import importlib
import time
from array import array
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from streamnorm.kernels import METHODS, Method, MethodKernel, base_statistics
from streamnorm.kernels.cpu import numba_loops, prebuilt
from streamnorm.kernels.cpu.loops import Loops
from tests.benchmarks.report import Row, in_turns, on_one_core, show

ROWS, COLUMNS = 100_000, 8
WIDE = 100
FEW = 2_000
RULE = (0.999, 0.0, 32.0, 0.0)
ROUNDS = 5
#: a measurement takes at least as much processor time, in seconds: small blocks are repeated
LEAST = 0.02
COMPILED, WIDE_TABLE, INTERPRETED = "online, compiled", "online, compiled, wide", "online, interpreted"
UNIT = "M values/s"


def rate(work: Callable[[], object], values: int) -> float:
    """Return millions of values a second of processor time."""
    began, times = time.process_time(), 0
    while (taken := time.process_time() - began) < LEAST:
        work()
        times += 1
    return times * values / taken / 1e6


def ours(method: str, table: Any, find: Callable[[Method], Loops] | None = None) -> Callable[[], object]:
    """Run a method's loops over a table: interpreted, or those that `find` finds."""
    p = METHODS[method].parameters().pack()
    with_kernel = MethodKernel(METHODS[method], find)
    stride = base_statistics.SIZE + with_kernel.own_size(p)
    columns = table.shape[1]
    starts = range(0, stride * columns, stride)
    ends = range(stride, stride * columns + 1, stride)
    times = np.zeros(len(table))

    def work() -> object:
        state = array("d", bytes(8 * stride * columns))
        return with_kernel.observe_block(table, times, RULE, p, state, starts, ends)

    return work


def recurrences(table: Any) -> object:
    """Do what two linear filters can: the weighted mean, and the weighted mean of the squares."""
    lfilter = importlib.import_module("scipy.signal").lfilter
    mean = lfilter([0.001], [1.0, -0.999], table, axis=0)
    square = lfilter([0.001], [1.0, -0.999], table * table, axis=0)
    return (table - mean) / np.sqrt(np.maximum(square - mean * mean, 1e-12))


def weighted(frame: Any) -> object:
    """Do it with pandas' exponentially weighted windows."""
    window = frame.ewm(alpha=0.001)
    return (frame - window.mean()) / window.std(bias=True)


def one_by_one(rows: list[dict[str, float]]) -> object:
    """Do it with river, a reading after the other."""
    scaler = importlib.import_module("river.preprocessing").StandardScaler()
    answers = []
    for row in rows:
        scaler.learn_one(row)
        answers.append(scaler.transform_one(row))
    return answers


def in_blocks(table: Any) -> object:
    """Do it with scikit-learn, a hundred readings at a time."""
    scaler = importlib.import_module("sklearn.preprocessing").StandardScaler()
    return [scaler.partial_fit(part).transform(part) for part in np.array_split(table, len(table) // 100)]


def signal_processor(table: Any) -> Callable[[], object]:
    """Do it with ezmsg-sigproc's adaptive scaler, in blocks of a hundred readings."""
    axis_array = importlib.import_module("ezmsg.util.messages.axisarray").AxisArray
    scaler = importlib.import_module("ezmsg.sigproc.scaler")

    def work() -> object:
        transformer = scaler.AdaptiveStandardScalerTransformer(time_constant=10.0, axis="time")
        time_axis = axis_array.TimeAxis(fs=100.0)
        blocks = (
            axis_array(part, dims=["time", "ch"], axes={"time": time_axis}, key="a")
            for part in np.array_split(table, len(table) // 100)
        )
        return [transformer(block) for block in blocks]

    return work


@on_one_core()
def measure() -> list[Row]:
    """Compare."""
    table = np.random.default_rng(0).normal(20.0, 3.0, (ROWS, COLUMNS))
    few = table[:FEW]
    frame = importlib.import_module("pandas").DataFrame(table)
    rows = [{str(column): value for column, value in enumerate(row)} for row in few.tolist()]
    wide = table.reshape(-1, WIDE)
    peers: dict[str, tuple[Callable[[], object], int]] = {
        "pandas, ewm mean and std": (lambda: weighted(frame), table.size),
        "scipy, a pair of lfilter (raw squares)": (lambda: recurrences(table), table.size),
        "scikit-learn, StandardScaler by the hundred": (lambda: in_blocks(table), table.size),
        "river, StandardScaler one by one": (lambda: one_by_one(rows), few.size),
        "ezmsg-sigproc, adaptive scaler by the hundred": (signal_processor(table), table.size),
    }
    mine = {
        COMPILED: (ours("online", table, built), table.size),
        WIDE_TABLE: (ours("online", wide, built), wide.size),
        INTERPRETED: (ours("online", few), few.size),
    }
    found = rates(peers | mine)
    note = f"{ROWS} × {COLUMNS} float64; ours keeps the profile (moments, extremes, runs) too"
    fast = found[COMPILED]
    compared = [Row(COMPILED, peer, found[peer], fast, UNIT, "≥ 8" if "ewm" in peer else "", note) for peer in peers]
    compared += [
        Row(COMPILED, COMPILED, fast, found[WIDE_TABLE], UNIT, "", f"{len(wide)} × {WIDE} float64"),
        Row(INTERPRETED, COMPILED, fast, found[INTERPRETED], UNIT, "", f"{FEW} × {COLUMNS}"),
    ]
    for name in METHODS:
        here, ahead = f"{name}, by Numba here", f"{name}, compiled"
        jit, prebuilt_ones = ours(name, table, numba_loops.compiled), ours(name, table, built)
        found = rates({here: (jit, table.size), ahead: (prebuilt_ones, table.size)})
        compared.append(Row(ahead, here, found[here], found[ahead], UNIT, "≥ 0.9"))
    return compared


def rates(works: Mapping[str, tuple[Callable[[], object], int]]) -> dict[str, list[float]]:
    """Return the rates of works, each of so many values, in turns, after one that loads and compiles."""
    for work, _ in works.values():
        work()
    measures = [partial(rate, work, size) for work, size in works.values()]
    return dict(zip(works, in_turns(ROUNDS, *measures), strict=True))


def built(method: Method) -> Loops:
    """Return the loops of the library that was built for this machine."""
    path = prebuilt.fitting_library()
    if path is None:
        raise RuntimeError("no library of the kernels fits: install with a C compiler")
    return prebuilt.load(method, path)


def main() -> None:
    """Print the table."""
    show(measure())


if __name__ == "__main__":
    main()
