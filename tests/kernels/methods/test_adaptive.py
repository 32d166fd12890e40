"""`adaptive` keeps what changes faster than T, removes what changes more slowly, and forgets what was wild."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.kernels.methods.adaptive import ADAPTIVE
from streamnorm.kernels.methods.adaptive_bank import COMMON, LAST, STRIDE, TRUST, AdaptiveParameters
from streamnorm.kernels.methods.online import ONLINE
from tests.kernels import naive
from tests.support.kernels import compiled, interpreted

pytestmark = pytest.mark.slow

Array = npt.NDArray[np.floating]
SEEDS = range(5)
#: bursts of three alarms within a few readings come about once in three of them
ALARMS = range(40)
HORIZONS = (16.0, 256.0, 1000.0)
horizons = pytest.mark.parametrize("horizon", HORIZONS)
#: power-up values, codes for "no sensor", what is left of an integer that overflowed
WILD = (6553.5, 65535.0, 1e6, 2.0**32 - 1.0, -127.0)


def packed(horizon: float) -> tuple[float, ...]:
    return AdaptiveParameters(horizon=horizon).pack()


def blank(horizon: float = 1000.0) -> list[float]:
    return [0.0] * ADAPTIVE.size(packed(horizon))


def normalized(
    xs: Array | list[float],
    horizon: float = 1000.0,
    state: npt.NDArray[np.float64] | None = None,
    clip: float = math.inf,
) -> Array:
    return compiled(ADAPTIVE, xs, packed(horizon), state, lam=1.0 - 1.0 / horizon, clip=clip)


def windows(ys: Array, length: int = 500) -> Array:
    return ys[: len(ys) // length * length].reshape(-1, length)


def offset(ys: Array) -> float:
    return float(np.abs(windows(ys[2000:]).mean(axis=1)).mean())


MADE: dict[str, Callable[[np.random.Generator], list[Any]]] = {
    "step, scale and a wild one": lambda rng: [
        *rng.normal(size=120),
        *rng.normal(50.0, 10.0, size=80),
        *rng.normal(50.0, 0.1, size=50),
        1e5,
        *rng.normal(50.0, 0.1, size=50),
    ],
    "rests": lambda rng: [*np.zeros(20), *rng.integers(0, 3, size=120), *(rng.random(120) < 0.05)],
    "ramp": lambda rng: list(rng.normal(size=300) + np.arange(300) / 10),
}


@horizons
@pytest.mark.parametrize("sensor", MADE)
def test_y_is_the_slow_twins(sensor: str, horizon: float) -> None:
    xs = [float(x) for x in MADE[sensor](np.random.default_rng(0))]
    ys = interpreted(ADAPTIVE, xs, packed(horizon), lam=1.0 - 1.0 / horizon)
    np.testing.assert_allclose(ys, naive.adaptive(xs, horizon), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("horizon", "floats"), [(16.0, 49), (64.0, 41), (256.0, 33), (1000.0, 25), (1e6, 25)])
def test_the_longest_horizon_reaches_back_16_000_readings_and_the_state_stays_small(
    horizon: float, floats: int
) -> None:
    p = packed(horizon)
    assert horizon * 4.0 ** (p[0] - 1.0) >= 16_000.0
    assert ADAPTIVE.size(p) == floats


def test_a_rest_says_nothing_of_the_horizon_but_what_rests_longer_than_t_is_baseline() -> None:
    state = np.zeros(ADAPTIVE.size(packed(16.0)))
    normalized(np.random.default_rng(0).normal(size=20_000), 16.0, state)
    longest = STRIDE * 5 + TRUST
    trust = state[longest] / state[TRUST:-COMMON:STRIDE].sum()
    normalized([state[-COMMON + LAST]] * 2, 16.0, state)
    assert state[longest] / state[TRUST:-COMMON:STRIDE].sum() == pytest.approx(trust, rel=0.15)
    normalized([state[-COMMON + LAST]] * 200, 16.0, state)
    assert state[TRUST] / state[TRUST:-COMMON:STRIDE].sum() > 0.99


@pytest.mark.parametrize("noise", [0.0, 1e-9, 1e-6])
def test_noise_without_a_meaning_changes_nothing_of_two_levels(noise: float) -> None:
    levels = np.arange(30_000) // 300 % 2 * 1.0
    ys = normalized(levels + noise * np.random.default_rng(0).normal(size=30_000))
    np.testing.assert_allclose(ys[-6000:], normalized(levels)[-6000:], atol=0.01)
    assert abs(ys[-6000:][levels[-6000:] == 1.0].mean() - 1.0) < 0.02


@given(st.integers(0, 2**32 - 1), st.integers(-100, 100))
def test_scaling_by_a_power_of_two_changes_no_bit(seed: int, exponent: int) -> None:
    xs = np.random.default_rng(seed).normal(20.0, 1.0, size=100)
    assert (interpreted(ADAPTIVE, xs * 2.0**exponent) == interpreted(ADAPTIVE, xs)).all()


@pytest.mark.parametrize("scale", [1.0, 255.0, 1e-6])
def test_the_range_of_the_sensor_does_not_matter(scale: float) -> None:
    xs = np.random.default_rng(0).random(3000)
    np.testing.assert_allclose(normalized(xs * scale), normalized(xs), rtol=1e-9, atol=1e-9)


def test_a_shift_does_not_matter() -> None:
    xs = np.random.default_rng(0).normal(size=3000)
    np.testing.assert_allclose(normalized(xs + 1e6), normalized(xs), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e75, 1e-300])
def test_a_constant_from_the_start_gives_exactly_zero(value: float) -> None:
    assert not normalized([value] * 5000).any()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
@pytest.mark.parametrize(("horizon", "readings"), [(16.0, 700), (1000.0, 40_000)])
def test_a_constant_after_a_change_gives_exactly_zero_for_good(value: float, horizon: float, readings: int) -> None:
    before = np.random.default_rng(0).normal(20.0, 1.0, size=3000)
    ys = normalized(np.concatenate([before, np.full(500_000, value)]), horizon)
    assert not ys[3000 + readings :].any()


def test_what_became_constant_fades_like_online() -> None:
    xs = np.concatenate([np.random.default_rng(0).normal(20.0, 1.0, size=20_000), np.full(8000, 24.1)])
    ours, theirs = normalized(xs), compiled(ONLINE, xs)
    assert np.abs(ours[25_000:]).max() < np.abs(theirs[25_000:]).max() + 0.2


def test_what_became_constant_is_the_mean_until_it_moves_again() -> None:
    p, state = packed(16.0), np.array(blank(16.0))
    normalized([*np.random.default_rng(0).normal(20.0, 1.0, size=3000).tolist(), *[24.1] * 1200], 16.0, state)
    assert ADAPTIVE.spread(p, state, 0)[0] == 24.1
    assert abs(normalized([20.0], 16.0, state)[0]) > 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_a_day_cycle_is_kept_as_online_keeps_it(seed: int) -> None:
    t = np.arange(20_000)
    cycle = np.sin(2 * np.pi * t / 1440)
    xs = cycle + 0.3 * np.random.default_rng(seed).normal(size=20_000)
    for horizon, least in ((1000.0, 0.95), (360.0, 0.8)):
        ours, theirs = normalized(xs, horizon), compiled(ONLINE, xs, lam=1.0 - 1.0 / horizon)
        kept = np.corrcoef(ours[5000:], xs[5000:])[0, 1]
        assert kept > max(least, np.corrcoef(theirs[5000:], xs[5000:])[0, 1] - 0.03)


@horizons
@pytest.mark.parametrize("pace", [1000.0, 100.0])
def test_a_ramp_leaves_no_offset(horizon: float, pace: float) -> None:
    ramp = np.arange(20_000) / pace
    found = [offset(normalized(np.random.default_rng(seed).normal(size=20_000) + ramp, horizon)) for seed in SEEDS]
    assert np.mean(found) <= 0.04


def test_a_ramp_without_noise_deviates_by_what_it_rises_in_a_reading() -> None:
    state = np.array(blank())
    ys = normalized(np.arange(50_000) * 0.01, 1000.0, state)
    assert np.abs(ys[20_000:]).max() < 0.5
    assert ADAPTIVE.spread(packed(1000.0), state, 0) == pytest.approx((499.99, 0.01), rel=0.2)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slow_drift_leaves_unit_variance(seed: int) -> None:
    xs = np.random.default_rng(seed).normal(size=20_000) + np.arange(20_000) / 1000
    deviations = windows(normalized(xs)).std(axis=1)
    assert np.sqrt(((deviations[4:] - 1.0) ** 2).mean()) < 0.15


@pytest.mark.parametrize("horizon", [256.0, 1000.0])
def test_after_a_step_of_10_deviations_the_offset_is_within_0_3_after_1_4_horizons(horizon: float) -> None:
    long = int(horizon)
    runs = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        xs = np.concatenate([rng.normal(size=20 * long), rng.normal(10.0, 1.0, size=4 * long)])
        runs.append(normalized(xs, horizon)[20 * long :])
    average = np.convolve(np.mean(runs, axis=0), np.full(long // 16, 16 / long), "valid")
    assert np.abs(average[int(1.4 * long) :]).max() < 0.35
    assert abs(average[int(1.4 * long)]) < 0.3


@horizons
@pytest.mark.parametrize("wild", WILD)
def test_one_wild_reading_is_forgotten_within_two_horizons(horizon: float, wild: float) -> None:
    rng = np.random.default_rng(1)
    state = np.array(blank(horizon))
    normalized(rng.normal(20.0, 0.1, size=3000), horizon, state)
    after = normalized([wild, *rng.normal(20.0, 0.1, size=30_000).tolist()], horizon, state)
    within = max(400, int(2 * horizon))
    assert windows(after[within:], 1000).std(axis=1).min() > 0.7
    assert windows(after[within:], 1000).std(axis=1).max() < 1.4


@pytest.mark.parametrize("wild", WILD)
def test_a_wild_reading_is_told_as_far_from_the_mean_and_bounded(wild: float) -> None:
    state = np.array(blank())
    normalized(np.random.default_rng(1).normal(20.0, 0.1, size=3000), 1000.0, state)
    assert 20.0 < abs(normalized([wild], 1000.0, state)[0]) <= math.sqrt(1000.0 / (0.375 + 0.625 / 4.0)) * 1.01


@pytest.mark.parametrize("first", [4000.0, 85.0, -127.0])
def test_a_wild_first_reading_is_forgotten_within_500_readings(first: float) -> None:
    xs = np.random.default_rng(0).normal(20.0, 0.1, size=1500)
    xs[0] = first
    assert normalized(xs)[500:].std() == pytest.approx(1.0, rel=0.3)


def test_a_jump_that_is_real_is_believed() -> None:
    rng = np.random.default_rng(0)
    state = np.array(blank())
    normalized(rng.normal(20.0, 0.1, size=3000), 1000.0, state)
    normalized(rng.normal(0.0, 1e6, size=5000), 1000.0, state)
    assert ADAPTIVE.spread(packed(1000.0), state, 0)[1] == pytest.approx(1e6, rel=0.1)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_levels_half_and_half_become_minus_and_plus_one(seed: int) -> None:
    xs = (np.random.default_rng(seed).random(20_000) < 0.5) * 1.0
    ys = normalized(xs)[3000:]
    assert np.sqrt(((np.abs(ys) - 1.0) ** 2).mean()) <= 0.03


@pytest.mark.parametrize("seed", ALARMS)
def test_a_rarely_active_sensor_rests_near_zero_and_its_events_stand_out(seed: int) -> None:
    active = np.random.default_rng(seed).random(20_000) < 0.01
    ys = normalized(active * 1.0)[1000:]
    assert np.abs(ys[~active[1000:]]).max() < 0.4
    assert ys[active[1000:]].min() > 2.5


def test_spread_is_what_the_last_reading_was_normalized_by() -> None:
    xs = np.random.default_rng(0).normal(20.0, 3.0, size=777)
    state = blank()
    ys = interpreted(ADAPTIVE, xs, state=state)
    mean, std = ADAPTIVE.spread(packed(1000.0), state, 0)
    assert ys[-1] == pytest.approx((xs[-1] - mean) / std, rel=1e-9)


def test_a_channel_has_the_spread_of_all_its_elements() -> None:
    images = np.random.default_rng(0).normal(20.0, 3.0, size=(2000, 16))
    state = blank()
    interpreted(ADAPTIVE, images.mean(axis=1), state=state, vs=images.var(axis=1).tolist())
    assert ADAPTIVE.spread(packed(1000.0), state, 0) == pytest.approx((20.0, 3.0), rel=0.05)


def test_a_channel_that_changes_its_scale_is_followed() -> None:
    rng = np.random.default_rng(0)
    means, variances = np.full(6000, 20.0), np.repeat([1.0, 100.0], 3000) * rng.chisquare(63, size=6000) / 64
    state = np.array(blank(16.0))
    compiled(ADAPTIVE, means[:3300], packed(16.0), state, vs=variances[:3300].tolist(), lam=1 - 1 / 16)
    assert ADAPTIVE.spread(packed(16.0), state, 0)[1] == pytest.approx(10.0, rel=0.1)


@pytest.mark.parametrize("x", [1e6, 24.0])
def test_robust_changes_no_answer_by_much_but_what_is_learned(x: float) -> None:
    state = blank()
    interpreted(ADAPTIVE, np.random.default_rng(0).normal(20.0, 1.0, size=2000), state=state)
    free, bounded = list(state), list(state)
    y = interpreted(ADAPTIVE, [x], state=free)
    assert interpreted(ADAPTIVE, [x], state=bounded, clip=2.0) == pytest.approx(y, rel=1e-3)
    before, less, more = (ADAPTIVE.spread(packed(1000.0), own, 0)[0] for own in (state, bounded, free))
    assert before < less < more
    assert ADAPTIVE.spread(packed(1000.0), bounded, 0)[1] < 1.1


def test_robust_bounds_what_a_channels_elements_teach() -> None:
    state = blank()
    rng = np.random.default_rng(0)
    interpreted(ADAPTIVE, rng.normal(20.0, 0.1, size=2000), state=state, vs=[1.0] * 2000)
    interpreted(ADAPTIVE, [20.0], state=state, vs=[1e12], clip=3.0)
    assert ADAPTIVE.spread(packed(1000.0), state, 0)[1] < 1.1


def test_the_later_a_reading_the_less_it_counts() -> None:
    p = AdaptiveParameters(time_constant=10.0).pack()
    moved = []
    for late in (0.0, 5.0, 20.0, 100.0, 1e6):
        state = [0.0] * ADAPTIVE.size(p)
        for x in np.random.default_rng(0).normal(20.0, 1.0, size=200).tolist():
            ADAPTIVE.step(x, 0.0, math.exp(-0.1), 1.0, math.inf, p, state, 0)
        before = ADAPTIVE.spread(p, state, 0)[0]
        y, _ = ADAPTIVE.step(24.0, 0.0, 1.0, math.exp(-late / 10.0), math.inf, p, state, 0)
        moved.append(ADAPTIVE.spread(p, state, 0)[0] - before)
        assert 2.5 < y < 5.0
    assert moved == sorted(moved, reverse=True)
    assert moved[0] / 5.0 > moved[3] > moved[4] >= 0.0


def test_by_time_it_does_not_matter_how_often_a_sensor_sends() -> None:
    p = AdaptiveParameters(time_constant=1000.0).pack()
    spreads = []
    for every in (1, 10):
        state = [0.0] * ADAPTIVE.size(p)
        for t in range(0, 20_000, every):
            x = math.sin(2 * math.pi * t / 1440) + t / 5000
            ADAPTIVE.step(x, 0.0, math.exp(-every / 1000.0), 1.0, math.inf, p, state, 0)
        spreads.append(ADAPTIVE.spread(p, state, 0))
    assert spreads[1] == pytest.approx(spreads[0], rel=0.2)


def merged(a: list[float], b: list[float]) -> list[float]:
    assert ADAPTIVE.merge is not None
    result = list(a)
    ADAPTIVE.merge(packed(1000.0), result, 0, b, 0)
    return result


def learnt(xs: Array) -> list[float]:
    state = blank()
    interpreted(ADAPTIVE, xs, state=state)
    return state


def test_merging_halves_gives_the_mean_and_spread_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(20.0, 1.0, size=2000), rng.normal(24.0, 1.0, size=2000)
    mean, std = ADAPTIVE.spread(packed(1000.0), merged(learnt(a), learnt(b)), 0)
    assert (mean, std) == pytest.approx((22.0, math.sqrt(5.0)), rel=0.05)


def test_merging_nothing_changes_nothing() -> None:
    a = learnt(np.random.default_rng(0).normal(size=300))
    assert merged(a, blank()) == a


def test_merging_into_nothing_gives_the_other() -> None:
    b = learnt(np.random.default_rng(0).normal(size=300))
    assert merged(blank(), b) == b


def test_merging_leaves_no_more_weight_than_the_horizon_holds() -> None:
    a, b = (learnt(np.random.default_rng(seed).normal(size=3000)) for seed in (0, 1))
    assert merged(a, b)[0] <= 1000.0


def test_what_was_merged_is_sound_and_goes_on() -> None:
    a, b = (learnt(np.random.default_rng(seed).normal(size=300)) for seed in (0, 1))
    both = merged(a, b)
    assert ADAPTIVE.sound is not None
    assert ADAPTIVE.sound(packed(1000.0), both, -5.0, 5.0)
    assert np.isfinite(interpreted(ADAPTIVE, np.random.default_rng(2).normal(size=100), state=both)).all()


def test_a_block_of_the_bank_that_was_kept_before_becomes_one_of_the_features_statistics() -> None:
    assert ADAPTIVE.convert is not None
    own = ADAPTIVE.convert(packed(1000.0), [400.0, 20.0, 4.0], [1.0] * 47)
    assert own is not None
    assert ADAPTIVE.spread(packed(1000.0), own, 0) == (20.0, 2.0)
    assert interpreted(ADAPTIVE, [24.0], state=own)[0] == pytest.approx(2.0, rel=0.01)
    assert ADAPTIVE.convert(packed(1000.0), [0.0] * 12, [0.0] * 47) == blank()
    assert ADAPTIVE.convert(packed(1000.0), [400.0, 20.0, 4.0], [1.0] * 48) is None
