"""What is kept of every feature beside its method: the base block.

Every feature's state begins with the `online` statistics (weight, mean, variance), so that any method's stream can
tell a mean and a deviation over its horizon, followed by what the profile needs. Third and fourth central moments
follow the same exponentially weighted recurrence as the variance (Pébay 2008, formulas for adding one point, with
decay): with g the gain, δ = x − μ and m₂, m₃, m₄ the central moments before x,

    m₃ ← (1−g)·(m₃ − 3gδ·m₂ + g(1−2g)·δ³)
    m₄ ← (1−g)·(m₄ − 4gδ·m₃ + 6g²δ²·m₂ + g((1−g)³+g³)·δ⁴)

so a two-level sensor has kurtosis = 1 + skewness² exactly, from its second reading on.
"""

from __future__ import annotations

import math

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
SIZE = 12

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
        state[at + 9] = low
        state[at + 10] = high
        state[at + 11] = 1.0
    else:
        change = x - last
        state[at + 5] = rest * state[at + 5] + gain * change * change
        if low < state[at + 9]:
            state[at + 9] = low
        if high > state[at + 10]:
            state[at + 10] = high
        state[at + 11] = state[at + 11] + 1.0 if x == last else 1.0
    state[at + 6] += 1.0
    state[at + 8] = x


def lifted(block: Buffer, at: int, shift: float) -> tuple[float, float]:
    """Return the third and fourth moments about a point that lies `shift` below the mean."""
    square = shift * shift
    variance = block[at + 2]
    third = block[at + 3] + 3.0 * variance * shift + square * shift
    return third, block[at + 4] + 4.0 * block[at + 3] * shift + 6.0 * variance * square + square * square


def merge(a: Buffer, at_a: int, b: Buffer, at_b: int) -> None:
    """Merge the profile part of block b into block a (Pébay 2008); runs before `online.merge`, for the same reason.

    `last` and `run` stay block a's: two sensors have no common order.
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
        for place in range(8, 12):
            a[at_a + place] = b[at_b + place]
    else:
        a[at_a + 9] = min(a[at_a + 9], b[at_b + 9])
        a[at_a + 10] = max(a[at_a + 10], b[at_b + 10])
    a[at_a + 6] += b[at_b + 6]
    a[at_a + 7] += b[at_b + 7]


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
