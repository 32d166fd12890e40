"""A labelled collection of sensors: made-up ones of every kind at three sampling rates, and recordings where given.

What a sensor does is told in seconds; at a tenth and at ten times the rate the same sensor is another series: what
moves
within a horizon of 1 000 readings at one rate moves between horizons at another. Labels say what a person who knows
the sensor would call its last horizons.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streamnorm.engine.streams.feature_profile import Kind

Array = npt.NDArray[np.float64]
READINGS = 12_000
#: seconds between two readings
STEPS = (1.0, 10.0, 100.0)
HORIZON = 1000


class Sensor(NamedTuple):
    """One feature: its readings, and what a person would call it."""

    name: str
    kind: Kind
    values: Array


#: (seconds since the start, random numbers, seconds between readings) -> readings
Maker = Callable[[Array, np.random.Generator, float], Array]


def noise(rng: np.random.Generator, size: int = READINGS) -> Array:
    return rng.normal(size=size)


def switching(t: Array, rng: np.random.Generator, on: float, off: float) -> Array:
    """Return a telegraph signal, 0 or 1, that stays for so many seconds in the mean."""
    step = float(t[1] - t[0])
    state, out = 0.0, np.empty(len(t))
    chances, draws = {1.0: min(1.0, step / on), 0.0: min(1.0, step / off)}, rng.random(len(t))
    for place, draw in enumerate(draws):
        if draw < chances[state]:
            state = 1.0 - state
        out[place] = state
    return out


def blips(rng: np.random.Generator, share: float) -> Array:
    return (rng.random(READINGS) < share).astype(np.float64)


def levels(rng: np.random.Generator, count: int, stay: float) -> Array:
    """Return one of so many values, kept for so many readings in the mean."""
    moves = rng.random(READINGS) < 1.0 / stay
    moves[0] = True
    since = np.maximum.accumulate(np.where(moves, np.arange(READINGS), 0))
    return rng.integers(0, count, size=READINGS)[since].astype(np.float64)


def steady(kind: Kind, **makers: Maker) -> dict[str, tuple[Maker, tuple[Kind, Kind, Kind]]]:
    """Name sensors that are of one kind at every rate."""
    return {name.replace("_", " "): (maker, (kind, kind, kind)) for name, maker in makers.items()}


MADE = (
    steady(
        "constant",
        a_broken_sensor=lambda t, rng, dt: np.full(READINGS, 24.1),
        nothing_at_all=lambda t, rng, dt: np.zeros(READINGS),
        a_setpoint=lambda t, rng, dt: np.full(READINGS, -7.25),
    )
    | steady(
        "stuck",
        a_thermometer_that_stopped=lambda t, rng, dt: np.where(np.arange(READINGS) < 9000, 20 + 0.1 * noise(rng), 20.1),
        a_pressure_that_stopped=lambda t, rng, dt: np.where(np.arange(READINGS) < 8000, 1013 + noise(rng), 1013.2),
        a_line_that_fell_to_zero=lambda t, rng, dt: np.where(np.arange(READINGS) < 9500, 4 + 0.01 * noise(rng), 0.0),
    )
    | steady(
        "two-level",
        a_switch=lambda t, rng, dt: blips(rng, 0.5),
        a_motion_sensor=lambda t, rng, dt: blips(rng, 0.2),
        a_door_that_stays=lambda t, rng, dt: switching(t, rng, 60.0 * dt, 60.0 * dt),
        a_heater_of_2_kW_with_noise=lambda t, rng, dt: 2000.0 * switching(t, rng, 40 * dt, 80 * dt) + 50 * noise(rng),
        a_valve_amid_noise=lambda t, rng, dt: 1.0 * switching(t, rng, 50 * dt, 50 * dt) + 0.1 * noise(rng),
        a_pump_at_quarter_load=lambda t, rng, dt: 5.0 * switching(t, rng, 30 * dt, 90 * dt) + 0.3 * noise(rng),
        a_tiny_difference=lambda t, rng, dt: 0.0027 + 1e-9 * blips(rng, 0.4),
    )
    | steady(
        "rarely-active",
        an_alarm=lambda t, rng, dt: blips(rng, 0.01),
        an_alarm_amid_noise=lambda t, rng, dt: 50.0 * blips(rng, 0.01) + noise(rng),
        an_alarm_the_other_way=lambda t, rng, dt: -5.0 * blips(rng, 0.02),
        rain=lambda t, rng, dt: blips(rng, 0.02) * rng.uniform(0.2, 4.0, READINGS),
        vibration_counts_at_rest=lambda t, rng, dt: blips(rng, 0.015) * rng.integers(1, 9, READINGS),
    )
    | steady(
        "levels",
        a_fan_of_four_speeds=lambda t, rng, dt: levels(rng, 4, 30),
        a_weather_code=lambda t, rng, dt: levels(rng, 7, 12),
        a_die=lambda t, rng, dt: levels(rng, 6, 1.0),
        a_gear=lambda t, rng, dt: 0.5 + levels(rng, 5, 8),
    )
    | steady(
        "counter",
        an_energy_meter=lambda t, rng, dt: np.cumsum(rng.exponential(1.0, READINGS)),
        pulses=lambda t, rng, dt: np.cumsum(rng.poisson(0.3, READINGS)).astype(float),
        uptime=lambda t, rng, dt: t % (2500 * dt),
        a_daily_total=lambda t, rng, dt: np.cumsum(rng.poisson(4.0, READINGS)).astype(float) % 6000.0,
    )
    | steady(
        "continuous",
        white_noise=lambda t, rng, dt: 20 + 0.1 * noise(rng),
        uniform_noise=lambda t, rng, dt: rng.random(READINGS),
        Laplace_noise=lambda t, rng, dt: rng.laplace(size=READINGS),
        lognormal_noise=lambda t, rng, dt: rng.lognormal(0.0, 1.0, READINGS),
        heavy_tails=lambda t, rng, dt: rng.standard_t(3, READINGS),
        noise_with_one_outlier=lambda t, rng, dt: np.where(np.arange(READINGS) == 9000, 6553.5, 20 + 0.1 * noise(rng)),
        an_oversampled_heart=lambda t, rng, dt: np.exp(8 * (np.cos(2 * np.pi * t / (97 * dt)) - 1)) + 0.01 * noise(rng),
        vibration_at_10_kHz=lambda t, rng, dt: (
            np.sin(2 * np.pi * t / (61.3 * dt)) + np.sin(2 * np.pi * t / (17.9 * dt))
        ),
        wind=lambda t, rng, dt: np.abs(6 + smooth(rng, 25)),
        a_fast_sine=lambda t, rng, dt: np.sin(2 * np.pi * t / (313.0 * dt)) + 0.1 * noise(rng),
        an_ADC_of_many_codes=lambda t, rng, dt: np.round(512 + 40 * noise(rng)),
    )
    | steady(
        "drifting",
        a_random_walk=lambda t, rng, dt: np.cumsum(noise(rng)),
        a_ramp=lambda t, rng, dt: noise(rng) + t / (60 * dt),
        a_fall=lambda t, rng, dt: noise(rng) - t / (100 * dt),
        a_warming_motor=lambda t, rng, dt: 20 + 60 * (1 - np.exp(-t / (6000 * dt))) + 0.2 * noise(rng),
        a_slow_sine=lambda t, rng, dt: np.sin(2 * np.pi * t / (7000.0 * dt)) + 0.1 * noise(rng),
        a_red_noise=lambda t, rng, dt: smooth(rng, 3000) + 0.02 * noise(rng),
    )
    # A second apart a day is a slow baseline, 100 seconds apart it is a fluctuation; a draught of minutes likewise.
    | {
        "a room's day": (
            lambda t, rng, dt: 21 + 2 * np.sin(2 * np.pi * t / 86_400.0) + 0.1 * noise(rng),
            ("drifting", "drifting", "continuous"),
        ),
        "a compressor's cycle": (
            lambda t, rng, dt: np.sin(2 * np.pi * t / 5000.0) + 0.1 * noise(rng),
            ("drifting", "continuous", "continuous"),
        ),
    }
)


def smooth(rng: np.random.Generator, readings: float) -> Array:
    """Return noise of 1 that stays alike for so many readings."""
    keep, out, x = np.exp(-1.0 / readings), np.empty(READINGS), 0.0
    for place, draw in enumerate(noise(rng) * np.sqrt(1 - keep**2)):
        x = keep * x + draw
        out[place] = x
    return out


#: columns of recordings, and what a person would call them at a horizon of 1 000 readings
RECORDED: dict[str, dict[str, Kind]] = {
    "office_room.csv": {
        "Temperature": "drifting",
        "Humidity": "drifting",
        "CO2": "drifting",
        "HumidityRatio": "drifting",
        "Light": "two-level",
        "Occupancy": "two-level",
    },
}


def collection(recordings: Path | None = None, seed: int = 0) -> Iterator[Sensor]:
    """Yield every sensor at every rate, and the recordings of a folder where there is one."""
    for number, (name, (maker, kinds)) in enumerate(MADE.items()):
        for rate, (step, kind) in enumerate(zip(STEPS, kinds, strict=True)):
            rng = np.random.default_rng([seed, number, rate])
            values = np.asarray(maker(step * np.arange(READINGS), rng, step), dtype=np.float64)
            yield Sensor(f"{name}, a reading every {step:g} s", kind, values)
    if recordings is not None:
        for file, columns in RECORDED.items():
            yield from _recorded(recordings / file, columns)


def _recorded(file: Path, columns: dict[str, Kind]) -> Iterator[Sensor]:
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    names = {name.strip('" ').lower().replace("_", ""): name for name in rows[0]}
    for column, kind in columns.items():
        yield Sensor(f"{file.name}: {column}", kind, np.array([float(row[names[column.lower()]]) for row in rows]))
