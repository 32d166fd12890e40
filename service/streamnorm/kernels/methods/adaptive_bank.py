"""The bank of horizons that `adaptive` keeps: its layout, how it begins, merges, fades, and what it may contain.

See `streamnorm.kernels.methods.adaptive` for what the numbers mean.

The bank of packed parameters `p` is at the place `at` of `state`, or at `at_a` and `at_b` where two merge; `own` is one
that came from outside, beside its `base` block. `mean` and `variance` are a feature's, `factor` is what weights fade
by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from streamnorm.kernels.durations import Duration
from streamnorm.kernels.method import Buffer, Packed, Parameters
from streamnorm.kernels.methods.online import merge as merge_online

DEFAULT_HORIZON = 1000.0
#: The longest horizon reaches back so many readings at least, and there are so many horizons.
LONGEST, FEWEST = 16_000.0, 3
#: Horizons where T is a time: how many readings that is, nobody knows.
TIMED = 4

SHARE = 2.0**-10
TREND = 0.25  # what a trend gets of a share, beside a horizon's 1
STEEP = 1.0 / 12.0  # of an age: two that differ by less show a slope as if they differed by that
TINY = 1e-280  # a variance below it is mangled by underflow: no evidence, and no spread

# A horizon and its trend. The last one has no trend: there the numbers in common follow.
WEIGHT, MEAN, VARIANCE, AGE, TRUST, ERROR, TREND_TRUST, SLOPE = range(8)
STRIDE, WITHOUT_TREND = 8, 5
#: the mixture's mean, the mean square of what it left, the last reading that was evidence, what makes the trusts' sum 1
MIXED, MIXED_VARIANCE, LAST, KEEP = range(4)
COMMON = 4
#: floats of the bank of the horizons 2⁴ … 2¹⁴, which was kept before
FORMER = 47
#: How far beyond the range of its readings, in such ranges, a trend can carry a mean, and its errors come to lie.
BEYOND = 64.0


class AdaptiveParameters(Parameters):
    """T, by which the bank is built."""

    horizon: float | None = Field(
        None,
        gt=1.0,
        le=1e12,
        description="the shortest span that “normal” reaches back, in readings: what changes more slowly is removed, "
        f"what changes faster is kept; {DEFAULT_HORIZON:g} unless `time_constant` is given",
    )
    time_constant: Duration | None = Field(
        None, description="the shortest span that “normal” reaches back, in seconds; not with `horizon`"
    )

    def pack(self) -> tuple[float, ...]:
        """Return the number of horizons, a horizon's share, T, and the weight that the shortest can have at most."""
        count = TIMED
        shortest, most = self.time_constant, math.inf
        if shortest is None:
            shortest = most = self.horizon or DEFAULT_HORIZON
            count = FEWEST
            while shortest * 4.0 ** (count - 1) < LONGEST:
                count += 1
        return float(count), SHARE / (count + TREND * (count - 1)), shortest, most


def size(p: Packed) -> int:
    """Count the floats of state a feature needs: 25 at the default horizon, 49 from 16 readings on."""
    return STRIDE * int(p[0]) - STRIDE + WITHOUT_TREND + COMMON


def begin(p: Packed, weight: float, mean: float, variance: float, state: Buffer, at: int) -> None:
    """Fill a block as if every horizon had the same past, of `weight` readings."""
    last = at + STRIDE * int(p[0]) - STRIDE
    for block in range(at, last + 1, STRIDE):
        state[block] = weight
        state[block + 1] = mean
        state[block + 2] = variance
        state[block + 3] = 0.0
        state[block + 4] = 1.0
        if block < last:
            state[block + 5] = variance
            state[block + 6] = TREND
            state[block + 7] = 0.0
    end = last + WITHOUT_TREND
    state[end] = mean
    state[end + 1] = variance
    state[end + 2] = mean
    state[end + 3] = p[1] / SHARE


def mix(p: Packed, state: Buffer, at: int) -> None:
    """Work out the slopes and the mixture's mean anew, as `step` leaves them."""
    last = at + STRIDE * int(p[0]) - STRIDE
    end = last + WITHOUT_TREND
    origin = state[at + MEAN]
    parts = []
    for block in range(at, last + 1, STRIDE):
        parts.append((state[block + TRUST], state[block + MEAN] - origin))
        if block < last:
            older = block + STRIDE
            age, apart = state[block + AGE], state[older + AGE] - state[block + AGE]
            apart = max(apart, STEEP * age)
            slope = (state[block + MEAN] - state[older + MEAN]) / apart if apart > 0.0 else 0.0
            state[block + SLOPE] = slope
            parts.append((state[block + TREND_TRUST], state[block + MEAN] + slope * age - origin))
    sure = sum(trust * trust for trust, _ in parts)
    state[end + MIXED] = origin + sum(trust * trust * level for trust, level in parts) / sure
    state[end + KEEP] = 1.0 / sum(trust for trust, _ in parts)


