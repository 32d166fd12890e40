"""How well the next reading is foreseen: the mean log-density, in nats a reading, less that of the best fixed horizon.

The best of `online` with the horizons T, 2T … 128T is picked afterwards, series by series. A recording's variances get
resolution²/12 added, the resolution being the least difference between two of its values, for they stand still for
hours. No reading counts less than −50: else one jump out of a rest decides.
"""

from __future__ import annotations

import math

import numpy as np

from streamnorm.kernels.methods import adaptive_bank as bank
from streamnorm.kernels.methods.adaptive import ADAPTIVE
from streamnorm.kernels.methods.online import ONLINE
from tests.benchmarks.quality.contenders import Array
from tests.benchmarks.quality.data import Data
from tests.benchmarks.quality.report import Part, at_least, table

SPANS = (16.0, 256.0, 1000.0)
WARMUP, HORIZONS = 32, 8
LEAST, WORST = 1e-300, -50.0


def log_normal(x: Array, mean: Array, variance: Array) -> Array:
    """Return the log-density of normal distributions."""
    variance = np.maximum(variance, LEAST)
    result: Array = -0.5 * (np.log(2 * np.pi * variance) + (x - mean) ** 2 / variance)
    return result


def mean_of(densities: Array) -> float:
    """Return the mean from the warmup on."""
    return float(np.maximum(densities[WARMUP:], WORST).mean())


def resolution(xs: Array) -> float:
    """Return the least difference between two values, rounding apart."""
    gaps = np.diff(np.unique(xs))
    return float(gaps[gaps > 1e-9 * np.ptp(xs)].min())


def fixed(xs: Array, span: float, noise: float) -> float:
    """Return the score of `online`."""
    state = [0.0] * 3
    found = []
    for x in xs.tolist():
        found.append((state[1], state[2]))
        ONLINE.step(x, 0.0, 1.0 - 1.0 / span, 1.0, math.inf, (), state, 0)
    means, variances = np.array(found).T
    return mean_of(log_normal(xs, means, variances + noise))


def mixture(xs: Array, span: float, noise: float) -> tuple[float, float]:
    """Return the score of `adaptive`'s horizons and trends by their trust, and of its one mean and deviation."""
    p = bank.AdaptiveParameters(horizon=span).pack()
    state = [0.0] * ADAPTIVE.size(p)
    before = []
    for x in xs.tolist():
        before.append(state[:])
        ADAPTIVE.step(x, 0.0, 1.0 - 1.0 / span, 1.0, math.inf, p, state, 0)
    states = np.array(before).T
    common, parts = states[-bank.COMMON :], []
    with np.errstate(divide="ignore"):
        for at in range(0, len(states) - bank.COMMON, bank.STRIDE):
            mean, variance, age, trust = states[[at + bank.MEAN, at + bank.VARIANCE, at + bank.AGE, at + bank.TRUST]]
            parts.append(log_normal(xs, mean, variance + noise) + np.log(common[bank.KEEP] * trust))
            if at + bank.WITHOUT_TREND < len(states) - bank.COMMON:
                error, trust, slope = states[[at + bank.ERROR, at + bank.TREND_TRUST, at + bank.SLOPE]]
                ahead = mean + slope * (age + 1.0 / span)
                parts.append(log_normal(xs, ahead, error + noise) + np.log(common[bank.KEEP] * trust))
    whole = np.logaddexp.reduce(np.array(parts), axis=0)
    single = log_normal(xs, common[bank.MIXED], common[bank.MIXED_VARIANCE] + noise)
    return mean_of(whole), mean_of(single)


def measure(data: Data) -> Part:
    """Measure every series at three T."""
    rows, goals = [], []
    for group, series in data.groups().items():
        for span in SPANS:
            found = []
            for xs in series:
                noise = 0.0 if group == "made up" else resolution(xs) ** 2 / 12
                scores = [fixed(xs, span * 2**k, noise) for k in range(HORIZONS)]
                found.append([score - max(scores) for score in (*mixture(xs, span, noise), scores[0])])
            figures = np.mean(found, axis=0)
            rows.append((group, f"{span:g}", *(f"{value:+.3f}" for value in figures)))
            goals.append(at_least(f"prediction beyond the best fixed horizon, {group}, T = {span:g}", figures[0], 0.0))
    head = ("prediction", "T", "`adaptive`, its mixture", "`adaptive`, mean and deviation", "`online`")
    return Part("prediction", table(head, rows), goals)
