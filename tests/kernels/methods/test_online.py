"""`online` is the exponentially weighted z-score, exactly, for every sensor there is."""

from __future__ import annotations

import functools
import math
from array import array
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.kernels import base_statistics, kernel_for
from streamnorm.kernels.methods import online
from tests.support.office import office_room

Array = npt.NDArray[np.float64]
HORIZON = 1000.0
COLUMNS = ["temperature", "humidity", "light", "co2", "humidity_ratio", "occupancy"]
DENORMAL = 5e-324

office = functools.cache(office_room)


def statistics(xs: Sequence[float] | Array, lam: float) -> tuple[Array, Array]:
    """Return mean and variance after each reading."""
    state = [0.0] * online.SIZE
    after = []
    for x in np.asarray(xs).tolist():
        online.step(x, 0.0, lam, 1.0, math.inf, (), state, 0)
        after.append(state[1:])
    means, variances = np.array(after).T
    return means, variances


def normalized(xs: Sequence[float] | Array, horizon: float = HORIZON, robust: float = 0.0) -> Array:
    """Run one sensor's readings through the block that the service runs."""
    block = np.asarray(xs, dtype=np.float64).reshape(-1, 1)
    rule = (1.0 - 1.0 / horizon, 0.0, 32.0, robust)
    state = array("d", [0.0] * base_statistics.SIZE)
    ys = kernel_for("online").observe_block(block, np.zeros(len(block)), rule, (), state, (0,), (base_statistics.SIZE,))
    return ys[:, 0]


def timed(xs: Sequence[float], times: Sequence[float], time_constant: float) -> tuple[list[float], list[float]]:
    """Return every y, and the weight, mean and variance at the end, of readings forgotten by time."""
    state = [0.0] * (base_statistics.SIZE + 1)
    rule = (1.0, time_constant, 0.0, 0.0)
    observe = kernel_for("online").observe
    ys = [observe(x, 0.0, x, x, t, rule, (), state, 0, len(state))[0] for x, t in zip(xs, times, strict=True)]
    return ys, state[:3]


def varying(readings: int = 3000, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=readings)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("horizon", [20.0, HORIZON])
def test_the_mean_is_that_of_pandas_ewm(column: str, horizon: float) -> None:
    means, _ = statistics(office()[column], 1.0 - 1.0 / horizon)
    expected = pd.Series(office()[column]).ewm(alpha=1.0 / horizon, adjust=True).mean()
    np.testing.assert_allclose(means, expected, rtol=1e-9)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("horizon", [20.0, HORIZON])
def test_the_variance_is_the_biased_one_of_pandas_ewm(column: str, horizon: float) -> None:
    _, variances = statistics(office()[column], 1.0 - 1.0 / horizon)
    expected = pd.Series(office()[column]).ewm(alpha=1.0 / horizon, adjust=True).var(bias=True)
    resolved = (np.finfo(float).eps * office()[column].max()) ** 2  # below it, pandas has rounding error too
    np.testing.assert_allclose(variances, expected, rtol=1e-9, atol=resolved)


@pytest.mark.parametrize("column", COLUMNS)
def test_cumulative_is_pandas_expanding(column: str) -> None:
    means, variances = statistics(office()[column], 1.0)
    expanding = pd.Series(office()[column]).expanding()
    np.testing.assert_allclose(means, expanding.mean(), rtol=1e-9)
    np.testing.assert_allclose(variances, expanding.var(ddof=0), rtol=1e-9, atol=1e-24)


@pytest.mark.parametrize("column", COLUMNS)
def test_y_is_the_z_score_within_the_past_that_includes_the_reading(column: str) -> None:
    xs = office()[column][:5000]
    ewm = pd.Series(xs).ewm(alpha=1.0 / HORIZON, adjust=True)
    mean, std = ewm.mean().to_numpy(), ewm.std(bias=True).to_numpy()
    spreads = std > 0.0
    np.testing.assert_allclose(normalized(xs)[spreads], ((xs - mean)[spreads] / std[spreads]), rtol=1e-7, atol=1e-9)


