"""This machine's own sensors, as far as it has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psutil

UNITS = {"cpu": "%", "load": "", "memory": "MB", "received": "B", "sent": "B", "temperature": "°C"}


def readings() -> Iterator[dict[str, float]]:
    """Yield readings of the sensors that this machine has, without end; network traffic is since the last reading."""
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
    """Keep the sensors that can be read.

    >>> sorted(present({"cpu": lambda: 3.0, "fan": lambda: 1 / 0}))
    ['cpu']
    """
    return {name: sensor for name, sensor in sensors.items() if works(sensor)}


def works(sensor: Callable[[], float]) -> bool:
    """Try a sensor; psutil answers an absent one with whatever the system did: any error means absent."""
    try:
        sensor()
    except Exception:  # noqa: BLE001
        return False
    return True


def growth(counter: Callable[[], int]) -> Callable[[], float]:
    """Build a sensor of what a counter grew by since it was last read.

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
    """Return the first temperature that the machine knows."""
    first = next(iter(psutil.sensors_temperatures().values()))
    return float(first[0].current)
