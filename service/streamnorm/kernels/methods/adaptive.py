"""`adaptive`: no horizon to choose, a bank of them side by side, each trusted as far as it predicts.

The bank keeps the statistics of `online` for the horizons 2⁴, 2⁵ … 2¹⁴. A reading x (a channel: mean x, variance v) is
first evidence on how well each horizon k, with mean μ_k and variance S_k, foresaw it: the likelihood of Student's t
with ν = 8 degrees of freedom, whose tails keep one wild reading from turning everything over,

    u_k = S_k/S + 2⁻⁷        q_k = 1 + ((x − μ_k)² + v)/(ν·S·u_k)        p_k ← p_k · u_k^−½ · q_k^−(ν+1)/2

where S is the mixture's variance before x. The p_k are normalized, and 2⁻¹³ of their sum is shared out in proportion to
the squares of the horizons, so that the bank can change its mind (the fixed share of M. Herbster and M. Warmuth,
*Tracking the Best Expert*, 1998), and the steadier explanation has the start. A plain reading that equals the one
before it is no evidence, and nothing is shared then: a sensor at rest says nothing about how far back its normal
reaches, and by its silence alone the shortest horizon would win. Then every horizon learns x, and the mixture follows
with weights w_k ∝ p_k², so that the shared crumbs do not leak in:

    μ = Σ w_k·μ_k        S = Σ w_k·(S_k + (μ_k − μ)²)        y = (x − μ)/√S

All of it is ratios of deviations: scaling by a power of two changes no bit of y, another scale or a shift only the
rounding. With ν even, the likelihood needs a square root and no logarithm, whose last bit differs between machines.
|y| < 2⁷, since no horizon gives more. y is 0 and μ is x where the mean of the shortest horizon can no longer resolve
x − μ₀, or its variance is nothing beside the mixture's: x has then been the same for hundreds of readings.

Horizons are counted in readings: λ and ω are not used. The one-step-ahead prediction of the bank is the mixture of the
normal densities N(μ_k, S_k) with weights p_k before x; `spread` gives the mean and standard deviation by w_k.

Chosen by measurement: the sensors of `tests/benchmarks/quality.py` from four seeds, and alarms active 1 % of the time,
20 000 readings, which are to keep every event above 2.5 and their rest within 0.4 of 0: all of 300 do. Score is the
one-step-ahead score less that of the best fixed horizon, in nats a reading. Had rests counted as evidence, 3 of 40
alarms would not, and a temperature that stands still for hours would score −0.17 (+0.01). With shares in proportion to
the horizons instead of their squares, 5 of 200 alarms; heavy tails −0.018 (−0.013). With ν = 4, heavy tails −0.021, a
change of scale −0.015 (+0.001). With ν = 16, 22 of 200 alarms, and the offset on a slow sine is 0.15 (0.11).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from streamnorm.kernels.method import Buffer, Method, Packed, Parameters
from streamnorm.kernels.methods.online import merge as merge_online
from streamnorm.kernels.methods.online import step as step_online

HORIZONS = 11
FIRST_RATE = 2.0**-4  # 1/horizon of the first; the next ones halve it
FLOOR = 2.0**-7  # of the mixture's variance; under it all variances count alike
FREEDOM = 8.0
SHARE = 2.0**-13
FIRST_CRUMB = SHARE * 3.0 / (4.0**HORIZONS - 1.0)  # what the first horizon gets of it; each next one four times as much
NEGLIGIBLE = 2.0**-52
TINY = 1e-280  # a variance below it is mangled by underflow: no evidence, and no spread

# A block: weight, mean, variance and p of each horizon; mean and variance of the mixture; the last reading.
TRUST = 3
STRIDE = 4
MIXTURE = STRIDE * HORIZONS
LAST = MIXTURE + 2
SIZE = LAST + 1


def judge(x: float, v: float, state: Buffer, at: int) -> float:
    """Multiply every p by the likelihood of x, and give their sum; 1 where there is no evidence to be had."""
    variance = state[at + MIXTURE + 1]
    if variance <= TINY:
        return 1.0
    total = 0.0
    floor = FLOOR * variance
    for block in range(at, at + MIXTURE, STRIDE):
        delta = x - state[block + 1]
        floored = state[block + 2] + floor
        reach = floored + (delta * delta + v) / FREEDOM
        q = reach / floored
        square = q * q
        p = state[block + 3] / (square * square * math.sqrt(reach / variance))
        state[block + 3] = p
        total += p
    return total if total > TINY else 1.0


def mix(keep: float, crumb: float, state: Buffer, at: int) -> None:
    """Normalize every p by `keep`, share crumbs out from the first one's on, and write the mixture's mean and variance.

    Relative to one of the means, so that constants stay exact.
    """
    origin = state[at + 1]
    weight = 0.0
    mean = 0.0
    variance = 0.0
    for block in range(at, at + MIXTURE, STRIDE):
        p = keep * state[block + 3] + crumb
        crumb *= 4.0
        state[block + 3] = p
        w = p * p
        delta = state[block + 1] - origin
        weight += w
        mean += w * delta
        variance += w * (state[block + 2] + delta * delta)
    mean /= weight
    variance = variance / weight - mean * mean
    state[at + MIXTURE] = origin + mean
    state[at + MIXTURE + 1] = variance if variance > 0.0 else 0.0


def in_full(x: float, v: float, keep: float, crumb: float, state: Buffer, at: int) -> tuple[float, float]:
    """Return x's deviation from the mixture and the mixture's variance, were x learnt without a bound.

    With δ = x − μ_k and g the gain to come, x will deviate by (1−g)·δ and the variance be (1−g)·(S_k + g·δ²) + g·v.
    """
    weight = 0.0
    mean = 0.0
    variance = 0.0
    rate = FIRST_RATE
    for block in range(at, at + MIXTURE, STRIDE):
        gain = 1.0 / ((1.0 - rate) * state[block] + 1.0)
        rest = 1.0 - gain
        delta = x - state[block + 1]
        p = keep * state[block + 3] + crumb
        crumb *= 4.0
        w = p * p
        weight += w
        mean += w * rest * delta
        variance += w * (rest * (state[block + 2] + delta * delta) + gain * v)
        rate *= 0.5
    mean /= weight
    return mean, variance / weight - mean * mean


def step(
    x: float, v: float, _lam: float, _omega: float, clip: float, p: Packed, state: Buffer, at: int
) -> tuple[float, float]:
    """Take one reading in; see `streamnorm.kernels.method.Step`.

    >>> state = [0.0] * SIZE
    >>> [round(step(x, 0.0, 1.0, 1.0, math.inf, (), state, 0)[0], 3) for x in (20.0, 22.0, 20.0)]
    [0.0, 1.0, -0.707]
    """
    first = state[at + 1]
    shortest = state[at + 2]
    keep = 1.0
    crumb = 0.0
    if x != state[at + LAST] or v > 0.0 or state[at] == 0.0:
        keep = (1.0 - SHARE) / judge(x, v, state, at)
        crumb = FIRST_CRUMB
    state[at + LAST] = x
    deviation = 0.0
    variance = 0.0
    if clip < math.inf:
        # As in `online`, y includes x in full also where the update bounds its deviation.
        deviation, variance = in_full(x, v, keep, crumb, state, at)
    rate = FIRST_RATE
    for block in range(at, at + MIXTURE, STRIDE):
        step_online(x, v, 1.0 - rate, 1.0, clip, p, state, block)
        rate *= 0.5
    mix(keep, crumb, state, at)
    if clip == math.inf:
        deviation = x - state[at + MIXTURE]
        variance = state[at + MIXTURE + 1]
    if variance <= TINY:
        return 0.0, 0.0
    scale = 1.0 / math.sqrt(variance)
    if v > 0.0:
        return deviation * scale, scale
    delta = x - first
    moved = delta / state[at]
    if first + moved == first or shortest + moved * delta <= NEGLIGIBLE * variance:
        state[at + MIXTURE] = x
        return 0.0, 0.0
    return deviation * scale, 0.0


def spread(_p: Packed, state: Buffer, at: int) -> tuple[float, float]:
    """Return the mixture's mean and standard deviation."""
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
    for block in range(0, MIXTURE, STRIDE):
        merge_online(p, a, at_a + block, b, at_b + block)
        trust = at_a + block + TRUST
        a[trust] *= b[at_b + block + TRUST]
        total += a[trust]
    mix((1.0 - SHARE) / total, FIRST_CRUMB, a, at_a)


def sound(_p: Packed, own: Sequence[float]) -> bool:
    """Return whether nothing but means and the last reading lies below 0, and some horizon is trusted once one read."""
    signed = {*range(1, MIXTURE, STRIDE), MIXTURE, LAST}
    trusted = own[0] == 0.0 or max(own[TRUST:MIXTURE:STRIDE]) >= FIRST_CRUMB
    return trusted and all(value >= 0.0 for place, value in enumerate(own) if place not in signed)


ADAPTIVE = Method(name="adaptive", parameters=Parameters, size=size, step=step, spread=spread, merge=merge, sound=sound)
