"""Judges the features of a stream by their profiles and their recent readings.

Rules:

1. No advice is better than wrong advice: each finding needs evidence that other kinds of sensors do not give.
2. What a feature's parameters already say is not said again.
3. A finding without parameters is for people: a broken sensor, two devices in one stream.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from streamnorm.advice import signs
from streamnorm.engine.configuration.preparation import CIRCLE
from streamnorm.engine.streams.feature_profile import FeatureProfile
from streamnorm.engine.streams.stream import Stream

Array = npt.NDArray[np.float64]

#: Recent readings without which nothing but the profile is judged.
ENOUGH = 64
#: What a span that is too short is multiplied by.
LONGER = 10
#: Correlation of a feature with time from which it is a trend, which no span ends.
TREND = 0.9
DAY = 86_400.0


class Advice(NamedTuple):
    """What to do about a feature (empty: the stream): parameters of a rule, if any helps, and the reason for people."""

    feature: str
    reason: str
    rule: dict[str, Any]


class Feature(NamedTuple):
    """What is known of a feature: its profile, recent readings (NaN: missing), their times, and its parameters."""

    profile: FeatureProfile
    values: Array
    #: seconds since 1970; None if unknown
    times: Array | None
    known: Mapping[str, Any]


def feature_of(stream: Stream, name: str, profile: FeatureProfile, values: Array, times: Array | None) -> Feature:
    """Put together what is known of the feature called `name`: what its rules take for missing is missing.

    `profile` is the feature's in `stream`, `values` are its recent readings as they came, and `times` theirs.
    """
    part = stream.plan.of(name)
    angle = stream.plan.of(name[: -len(CIRCLE[0])]) if name.endswith(CIRCLE) else part
    if angle.preparation is not None and angle.preparation.transform == "circular":
        part = angle
    known, preparation = part.plan.config.model_dump(), part.preparation
    if preparation is not None:
        outside = (values < preparation.least) | (values > preparation.greatest)
        values = np.where(outside | np.isin(values, [*preparation.codes]), math.nan, values)
        known["transform"] = preparation.transform
    return Feature(profile, values, times, known)


def advise(features: Mapping[str, Feature]) -> list[Advice]:
    """Return the advice on the features of one stream, most important first for each."""
    found = [Advice(name, *each) for name, feature in features.items() for each in _of(feature)]
    doubled = [name for name, feature in features.items() if signs.alternates(_present(feature.values))]
    if doubled:
        names = ", ".join(doubled)
        reason = f"{names} jumps to and fro between two ranges: the readings look like those of two devices"
        found.append(Advice("", f"{reason}; a stream each would tell them apart", {}))
    return found


def _of(feature: Feature) -> list[tuple[str, dict[str, Any]]]:
    profile, values = feature.profile, _present(feature.values)
    if profile.kind == "warming":
        return []
    if profile.kind == "stuck":
        return [(_stuck(feature), {})]
    if len(values) < ENOUGH or feature.known.get("transform"):
        return []
    found: list[tuple[str, dict[str, Any]]] = []
    codes = signs.missing_codes(values)
    if codes:
        values = values[~np.isin(values, codes)]
        found.append((_coded(codes, values), {"missing_codes": codes}))
    angle = signs.turns(values)
    if angle is not None:
        reason = f"it jumps between the ends of {angle:g} to {angle + 360:g}: an angle, which has no ends"
        return [*found, (reason, {"transform": "circular", "period": 360})]
    if profile.kind == "counter":
        if signs.rises(values):
            found.append(("it only rises, but for resets: a counter, of which the rate matters", {"transform": "rate"}))
        return found
    decades = signs.decades(values)
    if decades is not None:
        low, high, zeros = decades
        reason = f"it ranges over decades, from {low:.4g} to {high:.4g}: in its logarithm small values count, too"
        found.append((reason, {"transform": "log1p" if zeros else "log"}))
    elif profile.kind == "drifting" and not codes:
        found += _slow(feature, values)
    return found


def _stuck(feature: Feature) -> str:
    """Tell for how long a feature has not changed, as far as is known."""
    last = feature.profile.last
    same = feature.values == last
    run = len(same) if same.all() else int(np.argmin(same[::-1]))
    text = f"it has been {last:.6g}" if last is not None else "it has not changed"
    text += f" for the last {run} readings" if run else ""
    seconds = 0.0 if feature.times is None or run < 2 else float(feature.times[-1] - feature.times[-run])  # noqa: PLR2004
    text += f", {_span(seconds)}" if seconds > 0.0 else ""
    return f"{text} or longer, after it used to change: is the sensor broken?"


def _coded(codes: Sequence[float], values: Array) -> str:
    shown = " and ".join(f"{code:.10g}" for code in codes)
    return f"{shown} comes again and again, far outside {values.min():.4g} to {values.max():.4g}: it means no value"


def _slow(feature: Feature, values: Array) -> list[tuple[str, dict[str, Any]]]:
    """Advise on a level that moves between one span and the next."""
    known, horizon, seconds = feature.known, feature.known.get("horizon"), feature.known.get("time_constant")
    if known.get("method") == "adaptive" or not _seen(feature, horizon, seconds):
        return []
    if abs(float(np.corrcoef(np.arange(len(values)), values)[0, 1])) >= TREND:
        reason = "it follows a trend, which is no fluctuation: adaptive removes it, and keeps what is faster"
        return [(reason, {"method": "adaptive"})]
    if seconds:
        reason = f"most of its variance is slower than the time constant of {_span(seconds)}, and removed with it"
        return [(reason, {"time_constant": LONGER * seconds})]
    if not horizon:
        return []
    reason = f"most of its variance is slower than the horizon of {horizon:g} readings, and removed with it"
    return [(reason, {"horizon": LONGER * horizon})]


def _seen(feature: Feature, horizon: float | None, seconds: float | None) -> bool:
    """Return whether spans were seen that could differ: two horizons, or a time constant."""
    if seconds:
        return feature.times is not None and float(feature.times[-1] - feature.times[0]) >= seconds
    return horizon is None or feature.profile.count >= 2 * horizon


def _span(seconds: float) -> str:
    for size, name in ((DAY, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} seconds"


def _present(values: Array) -> Array:
    return values[~np.isnan(values)] if math.isnan(float(values.sum())) else values
