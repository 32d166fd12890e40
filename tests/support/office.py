"""A made-up office room, a reading a minute: what sensors on a wall send, without the recording of anybody's room.

It has what makes such rooms hard: a day's cycle and a week's, slow drift, a sensor that resolves little and so repeats
itself, lamps that are on or off under daylight that is neither, a door's worth of people who come and go, and CO2 that
rises while they are there and decays when they leave.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

DAY = 1440
#: the recording begins in the afternoon, and so ends in one
BEGIN = 14 * 60 + 20
#: ppm outdoors, and what a person adds in a minute
CO2_OUTDOORS, CO2_A_PERSON = 420.0, 2.6
#: minutes after which 1/e of the surplus CO2 is left with the windows shut
CO2_DECAY = 110.0
#: minutes that the room takes to follow what heats it
HEAT_LAG = 90.0
LAMPS = 430.0


def office_room(days: int = 14, seed: int = 0) -> dict[str, Array]:
    """Return the columns of some days by the names of their sensors; they begin on a Monday afternoon."""
    rng = np.random.default_rng(seed)
    minute = np.arange((days + 1) * DAY)
    clock, workday = minute % DAY, (minute // DAY) % 7 < 5
    people = _people(rng, days + 1) * workday
    present = people > 0
    sun = np.clip(np.sin((clock - 420) / 600 * np.pi), 0, None) * (clock < 1020)
    clouds = np.repeat(rng.uniform(0.25, 1.0, days + 1), DAY) * np.clip(
        1 + 0.15 * _walk(rng, minute.size, 30), 0.2, None
    )
    daylight = 260.0 * sun * clouds
    season = 0.09 * minute / DAY
    heated = (clock > 360) & (clock < 1140) & workday
    warm = 19.4 + 2.2 * heated + 0.18 * people + 0.004 * daylight + season + 0.1 * _walk(rng, minute.size, 200)
    temperature = _lagged(warm, HEAT_LAG) + 0.01 * rng.normal(size=minute.size)
    outdoors = 4.1 + 0.6 * _walk(rng, minute.size, 1500)
    grams = outdoors + 0.08 * _lagged(people.astype(float), CO2_DECAY) + 0.01 * rng.normal(size=minute.size)
    co2 = CO2_OUTDOORS + CO2_DECAY * CO2_A_PERSON * _lagged(people.astype(float), CO2_DECAY)
    columns = {
        "temperature": np.round(temperature, 2),
        "humidity": np.round(grams / _saturation(temperature) * 100.0, 2),
        "light": np.round(np.where(present, LAMPS, 0.0) + daylight, 0),
        "co2": np.round(co2 + 3.0 * rng.normal(size=minute.size), 1),
        "humidity_ratio": np.round(grams / 1000.0, 8),
        "occupancy": 1.0 * present,
    }
    return {name: np.asarray(column[BEGIN : BEGIN + days * DAY], np.float64) for name, column in columns.items()}


def _people(rng: np.random.Generator, days: int) -> npt.NDArray[np.int64]:
    """Return how many are in the room: each comes in the morning, leaves in the evening, and goes out to lunch."""
    inside = np.zeros((days, DAY), dtype=np.int64)
    for day in inside:
        for _ in range(4):
            came, left = rng.normal(500, 25), rng.normal(1060, 30)
            lunch = rng.normal(735, 15)
            day[int(came) : int(left)] += 1
            day[int(lunch) : int(lunch + rng.uniform(25, 55))] -= 1
    return np.clip(inside.ravel(), 0, None)


def _lagged(target: Array, minutes: float) -> Array:
    """Return what follows a target with a first-order lag."""
    rate, level, levels = 1.0 / minutes, float(target[0]), np.empty(target.size)
    for i, aim in enumerate(target.tolist()):
        level += rate * (aim - level)
        levels[i] = level
    return levels


def _walk(rng: np.random.Generator, size: int, minutes: float) -> Array:
    """Return noise of deviation 1 that is forgotten within some minutes."""
    noise = rng.normal(size=size)
    noise[0] = 0.0
    walk: Array = _lagged(noise, minutes) * np.sqrt(2.0 * minutes)
    return walk


def _saturation(celsius: Array) -> Array:
    """Return the grams of water that a kilogram of saturated air holds (August-Roche-Magnus)."""
    pressure: Array = 6.1094 * np.exp(17.625 * celsius / (celsius + 243.04))
    return 622.0 * pressure / (1013.25 - pressure)
