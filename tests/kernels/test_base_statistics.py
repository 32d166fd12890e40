"""The base block tells what the profile says of a feature."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.kernels import base_statistics, kernel_for
from streamnorm.kernels.methods import online

Array = npt.NDArray[np.float64]
LAM = 0.99


def observed(xs: Sequence[float] | Array, lam: float = LAM) -> list[float]:
    """Return the base block after these readings."""
    state = [0.0] * base_statistics.SIZE
    rule = (lam, 0.0, 32.0, 0.0)
    for x in np.asarray(xs).tolist():
        kernel_for("online").observe(x, 0.0, x, x, 0.0, rule, (), state, 0, base_statistics.SIZE)
    return state


def central_moment(xs: Array, order: int, lam: float = LAM) -> float:
    weights = lam ** np.arange(len(xs))[::-1]
    mean = np.average(xs, weights=weights)
    return float(np.average((xs - mean) ** order, weights=weights))


def merged(a: list[float], b: list[float]) -> list[float]:
    result = list(a)
    base_statistics.merge(result, 0, b, 0)
    online.merge((), result, 0, b, 0)
    return result


@given(st.integers(0, 2**32 - 1), st.integers(2, 200))
def test_third_moment_is_the_weighted_central_one(seed: int, readings: int) -> None:
    xs = np.random.default_rng(seed).exponential(size=readings)
    assert observed(xs)[base_statistics.THIRD] == pytest.approx(central_moment(xs, 3), rel=1e-9, abs=1e-10)


@given(st.integers(0, 2**32 - 1), st.integers(2, 200))
def test_fourth_moment_is_the_weighted_central_one(seed: int, readings: int) -> None:
    xs = np.random.default_rng(seed).exponential(size=readings)
    assert observed(xs)[base_statistics.FOURTH] == pytest.approx(central_moment(xs, 4), rel=1e-9, abs=1e-12)


@given(
    st.lists(st.booleans(), min_size=1, max_size=300),
    st.sampled_from([(0.0, 1.0), (20.0, 21.0), (-3.0, 1e4), (1e6, 1e6 + 1.0), (0.0027, 0.0065)]),
)
def test_two_levels_have_a_kurtosis_of_one_plus_skewness_squared(
    highs: list[bool], levels: tuple[float, float]
) -> None:
    block = observed([levels[0], levels[1], *(levels[high] for high in highs)])
    variance, third, fourth = (
        block[base_statistics.VARIANCE],
        block[base_statistics.THIRD],
        block[base_statistics.FOURTH],
    )
    assert fourth / variance**2 == pytest.approx(1.0 + third**2 / variance**3, rel=1e-9)


def test_three_levels_have_a_larger_kurtosis() -> None:
    block = observed(np.random.default_rng(0).choice([0.0, 0.5, 1.0], size=1000))
    variance, third, fourth = (
        block[base_statistics.VARIANCE],
        block[base_statistics.THIRD],
        block[base_statistics.FOURTH],
    )
    assert fourth / variance**2 > 1.3 + third**2 / variance**3


@given(st.lists(st.floats(-1e75, 1e75), min_size=1, max_size=30))
def test_even_moments_are_never_negative(xs: list[float]) -> None:
    block = observed(xs)
    assert min(block[base_statistics.VARIANCE], block[base_statistics.FOURTH], block[base_statistics.SUCCESSIVE]) >= 0.0


def test_moments_of_a_constant_are_exactly_zero() -> None:
    block = observed([0.1] * 1000)
    assert (block[base_statistics.VARIANCE], block[base_statistics.THIRD], block[base_statistics.FOURTH]) == (
        0.0,
        0.0,
        0.0,
    )


def test_successive_is_the_weighted_mean_square_of_differences() -> None:
    xs = np.random.default_rng(0).normal(size=500)
    weights = LAM ** np.arange(len(xs))[::-1]
    # The first reading has no predecessor: its difference counts as 0.
    expected = np.average(np.diff(xs, prepend=xs[0]) ** 2, weights=weights)
    assert observed(xs)[base_statistics.SUCCESSIVE] == pytest.approx(expected, rel=1e-9)


def test_white_noise_has_a_von_neumann_ratio_of_two() -> None:
    block = observed(np.random.default_rng(0).normal(size=50_000), 0.9999)
    assert block[base_statistics.SUCCESSIVE] / block[base_statistics.VARIANCE] == pytest.approx(2.0, rel=0.05)


def test_run_counts_equal_readings_at_the_end() -> None:
    assert observed([1.0, 1.0, 2.0, 2.0, 2.0])[base_statistics.RUN] == 3.0


def test_a_missing_value_does_not_end_a_run() -> None:
    assert observed([2.0, math.nan, 2.0])[base_statistics.RUN] == 2.0


def last_horizons(xs: Sequence[float], horizon: int) -> tuple[float, float, float]:
    """Return least and greatest since the horizon before the last one ended, and how far levels moved, mean squared."""
    ends = list(range(horizon, len(xs) + 1, horizon))
    weights = (1.0 - 1.0 / horizon) ** np.arange(len(xs))[::-1]
    levels = [float(np.average(xs[: end - 1], weights=weights[len(xs) - end + 1 :])) for end in ends]
    moves = np.diff(levels) ** 2
    moved = 0.0
    for place, move in enumerate(moves):
        moved = float(move if not place else moved + (move - moved) / 4.0)
    begins = [0, 0, *(end - 1 for end in ends)]
    recent = xs[begins[-2] :]
    return min(recent), max(recent), moved


@given(st.integers(0, 2**32 - 1), st.integers(1, 600))
def test_extremes_and_levels_are_those_of_the_last_horizons(seed: int, readings: int) -> None:
    xs = np.random.default_rng(seed).normal(size=readings).cumsum().tolist()
    block = observed(xs, 1.0 - 1.0 / 64)  # whose parts are exact
    low, high, moved = last_horizons(xs, 64)
    assert (block[base_statistics.LOWEST], block[base_statistics.HIGHEST]) == (low, high)
    assert block[base_statistics.MOVED] == pytest.approx(moved, rel=1e-9, abs=1e-12)


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=1, max_size=60))
def test_shares_are_weighted_as_the_mean_is(xs: list[float]) -> None:
    weights, steps = LAM ** np.arange(len(xs))[::-1], np.diff(xs, prepend=math.nan)
    block = observed(xs)
    assert block[base_statistics.STILL] == pytest.approx(np.average(steps == 0.0, weights=weights), abs=1e-12)
    assert block[base_statistics.FALLS] == pytest.approx(np.average(steps < 0.0, weights=weights), abs=1e-12)


def test_last_is_the_newest_value() -> None:
    assert observed([3.0, 4.5])[base_statistics.LAST] == 4.5


def test_readings_and_missing_values_are_counted_apart() -> None:
    block = observed([1.0, math.nan, 2.0, math.nan, math.nan])
    assert (block[base_statistics.COUNT], block[base_statistics.MISSING]) == (2.0, 3.0)


def test_a_missing_value_changes_nothing_but_its_count() -> None:
    block, more = observed([1.0, 2.0, 4.0]), observed([1.0, 2.0, math.nan, 4.0])
    block[base_statistics.MISSING] = 1.0
    assert block == more


def test_a_channels_least_and_greatest_elements_are_kept() -> None:
    state = [0.0] * base_statistics.SIZE
    kernel_for("online").observe(20.0, 4.0, 17.0, 30.0, 0.0, (LAM, 0.0, 0.0, 0.0), (), state, 0, base_statistics.SIZE)
    assert (state[base_statistics.LOWEST], state[base_statistics.HIGHEST]) == (17.0, 30.0)


@given(st.integers(0, 2**32 - 1), st.integers(0, 60))
def test_merging_is_observing_together(seed: int, cut: int) -> None:
    xs = np.random.default_rng(seed).exponential(size=60)
    both = merged(observed(xs[:cut], 1.0), observed(xs[cut:], 1.0))
    fields = [
        base_statistics.WEIGHT,
        base_statistics.MEAN,
        base_statistics.VARIANCE,
        base_statistics.THIRD,
        base_statistics.FOURTH,
    ]
    together = observed(xs, 1.0)
    assert [both[i] for i in fields] == pytest.approx([together[i] for i in fields], rel=1e-9)


def test_merging_adds_counts_and_widens_the_range() -> None:
    both = merged(observed([1.0, 2.0, math.nan]), observed([-5.0, math.nan, 1.5, 9.0]))
    fields = [base_statistics.COUNT, base_statistics.MISSING, base_statistics.LOWEST, base_statistics.HIGHEST]
    assert [both[i] for i in fields] == [5.0, 2.0, -5.0, 9.0]


def test_merging_keeps_what_was_last_here() -> None:
    both = merged(observed([1.0, 2.0, 2.0]), observed([7.0]))
    assert (both[base_statistics.LAST], both[base_statistics.RUN]) == (2.0, 2.0)


def test_merging_into_nothing_copies_every_bit() -> None:
    block = observed(np.random.default_rng(0).normal(size=50))
    assert merged([0.0] * base_statistics.SIZE, block) == block


def test_merging_a_feature_that_was_always_missing_adds_only_its_missing() -> None:
    block = observed([1.0, 2.0, 4.0])
    both = merged(block, observed([math.nan, math.nan]))
    block[base_statistics.MISSING] = 2.0
    assert both == block


@pytest.mark.parametrize(
    ("t", "expected"),
    [(10.0, (1.0, 1.0)), (20.0, (math.exp(-0.5), 1.0)), (0.0, (1.0, math.exp(-0.5)))],
    ids=["same moment", "later", "late"],
)
def test_time_fades_the_past_or_the_late_reading(t: float, expected: tuple[float, float]) -> None:
    assert base_statistics.decay_and_weight(t, 20.0, 10.0, 5.0) == pytest.approx(expected, rel=1e-15)


def test_a_first_reading_has_its_whole_weight_at_any_time() -> None:
    assert base_statistics.decay_and_weight(-1e9, 20.0, 0.0, 0.0) == (1.0, 1.0)
