"""`adaptive`: a bank of horizons from T on, and the trends between them, each trusted as far as it predicts.

T, the configuration's `horizon` or `time_constant`, is the shortest span that "normal" reaches back: what changes more
slowly than T is baseline and is removed, what changes faster is signal and is kept. Horizon j reaches back T·4^j: its
decay λ_j is 1 − (1−λ)/4^j, or of a time constant the 4^j-th root of λ. It keeps weight W, mean age A, mean μ and
variance S of the past as `online` does, and its trust p. Two means of different age show a slope: the trend j, of every
horizon but the last, keeps the mean square E of its errors, its trust q and the slope b. With M and V the mean and
variance of the mixture and a the time since the last reading, a reading x (a channel: mean x, variance v) comes upon

    d_j = x − μ_j        e_j = x − (μ_j + b_j·(A_j + a))        d = x − M

and is first evidence on who foresaw it. The likelihood is shaped like that of Student's t, whose tails keep one reading
from turning everything over; u is S_j + 2⁻⁷V for a horizon, and for a trend, with e_j in place of d_j, E_j + 2⁻⁷V:

    r = u/(u + (d_j² + v)/4) · (1 + (d² + v)/4V)        p_j ← (keep·p_j + c)·r⁴·√(r·V/u)

`keep` makes the sum of all trusts 1 − 2⁻¹⁰, and c shares 2⁻¹⁰ out, evenly among the horizons and a quarter of that
to each trend, so that the bank can change its mind (the fixed share of M. Herbster and M. Warmuth, *Tracking the Best
Expert*, 1998). The trend of the shortest horizon would remove much of any cycle of 4T, too: its likelihood is
multiplied by `HANDICAP`, so that it is trusted after steps and on steep slopes. Then all learn,

    W ← λ_j·W + 1    g = 1/W    A ← (1−g)·(A + a)    μ ← μ + g·d_j    S ← (1−g)·(S + g·d_j²) + g·v
    E ← E + g·(e_j² + v − E)    b = (μ_j − μ_{j+1})/max(A_{j+1} − A_j, A_j/12)

and the mixture's mean follows with w = p², so that what is shared out does not leak in; m is μ_j for a horizon, and
for a trend μ_j + b_j·A_j, where the lag behind a ramp cancels:

    M = Σ w·m / Σ w        R = Σ w·(b·a)² / Σ w, of the trends        y = (x − M)/√V
    G = ⅜·g_0 + ⅝·g_1      V ← V + G·((x − M)² + R + v − V)

V is the mean square of what the mixture left over some 1.9T, so that y has unit variance whichever parts are trusted.
With a shorter memory a cycle's scale would change from hour to hour, with a longer one a step would be felt for longer.
Of a ramp without noise nothing is left: what it rises in a reading, R, is its deviation.

*Rests.* A reading within 2⁻¹⁰ deviations of the last one that was evidence is none itself: a sensor that rests says
nothing about how far back its normal reaches. But what rests for longer than T is baseline: trust goes over to the
shortest horizon at the rate at which that forgets. y is exactly 0, and M is x, where the shortest horizon can no longer
resolve the difference: added to its mean with its gain, or squared to its variance, it changes nothing.

*Wild readings.* What lies beyond 2·√((W_0 + 32)·V) is taken as if it lay there: no reading makes the variance of a
horizon of 1000 more than some five times as large, nor V more than three times, and a wild one is forgotten within 2T.
A jump that is real is believed after a few readings all the same. Its y is what it would be if all of it were learned:
of M with the mixture's gain Σ w·g / Σ w, of V with G. `robust` tightens the bound of what is learned. A first reading
has no past to be judged by: until the shortest horizon weighs 32, its first readings fade as n⁻⁶, and G is g_0.

All of it is ratios of deviations: scaling by a power of two changes no bit of y, another scale or a shift only the
rounding. There is no logarithm, whose last bit differs between machines. |y| ≤ 1/√G, which is 43
at T = 1000.

Its functions take what a `streamnorm.kernels.method.Step` does: a reading `x` of variance `v`, the decay `lam`, the
weight `omega`, the bound `clip`, the packed parameters `p`, and the place `at` of a block in `state`.
"""

