"""`adaptive` finds its horizon, and keeps the promises made for every kind of sensor."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.kernels.methods.adaptive import ADAPTIVE, LAST, MIXTURE, SIZE, STRIDE, TRUST
from tests.kernels import naive
from tests.support.kernels import compiled, interpreted

Array = npt.NDArray[np.float64]
SEEDS = range(5)
#: bursts of three alarms within a few readings come about once in three of them
ALARMS = range(40)


def windows(ys: Array, length: int = 500) -> Array:
    return ys[: len(ys) // length * length].reshape(-1, length)


def test_y_is_the_slow_twins() -> None:
    rng = np.random.default_rng(0)
    xs = np.concatenate([rng.normal(size=200), rng.normal(50.0, 10.0, size=200), rng.normal(50.0, 0.1, size=100)])
    np.testing.assert_allclose(interpreted(ADAPTIVE, xs), naive.adaptive(xs), rtol=1e-8, atol=1e-8)


def test_y_is_the_slow_twins_where_the_sensor_often_rests() -> None:
    rng = np.random.default_rng(0)
    xs = np.concatenate([np.zeros(20), rng.integers(0, 3, size=200), rng.random(200) < 0.05])
    np.testing.assert_allclose(interpreted(ADAPTIVE, xs), naive.adaptive(xs), rtol=1e-8, atol=1e-8)


def test_a_rest_says_nothing_of_the_horizon() -> None:
    state = learnt(np.random.default_rng(0).normal(size=300))
    trust = state[TRUST:MIXTURE:STRIDE]
    interpreted(ADAPTIVE, [state[LAST]] * 500, state=state)
    assert state[TRUST:MIXTURE:STRIDE] == trust


@given(st.integers(0, 2**32 - 1), st.integers(-100, 100))
def test_scaling_by_a_power_of_two_changes_no_bit(seed: int, exponent: int) -> None:
    xs = np.random.default_rng(seed).normal(20.0, 1.0, size=100)
    assert (interpreted(ADAPTIVE, xs * 2.0**exponent) == interpreted(ADAPTIVE, xs)).all()


@pytest.mark.parametrize("scale", [1.0, 255.0, 1e-6])
def test_the_range_of_the_sensor_does_not_matter(scale: float) -> None:
    xs = np.random.default_rng(0).random(3000)
    np.testing.assert_allclose(compiled(ADAPTIVE, xs * scale), compiled(ADAPTIVE, xs), rtol=1e-9, atol=1e-9)


def test_a_shift_does_not_matter() -> None:
    xs = np.random.default_rng(0).normal(size=3000)
    np.testing.assert_allclose(compiled(ADAPTIVE, xs + 1e6), compiled(ADAPTIVE, xs), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e75, 1e-300])
def test_a_constant_from_the_start_gives_exactly_zero(value: float) -> None:
    assert not compiled(ADAPTIVE, [value] * 5000).any()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
def test_a_constant_after_a_change_gives_exactly_zero_within_1200_readings_and_for_good(value: float) -> None:
    before = np.random.default_rng(0).normal(20.0, 1.0, size=3000)
    ys = compiled(ADAPTIVE, np.concatenate([before, np.full(2_000_000, value)]))
    assert not ys[3000 + 1200 :].any()


def test_what_became_constant_is_the_mean_until_it_moves_again() -> None:
    state = np.zeros(SIZE)
    compiled(ADAPTIVE, [*np.random.default_rng(0).normal(20.0, 1.0, size=3000).tolist(), *[24.1] * 1200], state=state)
    assert ADAPTIVE.spread((), state, 0)[0] == 24.1
    assert abs(compiled(ADAPTIVE, [20.0], state=state)[0]) > 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_a_ramp_of_one_deviation_in_1000_readings_leaves_no_offset(seed: int) -> None:
    xs = np.random.default_rng(seed).normal(size=20_000) + np.arange(20_000) / 1000
    assert np.abs(windows(compiled(ADAPTIVE, xs)).mean(axis=1)).mean() <= 0.07


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slow_drift_leaves_unit_variance(seed: int) -> None:
    xs = np.random.default_rng(seed).normal(size=20_000) + np.arange(20_000) / 1000
    deviations = windows(compiled(ADAPTIVE, xs)).std(axis=1)
    assert np.sqrt(((deviations[2:] - 1.0) ** 2).mean()) < 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_wild_first_reading_is_soon_forgotten(seed: int) -> None:
    xs = np.random.default_rng(seed).normal(20.0, 0.1, size=1500)
    xs[0] = 4000.0
    assert compiled(ADAPTIVE, xs)[500:1500].std() == pytest.approx(1.0, rel=0.2)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_levels_half_and_half_become_minus_and_plus_one(seed: int) -> None:
    xs = (np.random.default_rng(seed).random(20_000) < 0.5) * 1.0
    ys = compiled(ADAPTIVE, xs)[3000:]
    assert np.sqrt(((np.abs(ys) - 1.0) ** 2).mean()) <= 0.03


@pytest.mark.parametrize("seed", ALARMS)
def test_a_rarely_active_sensor_keeps_its_baseline_near_zero(seed: int) -> None:
    active = np.random.default_rng(seed).random(20_000) < 0.01
    assert np.abs(compiled(ADAPTIVE, active * 1.0)[1000:][~active[1000:]]).max() < 0.4


@pytest.mark.parametrize("seed", ALARMS)
def test_a_rarely_active_sensors_events_stand_out(seed: int) -> None:
    active = np.random.default_rng(seed).random(20_000) < 0.01
    assert compiled(ADAPTIVE, active * 1.0)[1000:][active[1000:]].min() > 2.5


def test_spread_is_what_the_last_reading_was_normalized_by() -> None:
    xs = np.random.default_rng(0).normal(20.0, 3.0, size=777)
    state = [0.0] * SIZE
    ys = interpreted(ADAPTIVE, xs, state=state)
    mean, std = ADAPTIVE.spread((), state, 0)
    assert ys[-1] == pytest.approx((xs[-1] - mean) / std, rel=1e-9)


def test_a_channel_has_the_spread_of_all_its_elements() -> None:
    images = np.random.default_rng(0).normal(20.0, 3.0, size=(2000, 16))
    state = [0.0] * SIZE
    interpreted(ADAPTIVE, images.mean(axis=1), state=state, vs=images.var(axis=1).tolist())
    assert ADAPTIVE.spread((), state, 0) == pytest.approx((20.0, 3.0), rel=0.05)


def test_a_channel_that_changes_its_scale_is_followed() -> None:
    rng = np.random.default_rng(0)
    means, variances = np.full(6000, 20.0), np.repeat([1.0, 100.0], 3000) * rng.chisquare(63, size=6000) / 64
    state = np.zeros(SIZE)
    compiled(ADAPTIVE, means[:3300], state=state, vs=variances[:3300].tolist())
    assert ADAPTIVE.spread((), state, 0)[1] == pytest.approx(10.0, rel=0.1)


def test_robust_changes_no_answer_but_what_is_learned() -> None:
    xs = np.random.default_rng(0).normal(20.0, 1.0, size=2000)
    state = [0.0] * SIZE
    interpreted(ADAPTIVE, xs, state=state)
    bounded = list(state)
    y = interpreted(ADAPTIVE, [1e6], state=state)
    assert interpreted(ADAPTIVE, [1e6], state=bounded, clip=3.0) == pytest.approx(y, rel=1e-12)
    assert ADAPTIVE.spread((), bounded, 0)[1] < 1.1


def merged(a: list[float], b: list[float]) -> list[float]:
    assert ADAPTIVE.merge is not None
    result = list(a)
    ADAPTIVE.merge((), result, 0, b, 0)
    return result


def learnt(xs: Array) -> list[float]:
    state = [0.0] * SIZE
    interpreted(ADAPTIVE, xs, state=state)
    return state


def test_merging_halves_gives_the_mean_and_spread_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(20.0, 1.0, size=2000), rng.normal(24.0, 1.0, size=2000)
    mean, std = ADAPTIVE.spread((), merged(learnt(a), learnt(b)), 0)
    assert (mean, std) == pytest.approx((22.0, math.sqrt(5.0)), rel=0.05)


def test_merging_nothing_changes_nothing() -> None:
    a = learnt(np.random.default_rng(0).normal(size=300))
    assert merged(a, [0.0] * SIZE) == a


def test_merging_into_nothing_gives_the_other() -> None:
    b = learnt(np.random.default_rng(0).normal(size=300))
    assert merged([0.0] * SIZE, b) == b


def test_merged_trust_is_still_shares_of_one() -> None:
    a, b = (learnt(np.random.default_rng(seed).normal(size=300)) for seed in (0, 1))
    assert sum(merged(a, b)[TRUST:MIXTURE:STRIDE]) == pytest.approx(1.0)
