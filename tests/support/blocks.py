"""Blocks of values, rules and times that kernels are tried with, and the bits of what comes out."""

from __future__ import annotations

import math
from array import array

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from streamnorm.kernels import METHODS, MethodKernel, base_statistics, kernel_for

Array = npt.NDArray[np.float64]
Rule = tuple[float, float, float, float]

number = st.one_of(
    st.floats(-1e75, 1e75),
    st.floats(-3.0, 3.0),
    st.sampled_from([0.0, 1.0, 1.0 + 2**-52, 5e-324, 1e9]),
    st.just(math.nan),
)
blocks = st.integers(1, 3).flatmap(
    lambda columns: st.lists(st.lists(number, min_size=columns, max_size=columns), min_size=1, max_size=40).map(
        np.array
    )
)
#: a decay or a time constant, warmup, robust
rules = st.tuples(
    st.sampled_from([0.5, 0.999, 1.0]),
    st.sampled_from([0.0, 0.0, 1.0, 3600.0]),
    st.sampled_from([0.0, 4.0]),
    st.sampled_from([0.0, 1.5, 3.0]),
)
seeds = st.integers(0, 2**32 - 1)


def times_for(rows: int, seed: int) -> Array:
    """Return times with gaps, some of them late."""
    return 1e9 + np.random.default_rng(seed).normal(10.0, 20.0, size=rows).cumsum()


def parameters(name: str) -> tuple[float, ...]:
    return METHODS[name].parameters().pack()


def places(name: str, columns: int, rule: Rule) -> tuple[range, range]:
    stride = base_statistics.SIZE + kernel_for(name).own_size(parameters(name)) + (rule[1] > 0.0)
    starts = range(0, stride * columns, stride)
    return starts, range(stride, stride * columns + 1, stride)


def as_block(
    with_kernel: MethodKernel, values: Array, times: Array, rule: Rule, *, in_place: bool = False
) -> tuple[bytes, bytes]:
    """Return the bits of y and of the state after a block; `in_place`, y takes the place of a copy of the values."""
    name = with_kernel.method.name
    starts, ends = places(name, values.shape[1], rule)
    state = array("d", [0.0] * ends[-1])
    values = values.copy() if in_place else values
    out = values if in_place else None
    ys = with_kernel.observe_block(values, times, rule, parameters(name), state, starts, ends, out)
    return ys.tobytes(), state.tobytes()
