"""`online` and `cumulative`: exponentially weighted mean and variance, bias-corrected from the first reading on.

For a reading x with decay λ and weight ω (1 unless the reading is late):

    W ← λ·W + ω        g = ω/W
    δ = x − μ          S⁺ = S + g·δ²
    y = δ·√((1−g)/S⁺)
    μ ← μ + g·δ        S ← (1−g)·S⁺

which equals `pandas.Series.ewm(alpha=1-λ, adjust=True)` for the mean and the biased variance. y is the z-score of x
within the weighted past that includes x, hence |y| ≤ √(W−1) without ε, clip or threshold. Of a late reading (ω < 1), y
is what it would be with ω = 1, and so is the bound. A channel, whose elements
have mean x and variance v, merges as a group (Chan, Golub and LeVeque 1979): S ← (1−g)·S⁺ + g·v.

Its functions take what a `streamnorm.kernels.method.Step` does: a reading `x` of variance `v`, the decay `lam`, the
weight `omega`, the bound `clip`, the packed parameters `p`, and the place `at` of a block in `state`. Two blocks merge
at `at_a` and `at_b`; `delta` is x − μ.
"""

from __future__ import annotations

import math

from streamnorm.kernels.method import Buffer, Method, Packed, Parameters

WEIGHT, MEAN, VARIANCE = 0, 1, 2
SIZE = 3

TINY = 1e-280  # a variance below it is mangled by underflow: no spread


def clipped(delta: float, clip: float, variance: float) -> float:
    """Bound a deviation to ±clip standard deviations; a constant so far (variance 0) bounds nothing.

    >>> clipped(10.0, 3.0, 4.0), clipped(-10.0, 3.0, 4.0), clipped(10.0, 3.0, 0.0)
    (6.0, -6.0, 10.0)
    """
    if clip < math.inf and variance > 0.0:
        bound = clip * math.sqrt(variance)
        if delta > bound:
            return bound
        if delta < -bound:
            return -bound
    return delta


def quotient_root(a: float, b: float) -> float:
    """Return √(a/b)."""
    return math.sqrt(a / b)


def step(
    x: float, v: float, lam: float, omega: float, clip: float, _p: Packed, state: Buffer, at: int
) -> tuple[float, float]:
    """Take one reading in; see `streamnorm.kernels.method.Step`.

    >>> state = [0.0] * SIZE
    >>> [round(step(x, 0.0, 0.999, 1.0, math.inf, (), state, 0)[0], 3) for x in (20.0, 22.0, 20.0)]
    [0.0, 0.999, -0.707]
    """
    weight = lam * state[at] + omega
    gain = omega / (weight if weight > 0.0 else 1.0)
    rest = 1.0 - gain
    mean = state[at + 1]
    variance = state[at + 2]
    delta = x - mean
    square = delta * delta
    moved = mean + gain * delta
    learnt = variance + gain * square
    if clip < math.inf:
        bounded = clipped(delta, clip, variance)
        moved = mean + gain * bounded
        learnt = learnt if bounded == delta else variance + gain * bounded * bounded
    after = rest * learnt
    # A late reading is judged as if it had its whole weight: faded, |y| would have no bound, and that it hardly moves
    # the mean would look like want of digits.
    share = gain if omega == 1.0 else 1.0 / (weight - omega + 1.0)
    kept = 1.0 - share
    total = variance + share * square
    y = 0.0
    scale = 0.0
    if v > 0.0:
        limit = clip * clip * variance if clip < math.inf and variance > 0.0 else v
        after += gain * (v if v < limit else limit)
        spread_now = kept * total + share * v
        if spread_now > TINY:
            scale = 1.0 / math.sqrt(spread_now)
            y = kept * delta * scale
    elif kept > 0.0 and total > TINY and total + square != total and mean + share * delta != mean:
        # Where the mean, or the spread, can no longer resolve δ, δ is rounding error and y is 0.
        y = delta * quotient_root(kept, total)
    state[at] = weight
    state[at + 1] = moved
    state[at + 2] = after
    return y, scale


def step_cumulative(
    x: float, v: float, lam: float, omega: float, clip: float, p: Packed, state: Buffer, at: int
) -> tuple[float, float]:
    """Take one reading in for good.

    Nothing fades, so a deviation that no longer moves the mean is no leftover of rounding: it keeps its y.
    """
    before = state[at]
    delta = x - state[at + 1]
    variance = state[at + 2]
    y, scale = step(x, v, lam, omega, clip, p, state, at)
    if y == 0.0 and v == 0.0 and before > 0.0:
        gain = 1.0 / state[at]
        total = variance + gain * delta * delta
        if total > TINY:
            y = delta * quotient_root(1.0 - gain, total)
    return y, scale


def spread(_p: Packed, state: Buffer, at: int) -> tuple[float, float]:
    """Return today's mean and standard deviation."""
    return state[at + 1], math.sqrt(state[at + 2])


def size(_p: Packed) -> int:
    """Count the floats of state a feature needs."""
    return SIZE


def merge(_p: Packed, a: Buffer, at_a: int, b: Buffer, at_b: int) -> None:
    """Merge block b into block a as if their readings had been weighed together (Chan et al. 1979).

    >>> a, b = [1.0, 0.0, 0.0], [1.0, 2.0, 0.0]
    >>> merge((), a, 0, b, 0)
    >>> a
    [2.0, 1.0, 1.0]
    """
    weight = a[at_a] + b[at_b]
    if weight <= 0.0:
        return
    share = b[at_b] / weight
    rest = a[at_a] / weight  # of 1 − share few digits would be left where b outweighs a by far
    delta = b[at_b + 1] - a[at_a + 1]
    a[at_a] = weight
    a[at_a + 1] += share * delta
    a[at_a + 2] = rest * a[at_a + 2] + share * b[at_b + 2] + share * rest * delta * delta


ONLINE = Method("online", Parameters, size, step, spread, merge, base=True, counts=(0,))
CUMULATIVE = Method("cumulative", Parameters, size, step_cumulative, spread, merge, base=True, counts=(0,))
