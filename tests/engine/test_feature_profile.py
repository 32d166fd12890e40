"""A profile says what is known of a sensor, and what kind of sensor that is."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest

from streamnorm.engine.blocks.block import observe_block
from streamnorm.engine.streams.feature_profile import FeatureProfile, Kind, profile
from streamnorm.engine.streams.stream import Stream
from streamnorm.kernels import METHODS
from tests.support.engine import LIMITS, NOW, block_of, new, observe, observe_rows
from tests.support.labelled_sensors import Sensor, collection
from tests.support.office import office_room

Array = npt.NDArray[np.floating]
HORIZON = 1000.0
READINGS = 5000


def learned(xs: Any, **config: Any) -> Stream:
    """Return a stream of one feature, a, after these readings."""
    stream = new(**config)
    observe_rows(stream, np.reshape(xs, (-1, 1)))
    return stream


def profiled(xs: Any, **config: Any) -> FeatureProfile:
    return profile(learned(xs, **config))["a"]


def weights(readings: int, horizon: float = HORIZON) -> Array:
    ages = np.arange(readings)[::-1]
    decayed: Array = (1.0 - 1.0 / horizon) ** ages
    return decayed


# What is known


def skewed() -> Array:
    return np.random.default_rng(0).exponential(size=3000)


def test_mean_and_deviation_are_the_weighted_ones() -> None:
    xs, w = skewed(), weights(3000)
    mean = float(np.average(xs, weights=w))
    told = profiled(xs)
    assert (told.mean, told.std) == pytest.approx((mean, math.sqrt(np.average((xs - mean) ** 2, weights=w))), rel=1e-9)


def test_skewness_and_kurtosis_are_the_weighted_ones() -> None:
    xs, w = skewed(), weights(3000)
    z = xs - np.average(xs, weights=w)
    z /= math.sqrt(np.average(z**2, weights=w))
    told = profiled(xs)
    assert (told.skew, told.kurtosis) == pytest.approx(
        (np.average(z**3, weights=w), np.average(z**4, weights=w)), rel=1e-9
    )


def test_weight_is_the_effective_number_of_readings() -> None:
    assert profiled(skewed()).weight == pytest.approx(weights(3000).sum(), rel=1e-9)


def test_a_gaussian_has_a_kurtosis_of_three() -> None:
    told = profiled(np.random.default_rng(0).normal(size=50_000), method="cumulative")
    assert (told.skew, told.kurtosis) == pytest.approx((0.0, 3.0), abs=0.1)


def test_counts_ends_and_last_value_are_told() -> None:
    told = profiled([3.0, math.nan, -7.0, 50.0, math.nan, 1.5])
    assert (told.count, told.missing, told.min, told.max, told.last) == (4, 2, -7.0, 50.0, 1.5)


def test_a_feature_that_was_always_missing_has_nothing_to_tell_but_that() -> None:
    told = asdict(profiled([math.nan, math.nan]))
    kept = {key: told.pop(key) for key in ("count", "missing", "weight", "kind")}
    assert kept == {"count": 0, "missing": 2, "weight": 0.0, "kind": "warming"}
    assert set(told.values()) == {None}


@pytest.mark.parametrize("value", [0.0, 0.1, 1e75, -1e-300])
def test_a_constant_has_no_shape(value: float) -> None:
    told = profiled([value] * 100)
    assert (told.std, told.skew, told.kurtosis) == (0.0, None, None)


def test_a_channel_has_ends_but_no_shape() -> None:
    stream = new()
    for image in np.random.default_rng(0).normal(size=(100, 3, 4)):
        observe(stream, {"ir": image})
    told = profile(stream)["ir"]
    assert (told.count, told.skew, told.kurtosis) == (100, None, None)
    assert (told.min or 0.0) < -2.0
    assert (told.max or 0.0) > 2.0


@pytest.mark.parametrize("method", sorted(METHODS))
def test_mean_and_deviation_are_what_the_method_normalizes_by(method: str) -> None:
    stream = learned(np.random.default_rng(0).normal(20.0, 3.0, size=700), method=method)
    told = profile(stream)["a"]
    assert (told.mean, told.std) == stream.mean_std("a")


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"cumulative"}))
def test_the_shape_is_of_the_horizon_whatever_the_method(method: str) -> None:
    told, online = (profiled(skewed(), method=name) for name in (method, "online"))
    assert (told.skew, told.kurtosis) == (online.skew, online.kurtosis)


def test_a_profile_takes_the_same_memory_whatever_was_observed() -> None:
    assert len(learned(skewed()).state) == len(learned([1.0]).state)


def test_telling_changes_nothing() -> None:
    stream = learned(skewed())
    before = stream.state.tobytes()
    profile(stream)
    assert stream.state.tobytes() == before


# What kind of sensor it is


def kinds(readings: int = READINGS, seed: int = 0) -> dict[str, tuple[Array, Kind]]:
    """Return sensors of every kind; noise of 1 but where said."""
    rng = np.random.default_rng(seed)
    noise, t = rng.normal(size=readings), np.arange(readings)
    half, rare = rng.random(readings) < 0.5, rng.random(readings) < 0.01
    stays = np.cumsum(rng.random(readings) < 0.02) % 2
    return {
        "noise": (noise, "continuous"),
        "uniform": (rng.random(readings), "continuous"),
        "Laplace": (rng.laplace(size=readings), "continuous"),
        "a fast sine": (np.sin(t), "continuous"),
        "three levels": (rng.choice([0.0, 1.0, 2.0], size=readings), "levels"),
        "a tiny range": (0.004 + 1e-6 * noise, "continuous"),
        "a constant": (np.full(readings, 24.0), "constant"),
        "a constant of nothing": (np.zeros(readings), "constant"),
        "stopped": (np.where(t < 2000, noise, 0.3), "stuck"),
        "a switch": (half * 1.0, "two-level"),
        "a door that stays": (stays * 1.0, "two-level"),
        "two levels with noise": (half * 20.0 + noise, "two-level"),
        "two levels of a tiny range": (0.0027 + half * 1e-9, "two-level"),
        "an alarm": (rare * 1.0, "rarely-active"),
        "an alarm the other way": (-5.0 * rare, "rarely-active"),
        "an alarm with noise": (rare * 50.0 + noise, "rarely-active"),
        "a ramp": (noise + t / 50, "drifting"),
        "a fall": (noise - t / 50, "drifting"),
        "a random walk": (np.cumsum(noise), "drifting"),
        "a sine within the horizon": (0.1 * noise + np.sin(2 * np.pi * t / 600), "continuous"),
        "a sine of several horizons": (0.1 * noise + np.sin(2 * np.pi * t / 6000), "drifting"),
        "a meter": (np.cumsum(rng.poisson(2.0, readings)) * 1.0, "counter"),
        "a motor": (20 + 60 * (1 - np.exp(-t / 2000)) + 0.2 * noise, "drifting"),
    }


@pytest.mark.parametrize("sensor", kinds())
@pytest.mark.parametrize("seed", range(3))
def test_a_sensor_is_told_for_what_it_is(sensor: str, seed: int) -> None:
    xs, kind = kinds(seed=seed)[sensor]
    assert profiled(xs).kind == kind


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"cumulative"}))  # whose horizon is all it has read
@pytest.mark.parametrize("sensor", kinds())
def test_a_kind_does_not_depend_on_the_method(sensor: str, method: str) -> None:
    xs, kind = kinds()[sensor]
    config = {"window": 64} if method.startswith("batch") else {}
    assert profiled(xs, method=method, **config).kind == kind


@pytest.mark.parametrize("scale", [-1.0, 1e-9, 1e9])
@pytest.mark.parametrize("sensor", kinds())
def test_a_kind_does_not_depend_on_the_unit(sensor: str, scale: float) -> None:
    xs, kind = kinds()[sensor]
    falls = kind == "counter" and scale < 0.0
    assert profiled(xs * scale).kind == ("drifting" if falls else kind)


@pytest.mark.parametrize("sensor", kinds())
def test_a_kind_does_not_depend_on_missing_values(sensor: str) -> None:
    xs, kind = kinds()[sensor]
    missing = np.random.default_rng(1).random(len(xs)) < 0.1
    assert profiled(np.where(missing, math.nan, xs)).kind == kind


def test_until_its_warmup_a_sensor_is_of_no_kind() -> None:
    assert [profiled([1.0] * n, warmup=5).kind for n in (1, 4, 5)] == ["warming", "warming", "constant"]


def test_a_sensor_that_stops_is_stuck_after_a_horizon() -> None:
    stream = learned(np.random.default_rng(0).normal(size=READINGS))
    told = []
    for _ in range(3):
        observe_rows(stream, [[0.3]] * 400)
        told.append(profile(stream)["a"].kind == "stuck")
    assert told == [False, False, True]


def test_a_sensor_that_moves_again_is_stuck_no_longer() -> None:
    stream = learned(np.random.default_rng(0).normal(size=READINGS))
    observe_rows(stream, [[0.3]] * 1500)
    observe_rows(stream, np.random.default_rng(1).normal(size=(3000, 1)))
    assert profile(stream)["a"].kind == "continuous"


@pytest.mark.parametrize("rest", [1500, 5000])
def test_a_door_that_stays_shut_for_a_while_is_not_stuck(rest: int) -> None:
    stream = learned(kinds()["a door that stays"][0])
    observe_rows(stream, [[0.0]] * rest)
    assert profile(stream)["a"].kind in {"two-level", "rarely-active"}


@pytest.mark.parametrize("sensor", ["an alarm", "a door that stays"])
def test_a_sensor_that_rests_at_its_end_is_given_ten_horizons_until_it_is_stuck(sensor: str) -> None:
    xs = kinds()[sensor][0]
    stream = learned(xs)
    observe_rows(stream, [[xs.min()]] * 9000)
    assert profile(stream)["a"].kind == "rarely-active"
    observe_rows(stream, [[xs.min()]] * 2000)
    assert profile(stream)["a"].kind == "stuck"


# A fortnight in an office room


@pytest.fixture(scope="module")
def office() -> list[dict[str, Kind]]:
    """Return what every sensor of the room was told to be, hour by hour."""
    room = office_room()
    rows, stream, told = np.stack(list(room.values()), axis=1), new(), []
    for start in range(0, len(rows), 60):
        observe_block(stream, block_of(rows[start : start + 60], tuple(room)), NOW, LIMITS)
        told.append({name: feature.kind for name, feature in profile(stream).items()})
    return told


def test_after_a_fortnight_an_office_rooms_sensors_are_told(office: list[dict[str, Kind]]) -> None:
    assert office[-1] == {
        "temperature": "drifting",
        "humidity": "drifting",
        "light": "two-level",
        "co2": "drifting",
        "humidity_ratio": "drifting",
        "occupancy": "two-level",
    }


#: hours of four horizons: before there are two, nobody can tell whether the level moves
SETTLED = 66


@pytest.mark.parametrize("sensor", ["temperature", "humidity", "humidity_ratio"])
def test_what_drifts_is_told_to_drift_in_nearly_every_hour(office: list[dict[str, Kind]], sensor: str) -> None:
    told = [hour[sensor] for hour in office[SETTLED:]]
    assert told.count("drifting") > 0.9 * len(told)


def test_occupancy_has_two_levels_and_the_second_is_rare_only_around_weekends(office: list[dict[str, Kind]]) -> None:
    told = [hour["occupancy"] for hour in office]
    assert set(told[4:]) == {"two-level", "rarely-active"}
    assert told.count("two-level") > 0.8 * len(told)


def test_light_has_two_levels_where_lamps_decide_drifts_in_daylight_and_never_gets_stuck_at_night(
    office: list[dict[str, Kind]],
) -> None:
    told = [hour["light"] for hour in office]
    assert set(told[1:]) == {"two-level", "drifting", "rarely-active"}  # rare after weekends
    assert told.count("two-level") > 0.7 * len(told)


def test_co2_that_rises_and_decays_between_two_levels_is_not_said_to_jump(office: list[dict[str, Kind]]) -> None:
    told = [hour["co2"] for hour in office]
    assert "two-level" not in told
    assert told.count("drifting") > 0.7 * len(told)


def between(levels: Array, readings: float) -> Array:
    """Return what follows levels with a first-order lag."""
    rate, level, followed = 1.0 / readings, float(levels[0]), []
    for aim in levels.tolist():
        level += rate * (aim - level)
        followed.append(level)
    return np.array(followed)


@pytest.mark.parametrize("stay", [600, 1500])
def test_two_levels_are_jumped_between_however_seldom_and_not_walked(stay: int) -> None:
    levels = 1.0 * (np.arange(12_000) // stay % 2)
    noise = 0.001 * np.random.default_rng(0).normal(size=levels.size)
    assert profiled(levels + noise).kind == "two-level"
    assert profiled(between(levels, 90.0) + noise).kind in {"continuous", "drifting"}


# The labelled collection


def labelled() -> list[Sensor]:
    return list(collection(seed=7))


def test_at_least_19_of_20_sensors_of_the_collection_are_told_for_what_they_are() -> None:
    sensors = labelled()
    right = [profiled(sensor.values).kind == sensor.kind for sensor in sensors]
    assert len(sensors) >= 120
    assert {sensor.kind for sensor in sensors} == set(get_args(Kind)) - {"warming"}
    assert sum(right) >= 0.95 * len(right)


def test_an_outlier_makes_no_sensor_rarely_active() -> None:
    xs = np.random.default_rng(0).normal(20.0, 0.1, size=9000)
    xs[4000] = 6553.5
    told = {profiled(xs[:end]).kind for end in (4001, 4002, 4500, 5000, 6000, 9000)}
    assert told == {"continuous"}


def test_channels_of_white_noise_do_not_drift() -> None:
    stream = new(horizon=100.0)
    for image in np.random.default_rng(0).normal(size=(1000, 4, 4)):
        observe(stream, {"ir": image})
    assert profile(stream)["ir"].kind == "continuous"


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"cumulative"}))
def test_least_and_greatest_are_those_of_the_last_horizons(method: str) -> None:
    xs = np.concatenate([[-50.0, 90.0], np.random.default_rng(0).uniform(-1.0, 1.0, size=3000)])
    spans = [profiled(xs[:end], method=method, horizon=100.0) for end in (50, 150, 250, 3002)]
    ends = [(told.min, told.max) for told in spans]
    assert ends[:2] == [(-50.0, 90.0)] * 2
    for (low, high), end in zip(ends[2:], (250, 3002), strict=True):
        assert xs[end - 200 : end].min() <= low <= xs[end - 100 : end].min()
        assert xs[end - 100 : end].max() <= high <= xs[end - 200 : end].max()


def test_least_and_greatest_of_cumulative_are_of_all_readings() -> None:
    xs = [-50.0, 90.0, *np.random.default_rng(0).uniform(-1.0, 1.0, size=9000)]
    told = profiled(xs, method="cumulative")
    assert (told.min, told.max) == (-50.0, 90.0)


# Robust


def rare(share: float, readings: int = 20_000) -> Array:
    return (np.random.default_rng(0).random(readings) < share) * 1.0


AT_REST = {
    "a door open 1 %": rare(0.01),
    "a door open 1 in 1 000": rare(0.001),
    "rain": rare(0.02) * np.random.default_rng(1).uniform(0.2, 4.0, size=20_000),
    "a switch": rare(0.5),
    "a door that opens every 5 horizons": np.where(np.arange(20_000) % 5000 == 40, 1.0, 0.0),
}


@pytest.mark.parametrize("sensor", AT_REST)
@pytest.mark.parametrize("method", ["online", "cumulative", "batch", "batch-renorm"])
def test_robust_leaves_what_rests_and_its_events_alone(sensor: str, method: str) -> None:
    xs = AT_REST[sensor]
    robust, free = learned(xs, method=method, robust=5.0), learned(xs, method=method)
    assert robust.mean_std("a") == pytest.approx(free.mean_std("a"), rel=0.05)


def test_robust_protects_a_thermometer_that_toggles_between_two_values() -> None:
    xs = np.where(np.random.default_rng(0).random(3000) < 0.5, 20.0625, 20.125)
    stream = learned([*xs, 85.0], robust=5.0)
    assert stream.mean_std("a")[1] < 0.05


@pytest.mark.parametrize("robust", [1.2, 1.5, 1.8, 2.5, 5.0])
@pytest.mark.parametrize("window", [2, 3, 5, 16, 256])
@pytest.mark.parametrize("method", ["batch", "batch-renorm"])
def test_robust_never_locks_a_new_level_out_of_a_batch(method: str, window: int, robust: float) -> None:
    noise = np.random.default_rng(0).normal(size=6000)
    stream = learned(
        np.where(np.arange(6000) < 1000, noise, noise + 1000.0), method=method, window=window, robust=robust
    )
    assert stream.mean_std("a")[0] == pytest.approx(1000.0, abs=5.0)