def slow_twin(xs: Sequence[float], times: Sequence[float], time_constant: float) -> tuple[list[float], list[float]]:
    """Keep every reading with its weight: the past fades as time passes, a late reading enters faded."""
    weights = np.zeros(0)
    ys = []
    last = times[0]
    mean = variance = 0.0
    for i, (x, t) in enumerate(zip(xs, times, strict=True)):
        weights = np.append(weights * math.exp(min(last - t, 0.0) / time_constant), 1.0)
        weights[-1] = math.exp(min(t - last, 0.0) / time_constant)
        last = max(last, t)
        past = np.array(xs[: i + 1])
        judged = np.append(weights[:-1], 1.0)  # y is of a reading in full, late or not
        mean = float(np.average(past, weights=judged))
        variance = float(np.average((past - mean) ** 2, weights=judged))
        ys.append((x - mean) / math.sqrt(variance) if variance > 0.0 else 0.0)
        mean = float(np.average(past, weights=weights))
        variance = float(np.average((past - mean) ** 2, weights=weights))
    return ys, [weights.sum(), mean, variance]


@given(st.integers(0, 2**32 - 1), st.floats(10.0, 1e4))
def test_a_time_constant_forgets_as_the_slow_twin_does(seed: int, time_constant: float) -> None:
    rng = np.random.default_rng(seed)
    times = rng.exponential(10.0, size=60).cumsum().tolist()
    xs = rng.normal(20.0, 1.0, size=60).tolist()
    ys, state = timed(xs, times, time_constant)
    expected_ys, expected_state = slow_twin(xs, times, time_constant)
    np.testing.assert_allclose(ys, expected_ys, rtol=1e-6, atol=1e-6)
    assert state == pytest.approx(expected_state, rel=1e-9)


@given(st.integers(0, 2**32 - 1), st.floats(100.0, 1e4))
def test_a_late_reading_enters_faded_as_in_the_slow_twin(seed: int, time_constant: float) -> None:
    rng = np.random.default_rng(seed)
    times = (10.0 * np.arange(60) + rng.normal(0.0, 30.0, size=60)).tolist()
    xs = rng.normal(20.0, 1.0, size=60).tolist()
    ys, state = timed(xs, times, time_constant)
    expected_ys, expected_state = slow_twin(xs, times, time_constant)
    np.testing.assert_allclose(ys, expected_ys, rtol=1e-6, atol=1e-6)
    assert state == pytest.approx(expected_state, rel=1e-9)


@given(st.permutations(range(8)))
def test_the_order_of_arrival_does_not_matter_to_statistics_by_time(order: list[int]) -> None:
    xs, times = varying(8).tolist(), [0.0, 1.0, 5.0, 5.0, 9.0, 30.0, 31.0, 60.0]
    _, expected = timed(xs, times, 20.0)
    _, state = timed([xs[i] for i in order], [times[i] for i in order], 20.0)
    assert state == pytest.approx(expected, rel=1e-9)


def test_irregular_readings_have_the_mean_of_pandas_ewm_by_times() -> None:
    rng = np.random.default_rng(0)
    seconds = rng.integers(1, 600, size=500).cumsum()
    xs = rng.normal(20.0, 1.0, size=500)
    times = pd.Series(pd.to_datetime(seconds, unit="s"))
    expected = pd.Series(xs).ewm(halflife=pd.Timedelta(seconds=900), times=times).mean()  # type: ignore[arg-type]
    _, state = timed(xs.tolist(), [float(second) for second in seconds], 900.0 / math.log(2.0))
    assert state[1] == pytest.approx(expected.iloc[-1], rel=1e-9)


def test_after_a_gap_of_many_time_constants_a_reading_is_the_first_again() -> None:
    ys, state = timed([20.0, 22.0, 21.0, 5.0], [0.0, 1.0, 2.0, 1e9], 60.0)
    assert ys[-1] == 0.0
    assert state == [1.0, 5.0, 0.0]


