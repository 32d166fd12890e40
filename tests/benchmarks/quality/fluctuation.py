"""How much of a daily cycle is kept: corr(y, x less its centred mean over the day L)."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.quality.contenders import CONTENDERS, Array
from tests.benchmarks.quality.data import Data
from tests.benchmarks.quality.report import Goal, Part, at_least, table

DEFAULT = 1000.0
#: what a mean over a day leaves of it
SLACK = 0.03
KEPT = 0.95


def centred(xs: Array, length: int) -> Array:
    """Return readings less their mean over the day around them."""
    sums = np.concatenate([[0.0], np.cumsum(xs - xs.mean())])
    places = np.arange(len(xs))
    begin, end = np.maximum(places - length // 2, 0), np.minimum(places + length - length // 2, len(xs))
    result: Array = xs - xs.mean() - (sums[end] - sums[begin]) / (end - begin)
    return result


def kept(ys: Array, xs: Array, length: int) -> float:
    """Return how much of the fluctuation within a day is kept, from the third day on."""
    return float(np.corrcoef(ys[2 * length :], centred(xs, length)[2 * length :])[0, 1])


def measure(data: Data) -> Part:
    """Measure at T = L/4 and at the default."""
    cycles = data.cycles()
    texts, goals = [], list[Goal]()
    for quarter in (True, False):
        found = {
            name: [kept(normalize(xs, day / 4 if quarter else DEFAULT), xs, day) for xs, day in cycles.values()]
            for name, normalize in CONTENDERS.items()
        }
        span = "a quarter of the day" if quarter else f"{DEFAULT:g} readings"
        rows = [(name, *(f"{value:.2f}" for value in values)) for name, values in found.items()]
        texts.append(f"T = {span}:\n\n" + table((f"kept, T = {span}", *cycles), rows))
        for sensor, ours, online in zip(cycles, found["`adaptive`"], found["`online`"], strict=True):
            goals.append(at_least(f"cycle kept beyond `online`, {sensor}, T = {span}", ours - online, -SLACK))
        if not quarter:
            goals.append(at_least("made-up cycle kept at the default", found["`adaptive`"][0], KEPT))
    return Part("fluctuation", "\n".join(texts), goals)
