"""The six kinds of sensors that the service promises to do well, by `online` and `adaptive`, all in one stream."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from tests.support import sensors
from tests.support.sensors import normalized

figures = functools.cache(sensors.figures)

both = pytest.mark.parametrize("method", ["online", "adaptive"])
seeds = pytest.mark.parametrize("seed", range(5))


@both
@seeds
def test_sensors_of_many_ranges_give_the_same(method: str, seed: int) -> None:
    assert figures(method, seed).ranges < 1e-12


@both
@seeds
def test_a_constant_is_exactly_zero(method: str, seed: int) -> None:
    assert figures(method, seed).constant == 0.0


@seeds
@pytest.mark.parametrize(("method", "readings"), [("online", 30_000), ("adaptive", 40_000)])
def test_what_became_constant_goes_to_exactly_zero_for_good(method: str, readings: int, seed: int) -> None:
    assert figures(method, seed).settled < readings


@both
@seeds
def test_two_levels_half_and_half_become_minus_one_and_one(method: str, seed: int) -> None:
    assert figures(method, seed).levels <= 0.03


@seeds
@pytest.mark.parametrize(("method", "rest", "event"), [("online", 0.2, 5.0), ("adaptive", 0.4, 2.5)])
def test_what_is_active_one_percent_of_the_time_rests_near_zero_and_stands_out(
    method: str, rest: float, event: float, seed: int
) -> None:
    found = figures(method, seed)
    assert found.rest < rest
    assert found.event > event


@both
@seeds
def test_a_drift_that_is_slow_for_the_horizon_leaves_no_offset_and_unit_variance(method: str, seed: int) -> None:
    offset, spread = figures(method, seed).slow_drift
    assert (offset <= 0.07, spread <= 0.07) == (True, True)


@seeds
def test_adaptive_finds_the_horizon_for_a_drift(seed: int) -> None:
    offset, spread = figures("adaptive", seed).drift
    assert (offset <= 0.07, spread <= 0.07) == (True, True)


@both
def test_sensors_of_different_kinds_in_one_stream_leave_each_other_alone(method: str) -> None:
    given = sensors.sensors()
    together = normalized(method, given)
    alone = {name: normalized(method, {name: xs})[name] for name, xs in given.items()}
    assert {name: ys.tobytes() for name, ys in together.items()} == {name: ys.tobytes() for name, ys in alone.items()}


@both
def test_only_the_sensors_own_past_is_used(method: str) -> None:
    given = sensors.sensors()
    half = {name: xs[: sensors.READINGS // 2] for name, xs in given.items()}
    whole, beginning = normalized(method, given), normalized(method, half)
    for name, ys in beginning.items():
        np.testing.assert_array_equal(ys, whole[name][: len(ys)])
