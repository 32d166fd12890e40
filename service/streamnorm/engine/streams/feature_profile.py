"""A profile: what a stream knows of each of its features, and what kind of sensor that looks like."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from streamnorm.engine.configuration.preparation import INVALID
from streamnorm.engine.state.layout import TIME
from streamnorm.kernels import base_statistics as base

if TYPE_CHECKING:
    from streamnorm.engine.configuration.plan import Plan
    from streamnorm.engine.state.layout import Shape
    from streamnorm.engine.streams.stream import Stream

Kind = Literal[
    "warming",
    "constant",
    "stuck",
    "two-level",
    "rarely-active",
    "levels",
    "counter",
    "drifting",
    "continuous",
]

#: Horizons without any change after which a sensor is stuck; one that often rests is given longer.
STUCK, STUCK_AT_REST = 1.0, 10.0
#: share of readings that equal the one before, before the last one settled, of a sensor that often rests
RESTS = 0.3
#: Share of readings that equal the one before, and mean square of the other changes over the variance, of a sensor
#: that jumps between values it takes again and again: what is read in fine steps changes by little at a time.
REPEATS, JUMPS = 0.1, 0.4
#: Kurtosis below which two levels are about as frequent, and `base.TWO_LEVEL` of those: 0.78 where noise is an eighth
#: of their distance; a sine has 0.67. Pulses, which are less even, come to 0.89.
EVEN, EVEN_LEVELS = 2.5, 0.78
#: Least mean square of changes over the variance, times the horizon, of a sensor that jumped between its two levels, be
#: it once: what goes from one to the other step by step has less.
JUMPED = 1.0
#: Share of falls among changes of a counter: its resets.
RESETS = 0.02
#: Mean square of how far the level moves from one horizon to the next, over the variance: white noise has next to
#: nothing, a random walk 0.7, a ramp all of it, a sine of 1.5 horizons 0.1.
MOVES = 0.12
#: Von Neumann ratio (1941) below which nine tenths of the variance move slowly, independent readings have 2; and the
#: square of the way from where a sensor began, over the variance, that is no fluctuation any more.
SLOW, LEFT = 0.2, 0.3
#: Events within the horizon that are not a single outlier any more.
EVENTS = 1.5


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
    #: values out of the bounds that the configuration gives, or without a logarithm; among the missing ones.
    #: None where the configuration asks for neither
    invalid: int | None = None
    #: what was done to the values that all this is of, and the unit of the raw ones, as configured
    transform: str | None = None
    unit: str | None = None


def profile(stream: Stream, now: float | None = None) -> dict[str, FeatureProfile]:
    """Tell of each feature of a stream, at the service's time `now`; without it, as of the last reading."""
    where = stream.layout
    t = stream.state[TIME] if now is None else stream.today(now)
    found = {
        name: _of(stream, name, stream.state[start : start + base.SIZE].tolist(), stream.weight(start, t), shape)
        for name, shape, start in zip(where.names, where.shapes, where.starts, strict=True)
    }
    for source in where.sources:
        _, preparation, unit = stream.plan.of(source)
        if preparation is None and unit is None:
            continue
        memory = where.memory(source)
        invalid = None if memory is None else int(stream.state[memory + INVALID])
        transform = None if preparation is None else preparation.transform
        for name in (source,) if preparation is None else preparation.names(source):
            found[name] = replace(found[name], invalid=invalid, transform=transform, unit=unit)
    return found


def _of(stream: Stream, name: str, block: list[float], weight: float, shape: Shape) -> FeatureProfile:
    count, missing = int(block[base.COUNT]), int(block[base.MISSING])
    if not count:
        return FeatureProfile(0, missing, None, None, 0.0, None, None, None, None, None, "warming")
    mean, std = stream.mean_std(name)
    skew, kurtosis = (None, None) if shape else shape_of(block)
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
        kind=_kind(stream.plan_of(name), block, skew, kurtosis),
    )


def kinds(stream: Stream) -> dict[str, Kind]:
    """Tell what kind of sensor each feature of a stream looks like."""
    where, state = stream.layout, stream.state
    found: dict[str, Kind] = {}
    for name, shape, start in zip(where.names, where.shapes, where.starts, strict=True):
        plan = stream.plan_at(start)
        if state[start + base.COUNT] < max(plan.warmup, 1):  # the rest need not be looked at
            found[name] = "warming"
            continue
        block = state[start : start + base.SIZE].tolist()
        found[name] = _kind(plan, block, *((None, None) if shape else shape_of(block)))
    return found


def _kind(plan: Plan, block: list[float], skew: float | None, kurtosis: float | None) -> Kind:
    horizon = plan.config.horizon or block[base.WEIGHT]
    return classify(block, skew, kurtosis, warmup=plan.warmup, horizon=horizon)


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
    """Return what kind of sensor a feature's statistics look like.

    `block` are the numbers of `kernels.base_statistics`, `skew` and `kurtosis` those of `shape_of`; `warmup` and
    `horizon` are in readings.
    """
    if block[base.COUNT] < warmup:
        return "warming"
    if block[base.RUN] == block[base.COUNT] and block[base.LOWEST] == block[base.HIGHEST]:
        return "constant"
    shape = 0.0 if skew is None or kurtosis is None else (1.0 + skew * skew) / kurtosis
    rested = _rested(block, horizon)
    patience = STUCK_AT_REST if rested >= RESTS else STUCK
    if block[base.RUN] > patience * horizon or not block[base.VARIANCE]:
        return "stuck"
    if _rarely(block, rested, shape, kurtosis or 0.0):
        return "rarely-active"
    two = shape >= (EVEN_LEVELS if (kurtosis or 0.0) < EVEN else base.TWO_LEVEL) and (kurtosis or 0.0) <= base.RARELY
    if two and block[base.SUCCESSIVE] * horizon >= JUMPED * block[base.VARIANCE]:
        return "two-level"
    return _moving(block, rested)


def _rested(block: list[float], horizon: float) -> float:
    """Return the share of readings that equalled the one before, until the last one that did not."""
    changes = (1.0 - block[base.STILL]) * math.exp(min((block[base.RUN] - 1.0) / horizon, 700.0))
    return max(0.0, 1.0 - changes)


def _rarely(block: list[float], rested: float, shape: float, kurtosis: float) -> bool:
    """Return whether a sensor nearly always rests, at one value or amid noise, and more than one event is no rest."""
    if kurtosis <= base.RARELY:
        return False
    if rested >= base.MOSTLY_STILL:
        return shape >= base.AT_REST
    return shape >= base.TWO_LEVEL and block[base.WEIGHT] >= EVENTS * kurtosis


def _moving(block: list[float], rested: float) -> Kind:
    """Tell the kinds of sensors that take many values apart."""
    changes = 1.0 - block[base.STILL]
    if block[base.FALLS] < RESETS * changes and block[base.COUNT] > 1.0:
        return "counter"
    if rested >= REPEATS and block[base.SUCCESSIVE] >= JUMPS * changes * block[base.VARIANCE]:
        return "levels"
    return "drifting" if _drifts(block) else "continuous"


def _drifts(block: list[float]) -> bool:
    """Return whether the level moves; until two horizons are over, whether it has left where it began, and slowly."""
    variance, moved = block[base.VARIANCE], block[base.MOVED]
    if moved > base.STARTED:
        return moved > MOVES * variance
    away = block[base.MEAN] - block[base.LEVEL]
    return block[base.SUCCESSIVE] < SLOW * variance and away * away > LEFT * variance
