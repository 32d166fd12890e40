"""What is kept of every feature beside its method: the base block.

Every feature's state begins with the `online` statistics (weight, mean, variance), so that any method's stream can
tell a mean and a deviation over its horizon, followed by what the profile needs. Third and fourth central moments
follow the same exponentially weighted recurrence as the variance (Pébay 2008, formulas for adding one point, with
decay): with g the gain, δ = x − μ and m₂, m₃, m₄ the central moments before x,

    m₃ ← (1−g)·(m₃ − 3gδ·m₂ + g(1−2g)·δ³)
    m₄ ← (1−g)·(m₄ − 4gδ·m₃ + 6g²δ²·m₂ + g((1−g)³+g³)·δ⁴)

so a two-level sensor has kurtosis = 1 + skewness² exactly, from its second reading on.

Throughout, `lam`, `omega` and `clip` are those of a `streamnorm.kernels.method.Step`; a `block` begins at the place
`at` of `state`, or one at `at_a` and another at `at_b`. `low` and `high` are a reading's least and greatest element.
Times, such as `last`, that of a feature's latest reading, and a `time_constant` are in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from streamnorm.kernels.method import Buffer
from streamnorm.kernels.methods.online import clipped

WEIGHT, MEAN, VARIANCE = 0, 1, 2
THIRD, FOURTH = 3, 4
#: weighted mean of the squared differences of successive readings; over the variance, the von Neumann ratio
SUCCESSIVE = 5
COUNT, MISSING = 6, 7
LAST, LOWEST, HIGHEST = 8, 9, 10
#: how many readings in a row had the value of the last one
RUN = 11
#: weighted shares of readings: those that equal the one before, those that are below it
STILL, FALLS = 12, 13
#: the mean at the end of the last horizon, and the mean square of how far it moves from one horizon to the next
LEVEL, MOVED = 14, 15
#: since the end of the last horizon: least, greatest, part of a horizon; `LOWEST` and `HIGHEST` are of that one too
RECENT_LOWEST, RECENT_HIGHEST, AGE = 16, 17, 18
SIZE = 19
#: gain above which what never fades has too few readings for a level
EARLY = 2.0**-5
#: of a block of before there were the last ones
FORMER_SIZE = 12
#: horizons that `MOVED` remembers, and what it is after the first one
MOVES, STARTED = 4.0, 1e-300

#: (1 + skewness²)/kurtosis is 1 for a two-point distribution and less for every other (Pearson 1916): 0.33 for a
#: Gaussian, 0.55 for a uniform one, and 0.9 for two equal levels with noise of a twelfth of their distance.
TWO_LEVEL = 0.9
#: Kurtosis of two levels of which one is taken 5 % of the time; Laplace noise has 6, Gaussian 3.
RARELY = 18.0
#: the same quotient of what rests nearly always, with events that are not all alike: exponential ones have 0.75
AT_REST = 0.6
#: share of readings that equal the one before, of a sensor that is constant at rest
MOSTLY_STILL = 0.5
TINY = 1e-280
#: effective readings on which statistics rest well enough: a mean then is within 0.35 deviations of the sensor's
ENOUGH = 8.0

FIELDS = (
    "weight",
    "mean",
    "variance",
    "third_moment",
    "fourth_moment",
    "successive",
    "count",
    "missing",
    "last",
    "min",
    "max",
    "run",
    "still",
    "falls",
    "level",
    "moved",
    "recent_min",
    "recent_max",
    "age",
)


def update_base(
    x: float, low: float, high: float, lam: float, omega: float, clip: float, state: Buffer, at: int
) -> None:
    """Take one reading into the base block; runs before `online.step`, whose mean and variance before x it needs.

    `low` and `high` are the least and greatest element of a channel, and x itself for a plain feature.
    """
    weight = lam * state[at] + omega
    gain = omega / (weight if weight > 0.0 else 1.0)
    rest = 1.0 - gain
    variance = state[at + 2]
    third = state[at + 3]
    delta = x - state[at + 1]
    if clip < math.inf:
        delta = clipped(delta, clip, variance)
    moved = gain * delta
    square = delta * delta
    state[at + 3] = rest * (third - 3.0 * moved * variance + moved * square * (rest - gain))
    state[at + 4] = rest * (
        state[at + 4]
        - 4.0 * moved * third
        + 6.0 * moved * moved * variance
        + moved * square * delta * (rest * rest * rest + gain * gain * gain)
    )
    last = state[at + 8]
    if state[at + 6] == 0.0:
        state[at + 9] = state[at + 16] = low
        state[at + 10] = state[at + 17] = high
        state[at + 11] = 1.0
        state[at + 14] = x
        state[at + 18] = 1.0 - lam
    else:
        change = x - last
        state[at + 5] = rest * state[at + 5] + gain * change * change
        state[at + 11] = state[at + 11] + 1.0 if x == last else 1.0
        state[at + 12] = rest * state[at + 12] + (gain if x == last else 0.0)
        state[at + 13] = rest * state[at + 13] + (gain if x < last else 0.0)
        if low < state[at + 9]:
            state[at + 9] = low
        if low < state[at + 16]:
            state[at + 16] = low
        if high > state[at + 10]:
            state[at + 10] = high
        if high > state[at + 17]:
            state[at + 17] = high
        age = state[at + 18] + (1.0 - lam if lam < 1.0 else gain if gain < EARLY else 0.0)
        state[at + 18] = age
        if age >= 1.0:
            turn(low, high, lam, state, at)
    state[at + 6] += 1.0
    state[at + 8] = x


def turn(low: float, high: float, lam: float, state: Buffer, at: int) -> None:
    """End a horizon: note how far the level has moved in it, and forget the extremes of the one before.

    Where nothing fades, a horizon ends whenever the readings have become e times as many, and no extreme is forgotten.
    """
    moved = state[at + 1] - state[at + 14]
    if state[at + 15] == 0.0:  # the first one has none before it
        state[at + 15] = STARTED
    elif state[at + 15] <= STARTED:
        state[at + 15] = STARTED + moved * moved
    else:
        state[at + 15] += (moved * moved - state[at + 15]) / MOVES
    state[at + 14] = state[at + 1]
    state[at + 18] = 0.0
    if lam == 1.0:
        return
    state[at + 9] = state[at + 16]
    state[at + 10] = state[at + 17]
    state[at + 16] = low
    state[at + 17] = high


def completed(block: Sequence[float | None]) -> list[float]:
    """Return a base block whose last numbers are unknown with what they are to begin with."""
    known = [0.0 if value is None else value for value in block[:FORMER_SIZE]]
    begin = (0.0, 0.0, known[MEAN], 0.0, known[LOWEST], known[HIGHEST], 0.0)
    rest = zip(block[FORMER_SIZE:] or (None,) * len(begin), begin, strict=True)
    return known + [start if value is None else value for value, start in rest]


def clip_of(robust: float, state: Buffer, at: int) -> float:
    """Return the bound on deviations, in standard deviations, that `robust` sets to a feature.

    Where it has two levels, or is constant at rest and rarely active, its events are its signal. With skewness s
    the levels of two lie (√(s² + 4) ± |s|)/2 deviations from the mean: up to twice the greater one nothing is cut.
    """
    variance = state[at + 2]
    square = variance * variance
    if square <= TINY:
        return robust
    skew = state[at + 3] / (variance * math.sqrt(variance))
    skewed = skew * skew
    kurtosis = state[at + 4] / square
    rarely = kurtosis > RARELY
    if 1.0 + skewed < (AT_REST if rarely else TWO_LEVEL) * kurtosis or (rarely and state[at + 12] < MOSTLY_STILL):
        return robust
    reach = math.fabs(skew) + math.sqrt(skewed + 4.0)
    return reach if reach > robust else robust


def lifted(block: Buffer, at: int, shift: float) -> tuple[float, float]:
    """Return the third and fourth moments about a point that lies `shift` below the mean."""
    square = shift * shift
    variance = block[at + 2]
    third = block[at + 3] + 3.0 * variance * shift + square * shift
    return third, block[at + 4] + 4.0 * block[at + 3] * shift + 6.0 * variance * square + square * square


def merge(a: Buffer, at_a: int, b: Buffer, at_b: int) -> None:
    """Merge the profile part of block b into block a (Pébay 2008); runs before `online.merge`, for the same reason.

    `last` and `run` stay block a's, as do the shares and the level: two sensors have no common order.
    """
    if b[at_b + 6] == 0.0:
        a[at_a + 7] += b[at_b + 7]
        return
    share = b[at_b] / (a[at_a] + b[at_b])
    rest = a[at_a] / (a[at_a] + b[at_b])
    delta = b[at_b + 1] - a[at_a + 1]
    third_a, fourth_a = lifted(a, at_a, -share * delta)
    third_b, fourth_b = lifted(b, at_b, rest * delta)
    a[at_a + 3] = rest * third_a + share * third_b
    a[at_a + 4] = rest * fourth_a + share * fourth_b
    a[at_a + 5] = rest * a[at_a + 5] + share * b[at_b + 5]
    if a[at_a + 6] == 0.0:
        for place in range(8, SIZE):
            a[at_a + place] = b[at_b + place]
    else:
        a[at_a + 9] = min(a[at_a + 9], b[at_b + 9])
        a[at_a + 10] = max(a[at_a + 10], b[at_b + 10])
        a[at_a + 16] = min(a[at_a + 16], b[at_b + 16])
        a[at_a + 17] = max(a[at_a + 17], b[at_b + 17])
        if a[at_a + 11] == a[at_a + 6] and b[at_b + 11] == b[at_b + 6] and a[at_a + 8] == b[at_b + 8]:
            a[at_a + 11] += b[at_b + 11]  # one constant
    a[at_a + 6] += b[at_b + 6]
    a[at_a + 7] += b[at_b + 7]


def weight_at(t: float, time_constant: float, last: float, weight: float) -> float:
    """Return what is left at time `t` of a weight at time `last`, in seconds; a late time leaves it.

    >>> weight_at(20.0, 10.0, 10.0, 3.0) == 3.0 * math.exp(-1.0), weight_at(0.0, 10.0, 10.0, 3.0)
    (True, 3.0)
    """
    return weight * math.exp((last - t) / time_constant) if t > last else weight


def least_weight(warmup: float) -> float:
    """Return the effective weight on which statistics by time rest well enough: 8, or less after a shorter warmup.

    >>> least_weight(32.0), least_weight(5.0)
    (8.0, 2.5)
    """
    return min(ENOUGH, 0.5 * warmup)


def decay_and_weight(t: float, time_constant: float, last: float, weight: float) -> tuple[float, float]:
    """Return the decay λ of the past and the weight ω of a reading at time `t`, in seconds.

    λ = exp(−Δt/τ) and ω = 1; a late reading (Δt < 0) leaves the past as it is and enters with ω = exp(Δt/τ).

    >>> decay_and_weight(20.0, 10.0, 10.0, 1.0) == (math.exp(-1.0), 1.0)
    True
    >>> decay_and_weight(0.0, 10.0, 10.0, 1.0) == (1.0, math.exp(-1.0))
    True
    """
    if weight == 0.0:
        return 1.0, 1.0
    if t >= last:
        return math.exp((last - t) / time_constant), 1.0
    return 1.0, math.exp((t - last) / time_constant)