@pytest.mark.parametrize("late", [100.0, 5000.0, 1e9])
def test_however_late_a_reading_is_answered_as_if_it_had_come_in_time(late: float) -> None:
    xs = (20.0 + varying(100)).tolist()
    times = [*map(float, range(100))]
    late_ys, _ = timed([*xs, 30.0], [*times, -late], 60.0)
    ys, _ = timed([*xs, 30.0], [*times, times[-1]], 60.0)
    assert late_ys[-1] == pytest.approx(ys[-1], rel=1e-12)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e5, 1e5)), min_size=1, max_size=50))
def test_late_or_not_a_reading_is_bounded_by_the_weight_before_it(given_: list[tuple[float, float]]) -> None:
    xs, times = [x for x, _ in given_], [t for _, t in given_]
    ys, _ = timed(xs, times, 100.0)
    for place, y in enumerate(ys):
        weight = timed(xs[:place], times[:place], 100.0)[1][0] if place else 0.0
        assert abs(y) <= math.sqrt(weight) * (1 + 1e-9)


def test_readings_of_the_same_moment_weigh_the_same() -> None:
    _, state = timed([1.0, 2.0, 6.0], [7.0, 7.0, 7.0], 60.0)
    assert state == pytest.approx([3.0, 3.0, 14.0 / 3.0])


@given(st.integers(0, 2**32 - 1), st.integers(-200, 200))
def test_scaling_by_a_power_of_two_changes_no_bit(seed: int, exponent: int) -> None:
    xs = np.random.default_rng(seed).normal(20.0, 1.0, size=100)
    assert (normalized(xs * 2.0**exponent) == normalized(xs)).all()


@given(st.integers(0, 2**32 - 1), st.floats(-12.0, 12.0))
def test_scaling_changes_no_more_than_rounding(seed: int, exponent: float) -> None:
    xs = np.random.default_rng(seed).normal(20.0, 1.0, size=100)
    np.testing.assert_allclose(normalized(xs * 10.0**exponent), normalized(xs), rtol=1e-9, atol=1e-9)


@given(st.integers(0, 2**32 - 1), st.floats(-1e6, 1e6))
def test_a_shift_changes_no_more_than_rounding(seed: int, shift: float) -> None:
    xs = varying(100, seed)
    rounding = 1e-13 * (1.0 + abs(shift)) * 100.0
    np.testing.assert_allclose(normalized(xs + shift), normalized(xs), rtol=0, atol=rounding)


@given(
    st.lists(st.one_of(st.floats(-1e75, 1e75), st.sampled_from([0.0, 1.0, DENORMAL])), min_size=1, max_size=50),
    st.sampled_from([2.0, 10.0, HORIZON]),
)
def test_y_is_bounded_by_the_weight_like_a_batchs(xs: list[float], horizon: float) -> None:
    state = [0.0] * online.SIZE
    for x in xs:
        y, _ = online.step(x, 0.0, 1.0 - 1.0 / horizon, 1.0, math.inf, (), state, 0)
        assert abs(y) <= math.sqrt(state[0] - 1.0) * (1.0 + 1e-12)


@pytest.mark.parametrize(
    "value", [0.0, -0.0, 1.0, -7.25, 0.1, 1 / 3, 1e9, -1e9, 1e75, 1e-300, DENORMAL, -DENORMAL, math.pi * 1e-9]
)
def test_a_constant_gives_exactly_zero_from_its_first_reading(value: float) -> None:
    assert not normalized(np.full(20_000, value)).any()


@pytest.mark.parametrize("horizon", [10.0, 100.0, 5000.0])
@pytest.mark.parametrize("value", [0.0, 0.1, -20.0, 1e9, 1e-9])
@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_a_sensor_that_gets_stuck_gives_nearly_zero_and_then_exactly_zero(
    horizon: float, value: float, scale: float
) -> None:
    before, stuck = 3000, min(1_000_000, int(1000 * horizon))  # after 745 horizons a variance underflows
    ys = normalized(np.concatenate([20.0 + scale * varying(before), np.full(stuck, value)]), horizon)[before:]
    assert np.abs(ys[int(15 * horizon) :]).max() < 0.05
    assert not ys[int(40 * horizon) :].any()


