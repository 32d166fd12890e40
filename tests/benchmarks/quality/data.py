"""What quality is measured on: recordings from a folder, or made-up sensors of the same character.

The folder holds `office_room.csv` (L. M. Candanedo and V. Feldheim 2016: a room, a reading a minute), `nab/` (A. Lavin
and S. Ahmad 2015: series as `<folder>__<file>.csv.gz`, the windows of their anomalies in `windows.json`), and
`etth1.csv.gz` (H. Zhou et al. 2021: an electricity transformer, a reading an hour).
"""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
#: first and last reading of an anomaly
Window = tuple[int, int]
MINUTES, HOURS, FIVES = 1440, 24, 288
DAYS = 14


@dataclass(frozen=True)
class Data:
    """Sensors by what is asked of them."""

    where: str
    #: the columns of a room, `occupancy` among them
    room: dict[str, Array]
    #: hourly loads and an oil temperature
    transformer: dict[str, Array]
    #: series with the windows of their anomalies
    anomalies: dict[str, tuple[Array, list[Window]]]
    #: a machine's temperature, every five minutes
    machine: Array

    def cycles(self) -> dict[str, tuple[Array, int]]:
        """Return the sensors that follow a day, with its length in readings."""
        rng = np.random.default_rng(0)
        t = np.arange(40 * 1000)
        walk = np.cumsum(rng.normal(size=len(t)))
        made = np.sin(2 * np.pi * t / MINUTES) + 0.3 * rng.normal(size=len(t)) + 0.003 * walk
        room = {f"room, {name}": (self.room[name], MINUTES) for name in ("temperature", "humidity", "co2")}
        recorded = {"machine": (self.machine, FIVES), "oil": (self.transformer["OT"], HOURS)}
        return {"made up": (made, MINUTES)} | room | recorded

    def groups(self) -> dict[str, list[Array]]:
        """Return all series, by where they come from."""
        return {
            "made up": list(made_up().values()),
            "room": list(self.room.values()),
            "transformer": list(self.transformer.values()),
            "anomalies": [xs for xs, _ in self.anomalies.values()],
        }


def made_up(readings: int = 20_000, seed: int = 0) -> dict[str, Array]:
    """Return sensors with a noise of 1."""
    rng = np.random.default_rng(seed)
    noise, t = rng.normal(size=readings), np.arange(readings)
    late = t >= readings // 2
    return {
        "noise": noise,
        "step of 10": noise + 10.0 * late,
        "scale times 10": noise * np.where(late, 10.0, 1.0),
        "ramp, 1 in 1000": noise + t / 1000,
        "ramp, 1 in 100": noise + t / 100,
        "random walk": np.cumsum(noise),
        "slow sine": noise + 5.0 * np.sin(2 * np.pi * t / 4000),
        "heavy tails": rng.standard_t(3, size=readings),
    }


def load(folder: Path | None) -> Data:
    """Read the recordings of a folder, or make sensors of their kinds up where none is named."""
    if folder is None:
        return invented()
    room = columns(folder / "office_room.csv")
    series = recorded_anomalies(folder / "nab")
    machine = next(xs for name, (xs, _) in series.items() if "machine_temperature" in name)
    return Data(f"the recordings in {folder.name}/", room, columns(folder / "etth1.csv.gz"), series, machine)


def columns(file: Path) -> dict[str, Array]:
    """Return the columns of a table but the first, which is its time."""
    text = gzip.decompress(file.read_bytes()).decode() if file.suffix == ".gz" else file.read_text()
    head, *rows = csv.reader(text.splitlines())
    table = np.array([row[1:] for row in rows], dtype=np.float64).T
    return dict(zip(head[1:], np.ascontiguousarray(table), strict=True))


def recorded_anomalies(folder: Path) -> dict[str, tuple[Array, list[Window]]]:
    """Return the series of the Numenta Anomaly Benchmark, with the windows of their anomalies."""
    found = {}
    for name, windows in json.loads((folder / "windows.json").read_text()).items():
        text = gzip.decompress((folder / f"{name.replace('/', '__')}.gz").read_bytes()).decode()
        rows = list(csv.DictReader(text.splitlines()))
        times = [datetime.fromisoformat(row["timestamp"]) for row in rows]
        spans = [tuple(datetime.fromisoformat(time) for time in window) for window in windows]
        inside = [[place for place, time in enumerate(times) if begin <= time <= end] for begin, end in spans]
        xs = np.array([float(row["value"]) for row in rows])
        found[name] = xs, [(places[0], places[-1]) for places in inside]
    return found


def invented(seed: int = 0) -> Data:
    """Make up a room, a transformer, a machine, and series with anomalies."""
    rng = np.random.default_rng(seed)
    t = np.arange(DAYS * MINUTES)
    day = np.sin(2 * np.pi * (t / MINUTES - 0.25))
    at_work = (t % MINUTES > 8 * 60) & (t % MINUTES < 18 * 60) & (t // MINUTES % 7 < 5)
    occupancy = at_work & (np.convolve(rng.random(len(t)) < 0.01, np.ones(60), "same") > 0)
    co2 = 420 + np.convolve(occupancy * 8.0, np.exp(-np.arange(300) / 60), "full")[: len(t)]
    drift = np.cumsum(rng.normal(size=len(t))) / 200
    warm = 21 + 0.8 * day + drift + np.convolve(occupancy * 0.02, np.exp(-np.arange(400) / 90), "full")[: len(t)]
    humid = 27 - 0.5 * day + np.cumsum(rng.normal(size=len(t))) / 60 + (co2 - 420) / 200
    room = {
        "temperature": np.round(warm + 0.05 * rng.normal(size=len(t)), 2),
        "humidity": np.round(humid + 0.05 * rng.normal(size=len(t)), 2),
        "light": np.round(np.maximum(day, 0) * 300 + occupancy * 200.0),
        "co2": np.round(co2 + 3 * rng.normal(size=len(t))),
        "humidity_ratio": np.round((humid + 0.05 * rng.normal(size=len(t))) * (1 + 0.06 * (warm - 21)) * 1.5e-4, 8),
        "occupancy": occupancy * 1.0,
    }
    hours = np.arange(17_000)
    daily = np.sin(2 * np.pi * hours / HOURS)
    transformer = {
        name: 10 + (2 + j) * daily + np.cumsum(rng.normal(size=len(hours))) * 0.3 + rng.normal(size=len(hours))
        for j, name in enumerate(("HUFL", "MUFL", "OT"))
    }
    series = {f"made up {n}": invented_anomalies(rng) for n in range(12)}
    fives = np.arange(40 * FIVES)
    machine = 85 + 6 * np.sin(2 * np.pi * fives / FIVES) + np.cumsum(rng.normal(size=len(fives))) * 0.15
    return Data("made-up sensors", room, transformer, series, machine + rng.normal(size=len(fives)))


def invented_anomalies(rng: np.random.Generator) -> tuple[Array, list[Window]]:
    """Make up a series of a fortnight, every five minutes, with two anomalies: a level, and a burst."""
    t = np.arange(DAYS * FIVES)
    xs = 50 + 10 * np.sin(2 * np.pi * t / FIVES) + 2 * rng.normal(size=len(t)) + np.cumsum(rng.normal(size=len(t))) / 20
    windows = []
    for nth, part in enumerate((0.45, 0.8)):
        at = int((part + 0.1 * rng.random()) * len(t))
        xs[at : at + 30] += 20.0 if nth else 12.0 * rng.normal(size=30)
        windows.append((at - 100, at + 100))
    return xs, windows
