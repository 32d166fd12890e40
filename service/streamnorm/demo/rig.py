"""A simulated test rig with typical sensors: of different ranges, broken, two-level, rarely active and drifting."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

UNITS = {
    "temperature": "°C",  # continuous, around twenty
    "pressure": "Pa",  # continuous, around a hundred thousand
    "vibration": "m/s²",  # continuous, thousandths, around one value at rest and another when the motor runs
    "supply": "V",  # constant: the sensor is broken
    "door": "",  # two-level
    "alarm": "",  # rarely active
    "motor": "°C",  # drifting: the motor warms up
}

DAY = 600  # readings
WARMING = 2000  # readings until the motor is nearly warm


def readings(seed: int) -> Iterator[dict[str, float]]:
    """Yield the rig's readings indefinitely, reproducible by the seed.

    >>> sorted(next(readings(0))) == sorted(UNITS)
    True
    """
    chance = random.Random(seed)  # noqa: S311 - a simulation
    pressure, running, door, alarm = 0.0, False, 0, 0
    n = 0
    while True:
        pressure = 0.99 * pressure + chance.gauss(0, 20)
        running ^= chance.random() < 0.01  # noqa: PLR2004
        door ^= chance.random() < 0.02  # noqa: PLR2004
        alarm = max(alarm - 1, 8 if chance.random() < 0.002 else 0)  # noqa: PLR2004
        yield {
            "temperature": 21.5 + 2 * math.sin(2 * math.pi * n / DAY) + chance.gauss(0, 0.1),
            "pressure": 101_325 + pressure,
            "vibration": (0.015 if running else 0.002) + chance.gauss(0, 0.0004),
            "supply": 24.0,
            "door": float(door),
            "alarm": float(alarm > 0),
            "motor": 20 + 60 * (1 - math.exp(-n / WARMING)) + chance.gauss(0, 0.2),
        }
        n += 1
