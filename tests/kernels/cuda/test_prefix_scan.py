"""Stretches of time worked on at once, and joined, come to what going through all of it comes to.

The oracle of the last tests is the recurrence as DESIGN states it, in the processor's longest numbers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.kernels import METHODS, base_statistics, kernel_for
from streamnorm.kernels.cuda import prefix_scan
from streamnorm.kernels.specialize import bound_observe

pytestmark = pytest.mark.slow

Array = npt.NDArray[np.float64]
HORIZON = (0.99, 0.0, 32.0, 0.0)
number = st.one_of(st.floats(-3.0, 3.0), st.sampled_from([0.0, 1.0, 1.0, math.nan, 20.0]))
columns = st.lists(number, min_size=1, max_size=60)


def through(xs: list[float], state: list[float], rule: tuple[float, ...] = HORIZON, *, noted: bool = False) -> Array:
    """Go through readings; returns every y."""
    ys = []
    for x in xs:
        if noted:
            prefix_scan.note(x, rule[0], state, 0)
        ys.append(kernel_for("online").observe(x, 0.0, x, x, 0.0, rule, (), state, 0, base_statistics.SIZE)[0])
    return np.array(ys)


def part_of(xs: list[float], rule: tuple[float, ...] = HORIZON) -> list[float]:
    """Sum readings up from nothing."""
    part = [0.0] * prefix_scan.SIZE
    through(xs, part, rule, noted=True)
    return part


def stretched(xs: list[float], length: int, rule: tuple[float, ...] = HORIZON) -> tuple[Array, list[float]]:
    """Go through stretches from nothing, join them, and go through each again; returns every y and the last state."""
    before = [0.0] * prefix_scan.SIZE
    ys = []
    last = before
    for start in range(0, len(xs), length):
        stretch = xs[start : start + length]
        last = list(before)
        ys.append(through(stretch, last, rule))
        prefix_scan.join(before, 0, part_of(stretch, rule), 0)
    return np.concatenate(ys), before[: base_statistics.SIZE]


@given(xs=columns, length=st.integers(1, 30))
@pytest.mark.parametrize("decay", [0.99, 1.0])
def test_answers_are_those_of_going_through_all_of_it(decay: float, xs: list[float], length: int) -> None:
    rule = (decay, 0.0, 32.0, 0.0)
    ys, _ = stretched(xs, length, rule)
    np.testing.assert_allclose(ys, through(xs, [0.0] * base_statistics.SIZE, rule), rtol=1e-12, atol=1e-12)


@given(xs=columns, length=st.integers(1, 30))
def test_so_is_the_whole_state(xs: list[float], length: int) -> None:
    state = [0.0] * base_statistics.SIZE
    through(xs, state)
    _, joined = stretched(xs, length)
    scale = max(1.0, np.nanmax(np.abs(xs), initial=1.0)) ** 4
    np.testing.assert_allclose(joined, state, rtol=1e-9, atol=1e-12 * scale)


@given(xs=columns, length=st.integers(1, 30))
def test_counts_and_extremes_are_exact(xs: list[float], length: int) -> None:
    state = [0.0] * base_statistics.SIZE
    through(xs, state)
    _, joined = stretched(xs, length)
    for exact in (
        slice(base_statistics.COUNT, base_statistics.RUN + 1),
        slice(base_statistics.RECENT_LOWEST, base_statistics.RECENT_HIGHEST + 1),
    ):
        assert joined[exact] == state[exact]


@given(x=st.floats(-1e9, 1e9), length=st.integers(1, 30))
def test_a_constant_gives_exactly_zero(x: float, length: int) -> None:
    ys, _ = stretched([x] * 90, length)
    assert not ys.any()


@given(xs=columns, length=st.integers(1, 30), cut=st.integers(1, 59))
def test_joining_is_associative(xs: list[float], length: int, cut: int) -> None:
    parts = [part_of(xs[start : start + length]) for start in range(0, len(xs), length)]
    middle = cut % len(parts) + 1
    halves = [[0.0] * prefix_scan.SIZE, [0.0] * prefix_scan.SIZE]
    for half, some in zip(halves, (parts[:middle], parts[middle:]), strict=True):
        for part in some:
            prefix_scan.join(half, 0, part, 0)
    prefix_scan.join(halves[0], 0, halves[1], 0)
    _, joined = stretched(xs, length)
    scale = max(1.0, np.nanmax(np.abs(xs), initial=1.0)) ** 4
    np.testing.assert_allclose(halves[0][: base_statistics.SIZE], joined, rtol=1e-9, atol=1e-12 * scale)


ROWS = 3000
noise = np.random.default_rng(0).normal(size=ROWS)
early = np.arange(ROWS) < ROWS // 6
HARD = {
    "far from 0": 1e4 + noise,
    "very far from 0": 1e8 + noise,
    "a step of 1000 deviations": noise + 1000.0 * ~early,
    "a step of a million deviations": 1e-3 * noise + 1000.0 * ~early,
    "a ramp": np.arange(ROWS) + 0.1 * noise,
    "a spike": np.where(np.arange(ROWS) == 700, 1e9, noise),
    "two levels": (noise > 2.3).astype(float),
    "it settles at 20": np.where(early, 20.0 + noise, 20.0),
    "it settles at 0": np.where(early, noise, 0.0),
    "half of it missing": np.where((noise > 0.0) | (np.abs(np.arange(ROWS) - 1500) < 300), math.nan, 50.0 + 3 * noise),
}


def longest(xs: Array, decay: float) -> tuple[Array, Array]:
    """Return every y, exact but for some 1e-17, and how many deviations the mean is from 0."""
    number = np.longdouble
    weight = mean = variance = number(0)
    ys, far = np.full(len(xs), math.nan), np.zeros(len(xs))
    for row, x in enumerate(xs):
        if not math.isnan(x):
            weight = number(decay) * weight + 1
            gain, delta = 1 / weight, number(x) - mean
            total = variance + gain * delta * delta
            ys[row] = delta * np.sqrt((1 - gain) / total) if total > 0 else 0.0
            mean += gain * delta
            variance = (1 - gain) * total
        far[row] = abs(mean) / np.sqrt(variance) if variance > 0 else math.inf
    return ys, far


def assert_within_the_bound(found: Array, others: list[Array], far: Array, decay: float) -> None:
    """Hold answers against others, by the bound that `streamnorm.kernels.cuda.prefix_scan` states."""
    weight = np.minimum(np.arange(1, ROWS + 1), 1.0 / (1.0 - decay) if decay < 1.0 else math.inf)
    bound = 1e-12 * np.maximum(1.0, np.abs(found)) * np.maximum(1.0, np.sqrt(weight / 1000.0) * far / 100.0)
    edge = 2.0 * np.maximum(1.1e-8, weight * far * 2.0**-53)
    for other in others:
        unseen = ((found == 0.0) | (other == 0.0)) & (np.maximum(np.abs(found), np.abs(other)) <= edge)
        assert np.array_equal(np.isnan(found), np.isnan(other))
        assert np.all((np.abs(found - other) <= bound) | unseen | np.isnan(found))


every_decay = pytest.mark.parametrize("decay", [0.9, 0.99, 0.999, 1.0])
every_hard_one = pytest.mark.parametrize("hard", HARD)


@every_decay
@every_hard_one
def test_answers_differ_by_no_more_than_the_module_says(hard: str, decay: float) -> None:
    xs, rule = HARD[hard], (decay, 0.0, 32.0, 0.0)
    found, _ = stretched(xs.tolist(), 128, rule)
    exact, far = longest(xs, decay)
    assert_within_the_bound(found, [through(xs.tolist(), [0.0] * base_statistics.SIZE, rule), exact], far, decay)


@every_decay
@every_hard_one
def test_nor_do_those_with_products_and_sums_rounded_once_as_a_device_does(hard: str, decay: float) -> None:
    xs = HARD[hard]
    straight = through(xs.tolist(), [0.0] * base_statistics.SIZE, (decay, 0.0, 32.0, 0.0))
    found = np.empty_like(xs)
    contracted()(xs, (decay, 0.0, 32.0, 0.0), (0.0,), np.zeros(base_statistics.SIZE), found)
    exact, far = longest(xs, decay)
    assert_within_the_bound(found, [straight, exact], far, decay)


@functools.cache
def contracted() -> Callable[..., None]:
    """Compile the loop of `online` for this processor as CUDA's compiler does: contracted, where there is an FMA."""

    def decorate(function: Callable[..., Any]) -> Any:
        return numba.njit(error_model="numpy", fastmath={"contract"})(function)

    observe = bound_observe(METHODS["online"], decorate=decorate, label="contracted")

    @numba.njit(fastmath={"contract"})
    def loop(xs: Array, rule: Any, p: Any, state: Array, out: Array) -> None:
        for row in range(len(xs)):
            out[row] = observe(xs[row], 0.0, xs[row], xs[row], 0.0, rule, p, state, 0, 12)[0]

    return loop
