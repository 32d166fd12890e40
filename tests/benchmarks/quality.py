"""How well each method normalizes, sensor by sensor: `python -m tests.benchmarks.quality`.

For sensors made up (20 000 readings each) and an office room's (tests/support/office.py), and each method:

- offset: mean over windows of 500 readings of |mean of y in the window|; 0 is best, noise alone gives 0.036;
- spread: root mean square over the windows of (standard deviation of y − 1);
- score: mean log-density in nats of each reading under the normal density with the mean and standard deviation *before*
  it, from the 33rd reading on; more is better. A recording's variances get resolution²/12 added, the resolution being
  the least difference between two of its values, for they stand still for hours;
- less best: score minus that of the fixed horizon 2⁴ … 2¹⁴ that, as seen afterwards, was the best.

`adaptive` also has the score of its own prediction: the mixture of its horizons' normal densities, weighted by its
trust in them before the reading.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from streamnorm.kernels.method import Method
from streamnorm.kernels.methods import adaptive
from streamnorm.kernels.methods.online import ONLINE
from streamnorm.kernels.methods.online_2019 import ONLINE_2019
from tests.support.office import office_room

preprocessing: Any = importlib.import_module("river.preprocessing") if importlib.util.find_spec("river") else None

Array = npt.NDArray[np.float64]
READINGS = 20_000
WINDOW = 500
WARMUP = 32
HORIZONS = 11
LEAST = 1e-300  # a variance of 0 has no density


@dataclass
class Run:
    """What a method made of a sensor: y, and the mean and variance that it predicted each reading by."""

    name: str
    ys: list[float] = field(default_factory=list)
    means: list[float] = field(default_factory=list)
    variances: list[float] = field(default_factory=list)
    density: Array | None = None

    def add(self, y: float, mean: float, variance: float) -> None:
        """Note one reading."""
        self.ys.append(y)
        self.means.append(mean)
        self.variances.append(variance)

    def score(self, xs: Array, noise: float) -> float:
        """Return the mean log-density of the readings."""
        if self.density is not None:
            return float(self.density[WARMUP:].mean())
        return float(log_normal(xs, np.array(self.means), np.array(self.variances) + noise)[WARMUP:].mean())

    def windows(self) -> tuple[float, float]:
        """Return offset and spread."""
        whole = len(self.ys) // WINDOW * WINDOW
        cut = np.array(self.ys[:whole]).reshape(-1, WINDOW)
        return float(np.abs(cut.mean(axis=1)).mean()), float(np.sqrt(((cut.std(axis=1) - 1.0) ** 2).mean()))


class Judged(NamedTuple):
    """How well a method did by a sensor."""

    name: str
    offset: float
    spread: float
    score: float
    less: float


def log_normal(x: Array, mean: Array, variance: Array) -> Array:
    """Return the log-density of normal distributions."""
    variance = np.maximum(variance, LEAST)
    result: Array = -0.5 * (np.log(2 * np.pi * variance) + (x - mean) ** 2 / variance)
    return result


def made_up() -> dict[str, Array]:
    """Build the sensors up; noise of 1 but where said."""
    rng = np.random.default_rng(0)
    noise, t = rng.normal(size=READINGS), np.arange(READINGS)
    late = t >= READINGS // 2
    return {
        "stationary": noise,
        "step of 10": noise + 10.0 * late,
        "scale times 10": noise * np.where(late, 10.0, 1.0),
        "ramp, 1 in 1000": noise + t / 1000,
        "ramp, 1 in 100": noise + t / 100,
        "random walk": np.cumsum(rng.normal(size=READINGS)),
        "slow sine": noise + 5.0 * np.sin(2 * np.pi * t / 4000),
        "heavy tails": rng.standard_t(3, size=READINGS),
    }


def resolution(xs: Array) -> float:
    """Return the least difference between two values, rounding apart."""
    gaps = np.diff(np.unique(xs))
    return float(gaps[gaps > 1e-9 * np.ptp(xs)].min())


def run(method: Method, xs: Array, lam: float, name: str) -> Run:
    """Run a sensor through a method."""
    result = Run(name)
    p = method.parameters().pack()
    state = [0.0] * method.size(p)
    for x in xs.tolist():
        mean, std = method.spread(p, state, 0)
        result.add(method.step(x, 0.0, lam, 1.0, math.inf, p, state, 0)[0], mean, std * std)
    return result


def run_adaptive(xs: Array, noise: float) -> Iterator[Run]:
    """Run a sensor through `adaptive`, and note each reading's density in its mixture."""
    result, mixture = Run("adaptive"), Run("adaptive, its mixture")
    state = [0.0] * adaptive.SIZE
    logs = []
    for x in xs.tolist():
        mean, std = adaptive.spread((), state, 0)
        _, means, variances, shares = np.array(state[: adaptive.MIXTURE]).reshape(-1, adaptive.STRIDE).T
        parts = log_normal(x, means, variances + noise) + np.log(np.maximum(shares, LEAST))
        logs.append(parts.max() + np.log(np.exp(parts - parts.max()).sum()))
        result.add(adaptive.step(x, 0.0, 1.0, 1.0, math.inf, (), state, 0)[0], mean, std * std)
    mixture.ys, mixture.density = result.ys, np.array(logs)
    yield result
    yield mixture


