"""A profile: what a stream knows of each of its features, and what kind of sensor that looks like."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from streamnorm.kernels import base_statistics as base

if TYPE_CHECKING:
    from streamnorm.engine.stream import Stream

Kind = Literal["warming", "constant", "stuck", "two-level", "rarely-active", "drifting", "continuous"]

#: (1 + skewness²)/kurtosis is 1 for a two-point distribution and less for every other (Pearson 1916): 0.33 for a
#: Gaussian, 0.55 for a uniform one, and 0.9 for two equal levels with noise of a twelfth of their distance.
TWO_LEVEL = 0.9
#: Kurtosis of two levels of which one is taken 5 % of the time; Laplace noise has 6, Gaussian 3.
RARELY = 18.0
#: Von Neumann ratio (1941) below which nine tenths of the variance move slowly; independent readings have 2.
SLOW = 0.2
#: Horizons without any change after which a sensor is stuck; one that rests at one of its ends is given longer.
STUCK, STUCK_AT_REST = 1.0, 10.0


@dataclass(frozen=True, slots=True)
class FeatureProfile:
    """What is known of one feature; numbers in its own unit, `skew` and `kurtosis` without one.

    `mean` and `std` are what the method normalizes by today, `weight` the effective number of readings within the
    horizon. None where there is nothing to tell: no reading yet, no spread, or the shape of a channel's values.
    """

    count: int
    missing: int
    mean: float | None
    std: float | None
    weight: float
    min: float | None
    max: float | None
    last: float | None
    skew: float | None
    kurtosis: float | None
    kind: Kind


def profile(stream: Stream) -> dict[str, FeatureProfile]:
    """Tell of each feature of a stream."""
    where = stream.layout
    return {
        name: _of(stream, name, stream.state[start : start + base.SIZE].tolist(), plain=not shape)
        for name, shape, start in zip(where.names, where.shapes, where.starts, strict=True)
    }


def _of(stream: Stream, name: str, block: list[float], *, plain: bool) -> FeatureProfile:
    count, missing, weight = int(block[base.COUNT]), int(block[base.MISSING]), block[base.WEIGHT]
    if not count:
        return FeatureProfile(0, missing, None, None, 0.0, None, None, None, None, None, "warming")
    mean, std = stream.mean_std(name)
    skew, kurtosis = shape_of(block) if plain else (None, None)
    horizon = stream.plan.config.horizon or weight
    return FeatureProfile(
        count=count,
        missing=missing,
        mean=mean,
        std=std,
        weight=weight,
        min=block[base.LOWEST],
        max=block[base.HIGHEST],
        last=block[base.LAST],
        skew=skew,
        kurtosis=kurtosis,
        kind=classify(block, skew, kurtosis, warmup=stream.plan.warmup, horizon=horizon),
    )


def shape_of(block: list[float]) -> tuple[float | None, float | None]:
    """Return skewness and kurtosis (3 for a Gaussian), or None where the spread is too small to have a shape.

    >>> half = [2.0, 0.5, 0.25, 0.0, 0.0625]
    >>> shape_of(half)
    (0.0, 1.0)
    """
    variance, third, fourth = block[base.VARIANCE], block[base.THIRD], block[base.FOURTH]
    square = variance * variance
    if square < math.ulp(0.0) / math.ulp(1.0):  # so small that its digits are lost
        return None, None
    return third / (variance * math.sqrt(variance)), fourth / square


def classify(block: list[float], skew: float | None, kurtosis: float | None, *, warmup: int, horizon: float) -> Kind:
    """Tell what kind of sensor a feature's numbers look like."""
    if block[base.COUNT] < warmup:
        return "warming"
    if block[base.LOWEST] == block[base.HIGHEST]:
        return "constant"
    two_level = skew is not None and kurtosis is not None and 1.0 + skew * skew >= TWO_LEVEL * kurtosis
    rarely = kurtosis is not None and kurtosis > RARELY
    at_rest = two_level or (rarely and block[base.LAST] in {block[base.LOWEST], block[base.HIGHEST]})
    if block[base.RUN] > (STUCK_AT_REST if at_rest else STUCK) * horizon or not block[base.VARIANCE]:
        return "stuck"
    if two_level:
        return "rarely-active" if rarely else "two-level"
    if block[base.SUCCESSIVE] < SLOW * block[base.VARIANCE]:
        return "drifting"
    return "rarely-active" if rarely else "continuous"
