"""Obvious, slow twins of the methods, straight from the formulas: the oracles of their tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def batch(xs: Sequence[float], window: int) -> Array:
    """Return each reading's z-score within the last `window` readings."""
    ys = np.zeros(len(xs))
    for i, x in enumerate(xs):
        recent = np.array(xs[max(0, i + 1 - window) : i + 1])
        if recent.min() < recent.max():
            ys[i] = (x - recent.mean()) / recent.std()
    return ys


def batch_renorm(xs: Sequence[float], window: int, momentum: float, r_max: float, d_max: float) -> Array:
    """Return Batch Renormalization's outputs over a sliding batch, its moving averages corrected for their start."""
    ys = np.zeros(len(xs))
    means: list[float] = []
    stds: list[float] = []
    for i, x in enumerate(xs):
        recent = np.array(xs[max(0, i + 1 - window) : i + 1])
        mean, std = float(recent.mean()), float(recent.std())
        weights = (1.0 - momentum) ** np.arange(len(means))[::-1]
        if std > 0.0:
            r, d = 1.0, 0.0
            if sum(stds) > 0.0:
                moving_mean, moving_std = np.average(means, weights=weights), np.average(stds, weights=weights)
                r = np.clip(std / moving_std, 1.0 / r_max, r_max)
                d = np.clip((mean - moving_mean) / moving_std, -d_max, d_max)
            ys[i] = (x - mean) / std * r + d
        means.append(mean)
        stds.append(std)
    return ys


def streaming(xs: Sequence[float], period: int, fold: float, mix: float, order: int) -> Array:
    """Return Streaming Normalization's outputs, a period's readings and deviations kept as lists."""
    ys = np.zeros(len(xs))
    long: tuple[float, float] | None = None
    readings: list[float] = []
    powers: list[float] = []
    for i, x in enumerate(xs):
        readings.append(x)
        short_mean = float(np.mean(readings))
        mean = short_mean if long is None else (1.0 - mix) * long[0] + mix * short_mean
        powers.append(abs(x - mean) ** order)
        short_moment = float(np.mean(powers))
        moment = short_moment if long is None else (1.0 - mix) * long[1] + mix * short_moment
        if moment > 0.0:
            ys[i] = (x - mean) / moment ** (1.0 / order)
        if len(readings) == period:
            short = (short_mean, short_moment)
            long = short if long is None else _between(long, short, fold)
            readings, powers = [], []
    return ys


def _between(a: tuple[float, float], b: tuple[float, float], share: float) -> tuple[float, float]:
    return (1.0 - share) * a[0] + share * b[0], (1.0 - share) * a[1] + share * b[1]


def online(xs: Array, horizon: float) -> tuple[Array, Array]:
    """Return the weighted mean and variance of each beginning of `xs`."""
    means, variances = np.zeros(len(xs)), np.zeros(len(xs))
    for i in range(len(xs)):
        weights = (1.0 - 1.0 / horizon) ** np.arange(i + 1)[::-1]
        means[i] = np.average(xs[: i + 1], weights=weights)
        variances[i] = np.average((xs[: i + 1] - means[i]) ** 2, weights=weights)
    return means, variances


def adaptive(xs: Array) -> Array:
    """Return the z-scores of the bank of horizons, trust in logarithms, all horizons at once."""
    bank = [online(xs, 2.0**k) for k in range(4, 15)]
    means, variances = (np.stack(part, axis=1) for part in zip(*bank, strict=True))
    prior = 4.0 ** np.arange(len(bank)) / sum(4.0 ** np.arange(len(bank)))
    trust = prior
    ys = np.zeros(len(xs))
    mixed = 0.0
    for i, x in enumerate(xs):
        if mixed > 0.0 and x != xs[i - 1]:
            u = variances[i - 1] / mixed + 1 / 128
            log_trust = np.log(trust) - np.log(u) / 2 - 4.5 * np.log1p((x - means[i - 1]) ** 2 / (8 * mixed * u))
            trust = np.exp(log_trust - log_trust.max())
            trust = (1 - 2**-13) * trust / trust.sum() + 2**-13 * prior
        w = trust**2 / (trust**2).sum()
        mean = (w * means[i]).sum()
        mixed = float((w * (variances[i] + (means[i] - mean) ** 2)).sum())
        if mixed > 0.0:
            ys[i] = (x - mean) / np.sqrt(mixed)
    return ys
