"""Figures of docs/methods.md that explain rather than show a kind of sensor; drawn by `make pictures`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt

from streamnorm import Normalizer

Array = npt.NDArray[np.float64]

INK, GREY, RAW = "#1f2933", "#9aa5b1", "#52606d"
ONLINE, ADAPTIVE, SHORT = "#1f77b4", "#e8710a", "#a23b72"
HORIZONS = (8, 64, 1000)
DAY = 1440


def normalized(xs: Array, **config: Any) -> Array:
    """Normalize a sensor with the engine."""
    ys: Array = Normalizer(**config).observe_block(xs.reshape(-1, 1), features=["x"]).values[:, 0]
    return ys


def few_observations() -> Any:
    """Draw what too few observations do to y, and how noisy mean and deviation are by horizon."""
    xs = np.random.default_rng(0).normal(20.0, 2.0, size=600_000)
    drawn = plt.figure(figsize=(8.4, 5.2))
    above, below = drawn.subfigures(2, 1, height_ratios=(1, 1.05), squeeze=False)[:, 0]
    axes = above.subplots(1, 3, sharex=True, sharey=True)
    edges = np.linspace(-4.5, 4.5, 91)
    middle = (edges[1:] + edges[:-1]) / 2
    bell = np.exp(-(middle**2) / 2) / np.sqrt(2 * np.pi)
    for axis, horizon in zip(axes, HORIZONS, strict=True):
        ys = normalized(xs[:100_000], horizon=horizon)[10_000:]
        counts, _ = np.histogram(ys, edges, density=True)
        axis.stairs(counts, edges, fill=True, color=ONLINE, alpha=0.5)
        axis.plot(middle, bell, color=INK, linewidth=1)
        axis.set_title(f"horizon {horizon}")
        axis.set_xlabel("y")
        largest = np.sqrt(horizon - 1)
        axis.text(0.03, 0.93, f"|y| ≤ {largest:.1f}", transform=axis.transAxes, color=RAW, va="top")
    axes[0].set_ylabel("density")
    axes[2].text(0.99, 0.7, "line: by the\ntrue mean\nand deviation", transform=axes[2].transAxes, ha="right", va="top")
    axis = below.subplots()
    horizons = np.geomspace(4, 4096, 11)
    noise = np.array([noises(xs, horizon) for horizon in horizons]).T
    for values, name, color in zip(
        noise, ("of the mean", "of the standard deviation"), (ONLINE, ADAPTIVE), strict=True
    ):
        axis.loglog(horizons, values, "o-", color=color, linewidth=1.2, markersize=4, label=f"noise {name}")
    axis.loglog(
        horizons, 1 / np.sqrt(2 * horizons - 1), color=INK, linewidth=0.8, linestyle=":", label="1/√(2·horizon − 1)"
    )
    axis.set_xlabel("horizon, readings")
    axis.set_ylabel("in standard deviations")
    axis.set_xticks([4, 8, 16, 64, 256, 1000, 4096], labels=["4", "8", "16", "64", "256", "1000", "4096"])
    axis.minorticks_off()
    axis.set_yticks([0.01, 0.03, 0.1, 0.3], labels=["1 %", "3 %", "10 %", "30 %"])
    axis.grid(color=GREY, alpha=0.3, linewidth=0.5)
    axis.legend(frameon=False)
    return drawn


def noises(xs: Array, horizon: float) -> tuple[float, float]:
    """Return the standard deviations of mean and deviation, in those of the sensor."""
    past = Normalizer(horizon=horizon)
    means, stds = [], []
    for part in np.split(xs, 600):
        past.observe_block(part.reshape(-1, 1), features=["x"])
        today = past.normalize({"x": 20.0}, stats=True)
        means.append(today.mean["x"])
        stds.append(today.std["x"])
    settled = slice(200, None)
    return float(np.std(means[settled])) / 2.0, float(np.std(stds[settled])) / 2.0


def together() -> Any:
    """Draw sensors of different kinds that share a stream, before and after."""
    rng = np.random.default_rng(2)
    t = np.arange(6000)
    sensors = {
        "pressure, Pa": 101_300 + 60 * np.sin(2 * np.pi * t / 2800) + 20 * rng.normal(size=len(t)),
        "temperature, °C": 21 + 1.5 * np.sin(2 * np.pi * t / DAY) + 0.2 * rng.normal(size=len(t)),
        "motor, °C (warming)": 40 + t / 600 + 0.8 * rng.normal(size=len(t)),
        "vibration, m/s²": 0.004 * np.abs(rng.normal(size=len(t))) * np.where(t % 2000 < 1000, 1, 3),
        "door": np.repeat(rng.random(60) < 0.5, 100) * 1.0,
        "supply, V (constant)": np.full(len(t), 24.0),
    }
    normalizer = Normalizer(method="adaptive")
    ys = normalizer.observe_block(np.stack(list(sensors.values()), axis=1), features=list(sensors)).values
    drawn, axes = plt.subplots(len(sensors), 2, figsize=(8.4, 6.4), sharex=True)
    for (name, xs), y, (left, right) in zip(sensors.items(), ys.T, axes, strict=True):
        left.plot(t, xs, ".", markersize=1.6, markeredgewidth=0, color=RAW, alpha=0.7)
        right.plot(t, y, ".", markersize=1.6, markeredgewidth=0, color=ADAPTIVE, alpha=0.7)
        right.axhline(0, color=GREY, linewidth=0.6)
        right.set_ylim(-4.5, 4.5)
        right.set_yticks([-3, 0, 3])
        left.set_title(name, fontsize=8, pad=2)
        left.ticklabel_format(useOffset=False)
    axes[0][0].set_title("before: six units\n" + next(iter(sensors)), fontsize=8, pad=2)
    axes[0][1].set_title("after: one scale, by adaptive\n ", fontsize=8, pad=2)
    for axis in axes[-1]:
        axis.set_xlim(0, len(t))
        axis.set_xlabel("reading")
    return drawn


def following() -> Any:
    """Draw a day's cycle, a ramp and a step through short memory, `adaptive` and `online`."""
    rng = np.random.default_rng(0)
    before, shown = 12_000, 6000
    t = np.arange(before + shown)
    noise = rng.normal(size=len(t))
    sensors = {
        "a day's cycle": (3 * np.sin(2 * np.pi * t / DAY) + 0.5 * noise, "cycle"),
        "a ramp, 1 σ in 500 readings": (noise + t / 500, "ramp"),
        "a step of 10 σ": (noise + 10.0 * (t >= before + 1000), "step"),
    }
    ways: dict[str, tuple[str, dict[str, Any]]] = {
        "`adaptive`, T = 16": (SHORT, {"method": "adaptive", "horizon": 16}),
        "`adaptive`, T = 1000": (ADAPTIVE, {"method": "adaptive"}),
        "`online`, T = 1000": (ONLINE, {}),
    }
    drawn, axes = plt.subplots(len(ways) + 1, len(sensors), figsize=(8.4, 6.6), sharex=True)
    for column, (title, (xs, kind)) in zip(axes.T, sensors.items(), strict=True):
        column[0].set_title(title)
        dots(column[0], xs[before:], RAW)
        for axis, (color, config) in zip(column[1:], ways.values(), strict=True):
            ys = normalized(xs, **config)[before:]
            dots(axis, ys, color)
            axis.axhline(0, color=GREY, linewidth=0.6)
            axis.set_ylim(-5.5, 5.5)
            axis.set_yticks([-4, 0, 4])
            axis.text(
                0.98, 0.04, told(kind, xs[before:], ys), transform=axis.transAxes, ha="right", va="bottom", fontsize=8
            )
        column[-1].set_xlabel("reading")
        column[-1].set_xlim(0, shown)
    axes[0][0].set_ylabel("raw")
    for axis, (name, (color, _)) in zip(axes[1:, 0], ways.items(), strict=True):
        axis.set_ylabel(name.replace("`", ""), color=color)
    return drawn


def dots(axis: Any, values: Array, color: str) -> None:
    """Draw a dot a reading."""
    axis.plot(values, ".", markersize=1.6, markeredgewidth=0, color=color, alpha=0.5)


def told(kind: str, xs: Array, ys: Array) -> str:
    """Say in words and a figure what became of a sensor."""
    if kind == "cycle":
        return f"corr(x, y) {np.corrcoef(xs, ys)[0, 1]:.2f}"
    if kind == "ramp":
        return f"mean of y at the end {ys[-2000:].mean():+.2f}"
    smooth = np.convolve(ys[1000:], np.full(100, 0.01), "valid")
    far = np.flatnonzero(np.abs(smooth) > 0.5)
    return f"within 0.5 after {far[-1] + 1 if len(far) else 0}"


FIGURES: dict[str, Callable[[], Any]] = {
    "few-observations": few_observations,
    "together": together,
    "following": following,
}
