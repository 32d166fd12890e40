"""Obvious, slow twins of the methods, straight from the formulas: the oracles of their tests."""

from __future__ import annotations

import math
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


def adaptive(xs: Sequence[float], horizon: float) -> Array:  # noqa: C901, PLR0912, PLR0915 - formulas, one after another
    """Return the z-scores of the bank of horizons and trends: weights reading by reading, trust in logarithms."""
    count = 3
    while horizon * 4 ** (count - 1) < 16_000:
        count += 1
    reach = horizon * 4.0 ** np.arange(count)
    shares = np.concatenate([np.ones(count), np.full(count - 1, 0.25)])
    shares /= shares.sum()
    weights = np.zeros((count, 0))
    errors = [np.zeros(count - 1)]  # squares of the trends' errors, and how much each counts
    error_weights = np.ones((count - 1, 1))
    trust, ys, evidence = shares, np.zeros(len(xs)), xs[0]
    mixed = variance = new_one = 0.0
    deviations, counts = [0.0], np.ones(1)  # squares of what the mixture's mean left, and how much each counts
    slope, learned = np.zeros(count - 1), np.zeros(0)
    for i, given in enumerate(xs):
        x, decay = given, 1.0 - 1.0 / reach
        if i:
            mean, spread, age = _weighed(weights, learned, horizon)
            wild = variance > 0.0 and (given - mixed) ** 2 > 4.0 * (weights[0].sum() + 32) * variance
            if wild:
                x = mixed + math.copysign(2.0 * math.sqrt((weights[0].sum() + 32) * variance), given - mixed)
            off = np.concatenate([x - mean, x - mean[:-1] - slope * (age[:-1] + 1.0 / horizon)])
            if variance > 0.0:
                squares = _average(np.array(errors).T, error_weights)
                if (given - evidence) ** 2 > 2**-20 * variance:
                    u = np.concatenate([spread, squares]) / variance + 1 / 128
                    log_trust = np.log((1 - 2**-10) * trust + 2**-10 * shares)
                    log_trust += -np.log(u) / 2 - 4.5 * np.log1p(off**2 / (4 * variance * u))
                    log_trust[count] += math.log(0.8)
                    trust, evidence = np.exp(log_trust - log_trust.max()), given
                else:
                    others = (1 - 1 / horizon) * trust + 2**-10 / horizon * shares
                    trust = np.concatenate([trust[:1], others[1:]])
                trust /= trust.sum()
            else:
                evidence = given
            if weights[0].sum() < 32:
                decay[0] = min(decay[0], 1 - 5 / 6 / weights[0].sum())
            new = 1.0 / (decay * weights.sum(axis=1) + 1.0)
            errors.append(off[count:] ** 2)
            error_weights = np.column_stack([error_weights * (1 - new[:-1, None]), new[:-1]])
        weights, learned = np.column_stack([weights * decay[:, None], np.ones(count)]), np.append(learned, x)
        before = mixed, variance
        mean, spread, age = _weighed(weights, learned, horizon)
        apart = np.diff(age)
        apart = np.maximum(apart, age[:-1] / 12)
        slope = (mean[:-1] - mean[1:]) / np.where(apart > 0, apart, 1)
        level = np.concatenate([mean, mean[:-1] + slope * age[:-1]])
        weight = trust**2 / (trust**2).sum()
        mixed = float((weight * level).sum())
        if i:
            rise = float((weight[count:] * (slope / horizon) ** 2).sum())
            deviations.append((x - mixed) ** 2 + rise)
            nearer, farther = 1.0 / weights[:2].sum(axis=1)
            new_one = nearer if nearer > 1 / 32 else 0.375 * nearer + 0.625 * farther
            counts = np.append(counts * (1 - new_one), new_one)
            variance = float(np.average(deviations, weights=counts))
        if min(learned) == max(learned):
            mixed, variance, slope = x, 0.0, np.zeros(count - 1)
        if given != x:
            gains = 1.0 / weights.sum(axis=1)
            gain = float((weight * np.concatenate([gains, gains[:-1]])).sum())
            off_all = given - before[0]
            left = (1 - gain) * off_all
            ys[i] = left / math.sqrt((1 - new_one) * before[1] + new_one * left**2)
        elif variance > 0.0:
            ys[i] = (x - mixed) / math.sqrt(variance)
    return ys


def _weighed(weights: Array, xs: Array, horizon: float) -> tuple[Array, Array, Array]:
    """Return each horizon's mean, variance and mean age, in units of T."""
    mean = _average(xs, weights)
    return mean, _average((xs - mean[:, None]) ** 2, weights), _average(np.arange(len(xs))[::-1] / horizon, weights)


def _average(values: Array, weights: Array) -> Array:
    average: Array = (values * weights).sum(axis=1) / weights.sum(axis=1)
    return average