def run_river(xs: Array, name: str, make: Callable[[], Any]) -> Run:
    """Run a sensor through one of river's scalers."""
    result, scaler = Run(f"river {name}"), make()

    def today(values: Any) -> float:
        value = values.get("x", 0.0)
        return float(value.get() if hasattr(value, "get") else value) or 0.0

    for x in xs.tolist():
        mean, variance = today(scaler.means), max(today(scaler.vars), 0.0)
        scaler.learn_one({"x": x})
        result.add(float(scaler.transform_one({"x": x})["x"]), mean, variance)
    return result


def runs(xs: Array, noise: float) -> Iterator[Run]:
    """Run a sensor through everything."""
    for k in range(4, 4 + HORIZONS):
        yield run(ONLINE, xs, 1.0 - 2.0**-k, f"online, horizon {2**k}")
    yield from run_adaptive(xs, noise)
    yield run(ONLINE_2019, xs, 1.0, "online-2019")
    if preprocessing is not None:
        yield run_river(xs, "StandardScaler", preprocessing.StandardScaler)
        yield run_river(xs, "AdaptiveStandardScaler", preprocessing.AdaptiveStandardScaler)


def judged(xs: Array, noise: float) -> list[Judged]:
    """Judge all that a sensor ran through."""
    results = list(runs(xs, noise))
    scores = [result.score(xs, noise) for result in results]
    best = max(scores[:HORIZONS])
    return [
        Judged(result.name, *result.windows(), score, score - best)
        for result, score in zip(results, scores, strict=True)
    ]


def best_of(found: list[Judged]) -> Judged:
    """Return the fixed horizon that was the best."""
    return max(found[:HORIZONS], key=lambda each: each.score)


def summary(sensors: dict[str, list[Judged]]) -> Iterator[str]:
    """Sum up in Markdown: first the scores less the best, then offset and spread."""
    names = ["online, horizon 1024", *(each.name for each in next(iter(sensors.values()))[HORIZONS:])]
    head = f"| sensor | best fixed horizon | {' | '.join(names)} |\n|{' --- |' * (len(names) + 2)}\n"
    tells: tuple[Callable[[Judged], str], ...] = (
        lambda each: f"{each.less:+.3f}" if abs(each.less) < 10 else f"{each.less:+.0f}",
        lambda each: f"{each.offset:.2f}, {each.spread:.2f}",
    )
    for tell in tells:
        yield "\n" + head
        for sensor, found in sensors.items():
            best, cells = best_of(found), [tell(each) for each in found if each.name in names]
            first = best.name.removeprefix("online, horizon ") + (f": {tell(best)}" if tell is tells[1] else "")
            yield f"| {sensor} | {first} | {' | '.join(cells)} |\n"


def main() -> None:
    """Print the whole table, then its summary."""
    out = sys.stdout.write
    if preprocessing is None:
        out("river is not installed, so its scalers are left out.\n")
    recorded = {f"office room, {name}": xs for name, xs in office_room().items()}
    sensors: dict[str, list[Judged]] = {}
    for sensor, xs in (made_up() | recorded).items():
        sensors[sensor] = judged(xs, resolution(xs) ** 2 / 12 if sensor in recorded else 0.0)
        best = best_of(sensors[sensor])
        out(f"\n{sensor:35} {'offset':>8} {'spread':>8} {'score':>13} {'less best':>13}\n")
        for each in sensors[sensor]:
            figures = f"{each.offset:8.3f} {each.spread:8.3f} {each.score:13.4f} {each.less:+13.4f}"
            out(f"  {each.name:32}{'*' if each is best else ' '} {figures}\n")
    for text in summary(sensors):
        out(text)


if __name__ == "__main__":
    main()
