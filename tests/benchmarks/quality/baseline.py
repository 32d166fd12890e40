"""How well a baseline is removed: offsets on ramps and walks, and how soon a step is believed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tests.benchmarks.quality.contenders import CONTENDERS, Array, Contender
from tests.benchmarks.quality.data import Data
from tests.benchmarks.quality.report import Goal, Part, at_most, table

READINGS, WINDOW, SEEDS, STEPS = 20_000, 500, 4, 20
SPANS = (16.0, 256.0, 1000.0)
TIME = np.arange(READINGS)
SHAPES: dict[str, Callable[[Array], Array]] = {
    "noise": lambda noise: noise,
    "ramp, 1 in 1000": lambda noise: noise + TIME / 1000,
    "ramp, 1 in 100": lambda noise: noise + TIME / 100,
    "random walk": np.cumsum,
}
OFFSET, WALK, BACK = 0.04, 0.06, 1.4
NEAR = 0.3


def offset(normalize: Contender, span: float, shape: Callable[[Array], Array]) -> float:
    """Return the mean of |mean of y in a window|, from the 2000th reading on; noise alone gives 0.036."""
    found = []
    for seed in range(SEEDS):
        ys = normalize(shape(np.random.default_rng(seed).normal(size=READINGS)), span)[2000:]
        found.append(np.abs(ys.reshape(-1, WINDOW).mean(axis=1)).mean())
    return float(np.mean(found))


def back(normalize: Contender, span: float) -> tuple[float, float]:
    """Return after how many T the offset of a step of 10 is first, and for good, within 0.3; infinite for never.

    Of the mean of 20 runs, smoothed over T/16.
    """
    before, after, smooth = round(8 * span) + 3000, round(6 * span), max(4, round(span / 16))
    runs = []
    for seed in range(STEPS):
        xs = np.random.default_rng(seed).normal(size=before + after)
        xs[before:] += 10.0
        runs.append(normalize(xs, span)[before:])
    far = np.abs(np.convolve(np.mean(runs, axis=0), np.full(smooth, 1 / smooth), "valid")) > NEAR
    if far[-1]:
        return math.inf if far.all() else float(np.argmin(far)) / span, math.inf
    return float(np.argmin(far)) / span, float(np.flatnonzero(far)[-1] + 1) / span


def measure(_data: Data) -> Part:
    """Measure every contender at the default T, and ours at three."""
    everyone = [(name, normalize, SPANS[-1]) for name, normalize in CONTENDERS.items()]
    ours = [(name, CONTENDERS[name], span) for name in ("`online`", "`adaptive`") for span in SPANS]
    texts, goals = [], list[Goal]()
    for measured in (everyone, ours):
        rows = []
        for name, normalize, span in measured:
            offsets = {what: offset(normalize, span, shape) for what, shape in SHAPES.items()}
            first, good = back(normalize, span)
            steps = "never" if math.isinf(first) else f"{first:.1f} T, {good:.1f} T".replace("inf T", "later")
            rows.append((name, f"{span:g}", *(f"{value:.3f}" for value in offsets.values()), steps))
            if measured is ours and name == "`adaptive`":
                goals += [at_most(f"offset, {what}, T = {span:g}", offsets[what], OFFSET) for what in list(SHAPES)[:3]]
                goals += [at_most(f"offset, random walk, T = {span:g}", offsets["random walk"], WALK)] * (span == 16)
                goals.append(at_most(f"after a step first within 0.3, T = {span:g}", first, BACK))
        head = ("offset", "T", *SHAPES, "after a step of 10 σ within 0.3, first and for good")
        texts.append(table(head, rows))
    return Part("baseline", "\n".join(texts), goals)
