"""`adaptive`: no horizon to choose, a bank of them side by side, each trusted as far as it predicts.

The bank keeps the statistics of `online` for the horizons 2⁴, 2⁵ … 2¹⁴. A reading x (a channel: mean x, variance v) is
first evidence on how well each horizon k, with mean μ_k and variance S_k, foresaw it: the likelihood of Student's t
with ν = 6 degrees of freedom, whose tails keep one wild reading from turning everything over,

    u_k = S_k/S + 1/32        q_k = 1 + ((x − μ_k)² + v)/(ν·S·u_k)        p_k ← p_k · u_k^−½ · q_k^−(ν+1)/2

where S is the mixture's variance before x. The p_k are normalized, and 2⁻¹⁶ of their sum is shared out evenly, so that
the bank can change its mind (the fixed share of Herbster and Warmuth, *Tracking the Best Expert*, 1998). Then every
horizon learns x, and the mixture follows with weights w_k ∝ p_k², so that the shared crumbs do not leak in:

    μ = Σ w_k·μ_k        S = Σ w_k·(S_k + (μ_k − μ)²)        y = (x − μ)/√S

All of it is ratios of deviations: scaling by a power of two changes no bit of y, another scale or a shift only the
rounding. With ν even, the likelihood needs a square root and no logarithm, whose last bit differs between machines.
|y| < 2⁷, since no horizon gives more. y is 0 where the mean of the shortest horizon can no longer resolve x − μ₀, or
its variance is nothing beside the mixture's: x has then been the same for hundreds of readings.

Horizons are counted in readings: λ and ω are not used. The one-step-ahead prediction of the bank is the mixture of the
normal densities N(μ_k, S_k) with weights p_k before x; `spread` gives the mean and standard deviation by w_k.

Chosen by measurement (`tests/benchmarks/quality.py`): with ν = 4 a sensor of a changing scale is followed later, with
ν = 8 some alarms in a row are taken for normal; a share of 10⁻⁴ keeps two-level sensors 0.02 from ±1, 2⁻¹⁶ 0.015.
"""

from __future__ import annotations

import math

from streamnorm.kernels.method import Buffer, Method, Packed, Parameters
from streamnorm.kernels.online import merge as merge_online
from streamnorm.kernels.online import step as step_online

HORIZONS = 11
FIRST_RATE = 2.0**-4  # 1/horizon of the first; the next ones halve it
FLOOR = 2.0**-5  # of the mixture's variance; under it all variances count alike
FREEDOM = 6.0
SHARE = 2.0**-16
CRUMB = SHARE / HORIZONS
NEGLIGIBLE = 2.0**-52
TINY = 1e-280  # a variance below it is mangled by underflow: no evidence, and no spread

# A block: weight, mean and variance of each horizon, p of each, mean and variance of the mixture.
TRUST = 3 * HORIZONS
MIXTURE = 4 * HORIZONS
SIZE = MIXTURE + 2


def judge(x: float, v: float, state: Buffer, at: int) -> float:
    """Multiply every p by the likelihood of x, and give their sum; 1 where there is no evidence to be had."""
    variance = state[at + MIXTURE + 1]
    if variance <= TINY:
        return 1.0
    total = 0.0
    block = at
    floor = FLOOR * variance
    for trust in range(at + TRUST, at + MIXTURE):
        delta = x - state[block + 1]
        floored = state[block + 2] + floor
        reach = floored + (delta * delta + v) / FREEDOM
        q = reach / floored
        p = state[trust] / (q * q * q * math.sqrt(reach / variance))
        state[trust] = p
        total += p
        block += 3
    return total if total > TINY else 1.0


def mix(state: Buffer, at: int) -> None:
    """Write the mixture's mean and variance; relative to one of the means, so that constants stay exact."""
    origin = state[at + 1]
    weight = 0.0
    mean = 0.0
    variance = 0.0
    block = at
    for trust in range(at + TRUST, at + MIXTURE):
        w = state[trust] * state[trust]
        delta = state[block + 1] - origin
        weight += w
        mean += w * delta
        variance += w * (state[block + 2] + delta * delta)
        block += 3
    mean /= weight
    variance = variance / weight - mean * mean
    state[at + MIXTURE] = origin + mean
    state[at + MIXTURE + 1] = variance if variance > 0.0 else 0.0


def step(
    x: float, v: float, _lam: float, _omega: float, clip: float, p: Packed, state: Buffer, at: int
) -> tuple[float, float]:
    """Take one reading in; see `streamnorm.kernels.method.Step`.

    >>> state = [0.0] * SIZE
    >>> [round(step(x, 0.0, 1.0, 1.0, math.inf, (), state, 0)[0], 3) for x in (20.0, 22.0, 20.0)]
    [0.0, 0.994, -0.707]
    """
    first = state[at + 1]
    shortest = state[at + 2]
    keep = (1.0 - SHARE) / judge(x, v, state, at)
    weight = 0.0
    mean = 0.0
    variance = 0.0
    rate = FIRST_RATE
    block = at
    for trust in range(at + TRUST, at + MIXTURE):
        # The mixture for y includes x in full, as in `online`, also where the update bounds its deviation.
        delta = x - state[block + 1]
        after = state[block + 2]
        step_online(x, v, 1.0 - rate, 1.0, clip, p, state, block)
        gain = 1.0 / state[block]
        rest = 1.0 - gain
        trusted = keep * state[trust] + CRUMB
        state[trust] = trusted
        w = trusted * trusted
        weight += w
        mean += w * rest * delta
        variance += w * (rest * (after + delta * delta) + gain * v)
        rate *= 0.5
        block += 3
    # Sums are relative to x, from which no mean is further than 2⁷ standard deviations: nothing cancels.
    mean /= weight
    variance = variance / weight - mean * mean
    if clip < math.inf:
        mix(state, at)
    else:
        state[at + MIXTURE] = x - mean
        state[at + MIXTURE + 1] = variance if variance > 0.0 else 0.0
    if variance <= TINY:
        return 0.0, 0.0
    scale = 1.0 / math.sqrt(variance)
    if v > 0.0:
        return mean * scale, scale
    delta = x - first
    moved = delta / state[at]
    if first + moved == first or shortest + moved * delta <= NEGLIGIBLE * variance:
        return 0.0, 0.0
    return mean * scale, 0.0


def spread(_p: Packed, state: Buffer, at: int) -> tuple[float, float]:
    """Give the mixture's mean and standard deviation."""
    return state[at + MIXTURE], math.sqrt(state[at + MIXTURE + 1])


def size(_p: Packed) -> int:
    """Count the floats of state a feature needs."""
    return SIZE


def merge(p: Packed, a: Buffer, at_a: int, b: Buffer, at_b: int) -> None:
    """Merge block b into block a, horizon by horizon; what both learnt of the horizons counts as evidence of both."""
    if b[at_b] <= 0.0:
        return
    if a[at_a] <= 0.0:
        for i in range(SIZE):
            a[at_a + i] = b[at_b + i]
        return
    total = 0.0
    for k in range(HORIZONS):
        merge_online(p, a, at_a + 3 * k, b, at_b + 3 * k)
        trust = at_a + TRUST + k
        a[trust] *= b[at_b + TRUST + k]
        total += a[trust]
    for trust in range(at_a + TRUST, at_a + MIXTURE):
        a[trust] = (1.0 - SHARE) * (a[trust] / total) + CRUMB
    mix(a, at_a)


ADAPTIVE = Method(name="adaptive", parameters=Parameters, size=size, step=step, spread=spread, merge=merge)
