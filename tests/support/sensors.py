"""The six kinds of sensors that the service promises to do well, made up; and what a method makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamnorm.engine.blocks.block import observe_block
from tests.support.engine import LIMITS, NOW, block_of, new

Array = npt.NDArray[np.floating]
READINGS = 50_000
CHANGE = 5_000
#: two levels, and rare activity, are judged once a few events have been seen
LEVELS_FROM, ALARMS_FROM, DRIFT_FROM = 3_000, 1_000, 2_000
WINDOW = 500


def sensors(seed: int = 0) -> dict[str, Array]:
    """Build the sensors up; noise of 1 but where said."""
    rng = np.random.default_rng(seed)
    t, uniform, noise = np.arange(READINGS), rng.random(READINGS), rng.normal(size=READINGS)
    return {
        "range 0-1": uniform,
        "range 0-255": 255.0 * uniform,
        "range 0-1e-6": 1e-6 * uniform,
        "constant": np.full(READINGS, 24.1),
        "constant after a change": np.where(t < CHANGE, 20.0 + noise, 24.1),
        "two-level": 1.0 * (rng.random(READINGS) < 0.5),
        "rarely active": 1.0 * (rng.random(READINGS) < 0.01),
        "drift, 1 in 1000": noise + t / 1_000,
        "drift, 1 in 20000": noise + t / 20_000,
    }


def normalized(method: str, given: dict[str, Array]) -> dict[str, Array]:
    """Observe sensors at once, as the features of one stream."""
    block = block_of(np.stack(list(given.values()), axis=1), tuple(given))
    ys = observe_block(new(method=method), block, NOW, LIMITS).values
    return dict(zip(given, ys.T, strict=True))


@dataclass(frozen=True)
class Figures:
    """How well a method did."""

    #: largest difference between the y of one sensor in three ranges
    ranges: float
    #: largest |y| of a constant
    constant: float
    #: readings after a change to a constant until y is exactly 0 for good
    settled: int
    #: root mean square of |y| − 1 of two levels half and half
    levels: float
    #: largest |y| at rest, and least y of an event
    rest: float
    event: float
    #: (offset, spread) of each drift, by windows: mean of |mean of y|; root mean square of (deviation of y − 1)
    drift: tuple[float, float]
    slow_drift: tuple[float, float]


def figures(method: str, seed: int = 0) -> Figures:
    """Let a method normalize all sensors at once, and judge what came of it."""
    given = sensors(seed)
    ys = normalized(method, given)
    ranges = np.stack([ys[name] for name in given if name.startswith("range")])
    active = given["rarely active"][ALARMS_FROM:] > 0.0
    alarms = ys["rarely active"][ALARMS_FROM:]
    after = ys["constant after a change"][CHANGE:]
    levels = np.abs(ys["two-level"][LEVELS_FROM:]) - 1.0
    return Figures(
        ranges=float(np.ptp(ranges, axis=0).max()),
        constant=float(np.abs(ys["constant"]).max()),
        settled=int(np.flatnonzero(after)[-1]) + 1,
        levels=float(np.sqrt((levels**2).mean())),
        rest=float(np.abs(alarms[~active]).max()),
        event=float(alarms[active].min()),
        drift=windows(ys["drift, 1 in 1000"]),
        slow_drift=windows(ys["drift, 1 in 20000"]),
    )


def windows(ys: Array) -> tuple[float, float]:
    """Return offset and spread."""
    cut = ys[DRIFT_FROM:].reshape(-1, WINDOW)
    return float(np.abs(cut.mean(axis=1)).mean()), float(np.sqrt(((cut.std(axis=1) - 1.0) ** 2).mean()))