def merge(p: Packed, a: Buffer, at_a: int, b: Buffer, at_b: int) -> None:
    """Merge block b into block a, horizon by horizon; what both learned of the horizons counts as evidence of both.

    Two sensors' weights add up, but to no more than a horizon comes to hold of one. What their means say together of a
    slope is no trend, and none is trusted at first.
    """
    if b[at_b] <= 0.0:
        return
    if a[at_a] <= 0.0:
        for i in range(size(p)):
            a[at_a + i] = b[at_b + i]
        return
    horizons = int(p[0])
    end = size(p) - COMMON
    keep = a[at_a + end + KEEP] * b[at_b + end + KEEP]
    share = b[at_b] / (a[at_a] + b[at_b])
    apart = b[at_b + end + MIXED] - a[at_a + end + MIXED]
    variance = a[at_a + end + MIXED_VARIANCE]
    variance += share * (b[at_b + end + MIXED_VARIANCE] - variance) + share * (1.0 - share) * apart * apart
    a[at_a + end + MIXED_VARIANCE] = variance
    total = 0.0
    for j in range(horizons):
        one, other = at_a + STRIDE * j, at_b + STRIDE * j
        share = b[other] / (a[one] + b[other])
        apart = b[other + MEAN] - a[one + MEAN]
        a[one + AGE] += share * (b[other + AGE] - a[one + AGE])
        if j < horizons - 1:
            a[one + ERROR] += share * (b[other + ERROR] - a[one + ERROR]) + share * (1.0 - share) * apart * apart
        merge_online(p, a, one, b, other)
        a[one] = min(a[one], p[3] * 4.0**j)
        a[one + TRUST] *= keep * b[other + TRUST]
        total += a[one + TRUST]
    for block in range(at_a, at_a + end, STRIDE):
        agreed = a[block + TRUST] / total if total > TINY else 1.0 / horizons
        a[block + TRUST] = (1.0 - SHARE) * agreed + p[1]
        if block + WITHOUT_TREND < at_a + end:
            a[block + TREND_TRUST] = TREND * p[1]
    mix(p, a, at_a)


def fade(factor: float, p: Packed, state: Buffer, at: int) -> None:
    """Let the past fade by what the shortest horizon's would."""
    for j in range(int(p[0])):
        state[at + STRIDE * j] *= factor
        factor = math.sqrt(math.sqrt(factor))


def convert(p: Packed, base: Sequence[float], own: Sequence[float]) -> list[float] | None:
    """Return a block for one of the bank that was kept before, from the statistics that every feature keeps.

    None where it is no such block.
    """
    if len(own) != FORMER:
        return None
    state = [0.0] * size(p)
    if base[WEIGHT] > 0.0:
        begin(p, base[WEIGHT], base[MEAN], base[VARIANCE], state, 0)
    return state


def sound(p: Packed, own: Sequence[float], low: float, high: float) -> bool:
    """Return whether readings from `low` to `high` could have left this block."""
    end = size(p) - COMMON
    places = range(0, end, STRIDE)
    if own[0] == 0.0:
        return not any(own)
    trusts = [own[at + TRUST] for at in places] + [own[at + TREND_TRUST] for at in places[:-1]]
    squares = [own[at + place] for at in places for place in (VARIANCE, ERROR) if at + place < end]
    ages = [own[at + AGE] for at in places]
    means = [*(own[at + MEAN] for at in places), own[end + LAST], own[end + MIXED]]
    most = BEYOND * (high - low)
    slack = most + 2.0**-40 * max(abs(low), abs(high))
    return (
        min(own[at] for at in places) > 0.0
        and all(own[at] <= 1.001 * p[3] * 4.0**place for place, at in enumerate(places))
        and min(*trusts, *squares, *ages, own[end + MIXED_VARIANCE], own[end + KEEP]) >= 0.0
        and abs(own[end + KEEP] * sum(trusts) - 1.0) <= 2.0 * SHARE
        and all(low - slack <= mean <= high + slack for mean in means)
        and max(*squares, own[end + MIXED_VARIANCE]) <= slack * slack
        and all(abs(own[at + SLOPE]) * STEEP * own[at + AGE] <= 2.0 * slack for at in places[:-1])
    )
