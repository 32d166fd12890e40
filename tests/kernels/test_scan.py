"""Stretches of time worked on at once, and joined, come to what going through all of it comes to."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.kernels import kernel, profile, scan

Array = npt.NDArray[np.float64]
HORIZON = (0.99, 0.0, 32.0, 0.0)
number = st.one_of(st.floats(-3.0, 3.0), st.sampled_from([0.0, 1.0, 1.0, math.nan, 20.0]))
columns = st.lists(number, min_size=1, max_size=60)


def through(xs: list[float], state: list[float], rule: tuple[float, ...] = HORIZON, *, noted: bool = False) -> Array:
    """Go through readings; gives every y."""
    ys = []
    for x in xs:
        if noted:
            scan.note(x, rule[0], state, 0)
        ys.append(kernel("online").observe(x, 0.0, x, x, 0.0, rule, (), state, 0, profile.SIZE)[0])
    return np.array(ys)


def stretched(xs: list[float], length: int, rule: tuple[float, ...] = HORIZON) -> tuple[Array, list[float]]:
    """Go through stretches from nothing, join them, and go through each again; gives every y and the last state."""
    before = [0.0] * profile.SIZE
    ys = []
    last = before
    for start in range(0, len(xs), length):
        stretch = xs[start : start + length]
        part = [0.0] * scan.SIZE
        through(stretch, part, rule, noted=True)
        last = list(before)
        ys.append(through(stretch, last, rule))
        scan.join(before, 0, part, 0)
    return np.concatenate(ys), before


@given(xs=columns, length=st.integers(1, 30))
@pytest.mark.parametrize("decay", [0.99, 1.0])
def test_answers_are_those_of_going_through_all_of_it(decay: float, xs: list[float], length: int) -> None:
    rule = (decay, 0.0, 32.0, 0.0)
    ys, _ = stretched(xs, length, rule)
    np.testing.assert_allclose(ys, through(xs, [0.0] * profile.SIZE, rule), rtol=1e-12, atol=1e-12)


@given(xs=columns, length=st.integers(1, 30))
def test_so_is_the_whole_state(xs: list[float], length: int) -> None:
    state = [0.0] * profile.SIZE
    through(xs, state)
    _, joined = stretched(xs, length)
    scale = max(1.0, np.nanmax(np.abs(xs), initial=1.0)) ** 4
    np.testing.assert_allclose(joined, state, rtol=1e-9, atol=1e-12 * scale)


@given(xs=columns, length=st.integers(1, 30))
def test_counts_and_extremes_are_exact(xs: list[float], length: int) -> None:
    state = [0.0] * profile.SIZE
    through(xs, state)
    _, joined = stretched(xs, length)
    assert joined[profile.COUNT :] == state[profile.COUNT :]


@given(x=st.floats(-1e9, 1e9), length=st.integers(1, 30))
def test_a_constant_gives_exactly_zero(x: float, length: int) -> None:
    ys, _ = stretched([x] * 90, length)
    assert not ys.any()


def test_a_long_column_agrees_to_twelve_digits() -> None:
    xs = np.random.default_rng(0).normal(100.0, 1.0, 20_000).tolist()
    rule = (0.999, 0.0, 32.0, 0.0)
    ys, _ = stretched(xs, 256, rule)
    straight = through(xs, [0.0] * profile.SIZE, rule)
    assert np.max(np.abs(ys - straight) / np.maximum(1.0, np.abs(straight))) < 1e-12