from __future__ import annotations

import math

from streamnorm.kernels.method import Buffer, Method, Packed
from streamnorm.kernels.methods.adaptive_bank import (
    COMMON,
    SHARE,
    STEEP,
    STRIDE,
    TINY,
    TREND,
    WITHOUT_TREND,
    AdaptiveParameters,
    begin,
    convert,
    fade,
    merge,
    size,
    sound,
)

HANDICAP = 0.8
NEARER, FARTHER = 0.375, 0.625  # of the gains of the horizons T and 4T: V's, which reaches back 1.9T
FLOOR = 2.0**-7  # of the mixture's variance; under it all variances count alike
STIR = 2.0**-20  # of the mixture's variance: a reading that moved by a smaller square rests
REACH = 4.0  # of (W + EARLY)·V: the square of a deviation beyond which a reading is wild
EARLY, FADING = 32.0, 5.0 / 6.0  # until W_0 is EARLY, W·(1−λ_0) is at least FADING


def step(  # noqa: C901, PLR0912, PLR0915 - one fused pass: interpreted, a call costs more than what it would do
    x: float, v: float, lam: float, omega: float, clip: float, p: Packed, state: Buffer, at: int
) -> tuple[float, float]:
    """Take one reading in; see `streamnorm.kernels.method.Step`.

    >>> p = AdaptiveParameters(horizon=50.0).pack()
    >>> state = [0.0] * size(p)
    >>> [round(step(x, 0.0, 0.98, 1.0, math.inf, p, state, 0)[0], 3) for x in (20.0, 22.0, 20.0)]
    [0.0, 1.053, -0.937]
    """
    weight = state[at]
    if weight == 0.0:
        begin(p, 1.0, x, v, state, at)
        return 0.0, 1.0 / math.sqrt(v) if v > TINY else 0.0
    last = at + STRIDE * int(p[0]) - STRIDE
    end = last + WITHOUT_TREND
    mean = state[end]
    variance = state[end + 1]
    keep = state[end + 3]
    shortest = state[at + 1]
    crumb = p[1]
    delta = x - mean
    judged = False
    rests = False
    near = x  # as evidence
    wild = 0.0  # how much of it no horizon learns
    noise = v
    c = 1.0
    if variance > TINY:
        limit = REACH * (weight + EARLY) * variance
        square = delta * delta
        if square > limit:
            near = mean + math.copysign(math.sqrt(limit), delta)
        if clip < math.inf and clip * clip * variance < limit:
            limit = clip * clip * variance
        if square > limit:
            wild = near - mean - math.copysign(math.sqrt(limit), delta)
        if noise > limit:
            noise = limit
        moved = x - state[end + 2]
        judged = v > 0.0 or moved * moved > STIR * variance
        rests = not judged
        if judged:
            keep *= 1.0 - SHARE
        square = near - mean
        c = 1.0 + 0.25 * (square * square + noise) / variance
    if not rests:
        state[end + 2] = x
    flow = 1.0 - lam
    # Times in units of T: that since the last reading, −ln λ, and the age of a late one, −ln ω; to the third order.
    ago = 2.0 * flow / (1.0 + lam)
    punctual = omega == 1.0
    late = 0.0 if punctual else 2.0 * (1.0 - omega) / (1.0 + omega)
    floor = FLOOR * variance
    bend = c * variance
    decay = lam
    root = lam
    rate = flow
    counted = p[3] < math.inf
    if weight < EARLY and decay > 1.0 - FADING / weight:
        decay = 1.0 - FADING / weight if weight > FADING else 0.0
    total = 0.0
    sure = 0.0
    center = 0.0
    rise = 0.0
    gains = 0.0
    shortest_gain = 1.0
    learned = 1.0  # G
    likely = HANDICAP
    # of the horizon before, whose trend needs this one: its mean and age before x, and its gain
    mean0 = 0.0
    age0 = 0.0
    gain0 = 0.0
    for block in range(at, last + 1, STRIDE):
        mu = state[block + 1]
        spread = state[block + 2]
        age = state[block + 3]
        trust = state[block + 4]
        d = near - mu
        if judged:
            t = 1.0 / (spread + floor + 0.25 * (d * d + noise))
            r = (spread + floor) * c * t
            r *= r
            trust = (keep * trust + crumb) * r * r * math.sqrt(bend * t)
        elif rests:
            trust *= keep
            if block > at:
                trust = lam * trust + flow * crumb
        weight = decay * state[block] + omega
        g = omega / weight if weight > 0.0 else 1.0
        rest = 1.0 - g
        d -= wild
        now = mu + g * d
        spread = rest * (spread + g * d * d) + g * noise
        younger = rest * (age + ago) + g * late
        state[block] = weight
        state[block + 1] = now
        state[block + 2] = spread
        state[block + 3] = younger
        state[block + 4] = trust
        if block == at:
            shortest_gain = learned = g
        else:
            before = block - STRIDE
            error = state[before + 5]
            e = near - (mean0 + state[before + 7] * (age0 + ago - late))
            q = state[before + 6]
            if judged:
                t = 1.0 / (error + floor + 0.25 * (e * e + noise))
                r = (error + floor) * c * t
                r *= r
                q = (keep * q + TREND * crumb) * r * r * math.sqrt(bend * t) * likely
            elif rests:
                q = lam * keep * q + flow * TREND * crumb
            e -= wild
            error += gain0 * (e * e + noise - error)
            level = state[before + 1]
            age0 = state[before + 3]
            apart = younger - age0
            if apart < STEEP * age0:
                apart = STEEP * age0
            slope = (level - now) / apart if apart > 0.0 else 0.0
            state[before + 5] = error
            state[before + 6] = q
            state[before + 7] = slope
            level += slope * age0 - mean
            slope *= ago
            total += q
            q *= q
            sure += q
            center += q * level
            gains += q * gain0
            rise += q * slope * slope
            likely = 1.0
            if before == at and state[at] >= EARLY:
                learned = NEARER * gain0 + FARTHER * g
        total += trust
        trust *= trust
        sure += trust
        center += trust * (now - mean)
        gains += trust * g
        mean0 = mu
        age0 = age
        gain0 = g
        if counted:
            rate *= 0.25
            decay = 1.0 - rate
        else:
            root = math.sqrt(math.sqrt(root))
            decay = root
        if not punctual:
            omega = math.sqrt(math.sqrt(omega))
    if sure <= TINY:  # no readings lead here, only numbers from outside
        begin(p, state[at], state[at + 1], state[at + 2], state, at)
        return 0.0, 0.0
    inverse = 1.0 / sure  # one division, which costs as much as ten products, for three
    center *= inverse
    d = near - wild - mean - center
    after = (1.0 - learned) * variance + learned * (d * d + rise * inverse + noise)
    state[end] = mean + center
    state[end + 1] = after
    if judged or rests:
        state[end + 3] = 1.0 / total
    apart = x - shortest
    share = shortest_gain if punctual else 1.0 / state[at]
    if v == 0.0 and (shortest + share * apart == shortest or state[at + 2] + apart * apart == state[at + 2]):
        state[end] = x
        return 0.0, 0.0
    y = delta - center
    if variance > TINY and near - wild != x:
        y = delta - gains * inverse * delta
        after = (1.0 - learned) * variance + learned * (y * y + v)
    if after <= TINY:
        return 0.0, 0.0
    scale = 1.0 / math.sqrt(after)
    return y * scale, scale if v > 0.0 else 0.0


def spread(p: Packed, state: Buffer, at: int) -> tuple[float, float]:
    """Return the mixture's mean and standard deviation."""
    end = at + size(p) - COMMON
    return state[end], math.sqrt(state[end + 1])


ADAPTIVE = Method(
    name="adaptive",
    parameters=AdaptiveParameters,
    size=size,
    step=step,
    spread=spread,
    merge=merge,
    sound=sound,
    fade=fade,
    convert=convert,
    counts=(3, 4),  # T from 250 readings on
    restarts=frozenset({"horizon", "time_constant"}),
)