@pytest.mark.parametrize(
    ("first", "second"), [(0.0, 1.0), (1.0, 0.0), (1e-9, 1.0), (1.0, 1e-9), (1e9, 1.0), (-1.0, 1e9), (0.1, 0.1 + 1e-15)]
)
def test_a_step_from_constant_to_constant_gives_nearly_zero_and_then_exactly_zero(first: float, second: float) -> None:
    ys = normalized(np.repeat([first, second], [5000, 1_000_000]))[5000:]
    assert np.abs(ys[int(15 * HORIZON) :]).max() < 0.05
    assert not ys[int(40 * HORIZON) :].any()


@pytest.mark.parametrize("seed", range(3))
def test_an_offset_of_a_billion_keeps_unit_variance(seed: int) -> None:
    xs = varying(100_000, seed)
    plain, offset = normalized(xs)[5000:], normalized(xs + 1e9)[5000:]
    assert offset.std() == pytest.approx(plain.std(), rel=0.02)


@pytest.mark.parametrize("tiny", [1e-161, 3e-162, 1e-163, DENORMAL])
def test_a_deviation_whose_square_underflows_gives_zero(tiny: float) -> None:
    assert not normalized([0.0] * 2000 + [tiny]).any()


def test_a_channel_whose_variance_underflows_gives_zero() -> None:
    state = [2000.0, 0.0, 0.0]
    assert online.step(0.0, DENORMAL, 1.0, 1.0, math.inf, (), state, 0) == (0.0, 0.0)


def test_two_levels_half_and_half_become_minus_and_plus_one() -> None:
    ys = normalized(np.random.default_rng(0).choice([0.0, 1.0], size=20_000))[5000:]
    assert np.abs(ys).mean() == pytest.approx(1.0, abs=0.02)


def test_robust_one_wild_reading_does_not_spoil_what_follows() -> None:
    xs = 20.0 + varying(2000)
    wild = xs.copy()
    wild[1000] = 1e6
    difference = normalized(wild, robust=4.0) - normalized(xs, robust=4.0)
    assert np.abs(difference[1001:]).max() < 0.05


def test_robust_does_not_clip_the_answer() -> None:
    xs = np.append(20.0 + varying(1000), 1e6)
    assert normalized(xs, robust=4.0)[-1] == normalized(xs)[-1]


def test_robust_bounds_nothing_before_the_feature_is_ready() -> None:
    xs = varying(32)
    assert (normalized(xs, robust=1.5) == normalized(xs)).all()


def test_robust_still_learns_a_constant_that_starts_to_vary() -> None:
    xs = np.concatenate([np.full(5000, 20.0), 20.0 + varying(10_000)])
    assert normalized(xs, robust=3.0)[10_000:].std() == pytest.approx(1.0, rel=0.1)


def test_robust_follows_a_step_of_the_level() -> None:
    xs = np.concatenate([varying(5000), 100.0 + varying(30_000)])
    assert abs(normalized(xs, robust=3.0)[30_000:].mean()) < 0.1


def test_robust_bounds_the_spread_of_a_wild_channel() -> None:
    state = [1000.0, 20.0, 4.0]
    online.step(20.0, 1e12, 0.999, 1.0, 3.0, (), state, 0)
    assert state[2] < 4.2


def test_merging_is_weighing_all_readings_together() -> None:
    xs = varying(300)
    parts = [[0.0] * online.SIZE for _ in range(3)]
    for part, own in zip(parts, np.split(xs, [50, 51]), strict=True):
        for x in own:
            online.step(float(x), 0.0, 1.0, 1.0, math.inf, (), part, 0)
    online.merge((), parts[0], 0, parts[1], 0)
    online.merge((), parts[0], 0, parts[2], 0)
    assert parts[0] == pytest.approx([300.0, xs.mean(), xs.var()], rel=1e-9)


def test_merging_nothing_changes_no_bit() -> None:
    state = [3.0, 0.1, 0.7]
    online.merge((), state, 0, [0.0] * 3, 0)
    assert state == [3.0, 0.1, 0.7]


def test_merging_into_nothing_copies_every_bit() -> None:
    state = [0.0] * 3
    online.merge((), state, 0, [3.0, 0.1, 0.7], 0)
    assert state == [3.0, 0.1, 0.7]
