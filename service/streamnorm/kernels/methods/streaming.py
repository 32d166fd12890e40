"""`streaming`: short-term statistics, collected over `period` readings and folded into long-term ones.

Q. Liao, K. Kawaguchi and T. Poggio, *Streaming Normalization: Towards Simpler and More Biologically-plausible
Normalizations for Online and Recurrent Learning* (CBMM Memo 57, 2016), with its Lp normalization. For the n-th reading
x of a period, p = `order`, and a = 1 − `mix` (0.7), b = 1 − `fold` (0.7) the shares of the long term:

    μ_short ← μ_short + (x − μ_short)/n                  μ = a·μ_long + (1−a)·μ_short
    M_short ← M_short + (|x − μ|^p − M_short)/n          M = a·M_long + (1−a)·M_short
    y = (x − μ)/M^(1/p)                                  after `period` readings: long ← b·long + (1−b)·short

The first period has no long term, there a = 0 (and the first fold b = 0). The p-th absolute moment M includes x, hence
|y| ≤ (period/mix)^(1/p) without ε. With `order` 1 the spread is the mean absolute deviation, 0.8 standard deviations of
normal noise. y is exactly 0 where M = 0, and once x has been the same for more than a period. Readings are counted: λ
and ω are not used. A channel's elements deviate by √((x − μ)² + v).

Its functions take what a `streamnorm.kernels.method.Step` does: a reading `x` of variance `v`, the decay `lam`, the
weight `omega`, the bound `clip`, the packed parameters `p`, and the place `at` of a block in `state`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from streamnorm.kernels.method import Buffer, Method, Packed, Parameters
from streamnorm.kernels.methods.online import clipped

# A block: n, mean, moment of the short term; periods folded, mean, moment of the long term; mean and moment that the
# last reading was normalized by; that reading, and how many in a row were the same.
LONG, MIXED, LAST, RUN = 3, 6, 8, 9
SIZE = 10

TINY = 1e-140  # the square of a spread below it is mangled by underflow


class StreamingParameters(Parameters):
    """Parameters of `streaming`."""

    period: int = Field(256, ge=2, le=1_000_000, description="readings collected before they join the long term")
    fold: float = Field(0.3, gt=0.0, le=1.0, description="share of a period when it is folded into the long term")
    mix: float = Field(0.3, gt=0.0, le=1.0, description="share of the short term in what readings are normalized by")
    order: int = Field(2, ge=1, le=2, description="of the absolute moment: 2 standard, 1 mean absolute deviation")

    def pack(self) -> tuple[float, ...]:
        """Return (period, fold, mix, order)."""
        return (float(self.period), self.fold, self.mix, float(self.order))


def root(moment: float, order: float) -> float:
    """Return the moment's root of its order, a spread in the units of the reading."""
    return math.sqrt(moment) if order > 1.0 else moment


def collect(x: float, v: float, p: Packed, state: Buffer, at: int) -> None:
    """Take one reading into the short term and mix the terms anew."""
    count = state[at] + 1.0
    mix = p[2] if state[at + LONG] > 0.0 else 1.0
    long_mean = state[at + LONG + 1]
    short_mean = state[at + 1] + (x - state[at + 1]) / count
    # For mix = 1 the sum below could miss μ_short by rounding, and then a constant would deviate from itself.
    mean = long_mean + mix * (short_mean - long_mean) if mix < 1.0 else short_mean
    power = (x - mean) * (x - mean) + v
    if p[3] <= 1.0:
        power = math.sqrt(power) if v > 0.0 else math.fabs(x - mean)
    short = state[at + 2] + (power - state[at + 2]) / count
    state[at] = count
    state[at + 1] = short_mean
    state[at + 2] = short
    state[at + MIXED] = mean
    state[at + MIXED + 1] = (1.0 - mix) * state[at + LONG + 2] + mix * short


def fold(p: Packed, state: Buffer, at: int) -> None:
    """Fold the short term into the long one, and begin a new one."""
    share = p[1] if state[at + LONG] > 0.0 else 1.0
    mean = state[at + LONG + 1]
    state[at + LONG] += 1.0
    state[at + LONG + 1] = mean + share * (state[at + 1] - mean) if share < 1.0 else state[at + 1]
    state[at + LONG + 2] = (1.0 - share) * state[at + LONG + 2] + share * state[at + 2]
    state[at] = 0.0
    state[at + 1] = 0.0
    state[at + 2] = 0.0


def step(
    x: float, v: float, _lam: float, _omega: float, clip: float, p: Packed, state: Buffer, at: int
) -> tuple[float, float]:
    """Take one reading in; see `streamnorm.kernels.method.Step`.

    >>> p, state = (256.0, 0.3, 0.3, 2.0), [0.0] * SIZE
    >>> [round(step(x, 0.0, 1.0, 1.0, math.inf, p, state, 0)[0], 3) for x in (20.0, 22.0, 20.0)]
    [0.0, 1.414, -0.961]
    """
    order = p[3]
    fresh = state[at + RUN] == 0.0
    mean_before = state[at + MIXED]
    spread_before = root(state[at + MIXED + 1], order)
    short_mean = state[at + 1]
    short = state[at + 2]
    collect(x, v, p, state, at)
    mean = state[at + MIXED]
    wide = root(state[at + MIXED + 1], order)
    if clip < math.inf and spread_before > 0.0:
        # y is of x in full; learn from the bounded deviation instead.
        variance = spread_before * spread_before
        limit = clip * clip * variance
        state[at] -= 1.0
        state[at + 1] = short_mean
        state[at + 2] = short
        bounded = mean_before + clipped(x - mean_before, clip, variance)
        collect(bounded, v if v < limit else limit, p, state, at)
    state[at + RUN] = 1.0 if fresh or x != state[at + LAST] else state[at + RUN] + 1.0
    state[at + LAST] = x
    if state[at] >= p[0]:
        fold(p, state, at)
    if wide <= TINY:
        return 0.0, 0.0
    if v > 0.0:
        return (x - mean) / wide, 1.0 / wide
    if state[at + RUN] > p[0]:
        return 0.0, 0.0
    return (x - mean) / wide, 0.0


def spread(p: Packed, state: Buffer, at: int) -> tuple[float, float]:
    """Return the mixed mean and the root of the mixed moment, by which the last reading was normalized."""
    return state[at + MIXED], root(state[at + MIXED + 1], p[3])


def size(_p: Packed) -> int:
    """Count the floats of state a feature needs."""
    return SIZE


def sound(p: Packed, own: Sequence[float], _low: float, _high: float) -> bool:
    """Return whether counts and moments are not below 0, and the period is not over."""
    return own[0] < p[0] and min(own[0], own[2], own[LONG], own[LONG + 2], own[MIXED + 1], own[RUN]) >= 0.0


STREAMING = Method(
    name="streaming",
    parameters=StreamingParameters,
    size=size,
    step=step,
    spread=spread,
    merge=None,  # two sensors' periods have no common order
    sound=sound,
    restarts=frozenset({"order"}),
)
