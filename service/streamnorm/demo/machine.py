"""This machine's own sensors, those that are available."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psutil

UNITS = {"cpu": "%", "load": "", "memory": "MB", "received": "B", "sent": "B", "temperature": "°C"}


def readings() -> Iterator[dict[str, float]]:
    """Yield readings of the available sensors indefinitely; network traffic is counted since the last reading."""
    sensors = present(
        {
            "cpu": psutil.cpu_percent,
            "load": lambda: psutil.getloadavg()[0],
            "memory": lambda: psutil.virtual_memory().used / 1e6,
            "received": growth(lambda: psutil.net_io_counters().bytes_recv),
            "sent": growth(lambda: psutil.net_io_counters().bytes_sent),
            "temperature": temperature,
        }
    )
    while True:
        yield {name: sensor() for name, sensor in sensors.items()}


def present(sensors: dict[str, Callable[[], float]]) -> dict[str, Callable[[], float]]:
    """Return the sensors that can be read.

    >>> sorted(present({"cpu": lambda: 3.0, "fan": lambda: 1 / 0}))
    ['cpu']
    """
    return {name: sensor for name, sensor in sensors.items() if works(sensor)}


def works(sensor: Callable[[], float]) -> bool:
    """Return whether a sensor can be read; psutil passes on the system's errors, so any error means it is absent."""
    try:
        sensor()
    except Exception:  # noqa: BLE001
        return False
    return True


def growth(counter: Callable[[], int]) -> Callable[[], float]:
    """Build a sensor of a counter's increase since the last reading.

    >>> values = iter([5, 7, 12])
    >>> sensor = growth(lambda: next(values))
    >>> sensor(), sensor()
    (2.0, 5.0)
    """
    last = 0
    primed = False

    def sensor() -> float:
        nonlocal last, primed
        if not primed:
            last, primed = counter(), True
        now = counter()
        grown, last = now - last, now
        return float(grown)

    return sensor


def temperature() -> float:
    """Return the machine's first temperature sensor in °C."""
    first = next(iter(psutil.sensors_temperatures().values()))
    return float(first[0].current)
