"""Time in parallel: stretches of one column worked on at once, and joined.

With a fixed decay and without `robust`, everything in the base block is a weighted sum over the past, or an extreme, or
a count. So a stretch of readings can be summed up from nothing, and the sum be joined to what came before it (Chan,
Golub and LeVeque 1979, with decay): an associative operation. Each stretch is then gone through again from the state in
which it begins, with the same step as ever, which gives its answers.

How far this may differ: both ways round the mean, at every reading or at every join, so in float64 answers differ by
less than

    1e-12 · max(1, |y|) · max(1, √(W/1000) · |μ|/100σ)

with W the weight, at most the horizon. The way by stretches rounds less often, and is as near to the exact result.
Constants stay exactly 0, counts are the same, and so are extremes within a horizon; which readings a horizon ends with
may differ, and with it what is remembered of levels. One thing is a matter of luck: y is 0 where the mean or the spread
can no longer resolve a deviation, and at this edge, where |y| is about 1e-8 or W·|μ|/σ·2⁻⁵³, one way may still see what
the other does not.

A stretch's sums are at a place `at` of `part`; two are joined at `at_a` and `at_b`. `lam` is the decay of a reading,
and `decay` that of a whole stretch; `lowest` and `highest` are its extremes.
"""

from __future__ import annotations

import math

from streamnorm.kernels import base_statistics
from streamnorm.kernels.method import Buffer
from streamnorm.kernels.methods import online

join_profiles = base_statistics.merge
join_statistics = online.merge
turn = base_statistics.turn

#: behind a stretch's base block: the decay of what was before it, its first value, and the weight that one has left
DECAY, FIRST, FIRST_WEIGHT = base_statistics.SIZE, base_statistics.SIZE + 1, base_statistics.SIZE + 2
SIZE = base_statistics.SIZE + 3
#: the decay of a horizon, and of what `profile.MOVED` remembers: (1 − 1/MOVES) is the decay of a horizon to this power
ONE_HORIZON = math.exp(-1.0)
FADING = -math.log(1.0 - 1.0 / base_statistics.MOVES)


def note(x: float, lam: float, part: Buffer, at: int) -> None:
    """Note what a stretch needs beside its base block; runs before the base block takes x in."""
    if x != x:  # noqa: PLR0124 - NaN
        return
    if part[at + 6] == 0.0:
        part[at + DECAY] = 1.0
        part[at + FIRST] = x
        part[at + FIRST_WEIGHT] = 1.0
    else:
        part[at + FIRST_WEIGHT] *= lam
    part[at + DECAY] *= lam


def join(a: Buffer, at_a: int, b: Buffer, at_b: int) -> None:
    """Let the stretch `b`, whose readings came next, follow on `a`: a stretch too, or a state with room behind it.

    >>> a, b = [1.0, 20.0] + [0.0] * 4 + [1.0, 0.0, 20.0, 20.0, 20.0, 1.0] + [0.0] * 10, [0.0] * SIZE
    >>> join(a, 0, b, 0)
    >>> a[:3]
    [1.0, 20.0, 0.0]
    """
    missing = a[at_a + 7]
    if b[at_b + 6] == 0.0:
        a[at_a + 7] = missing + b[at_b + 7]
        return
    if a[at_a + 6] == 0.0:
        for place in range(SIZE):
            a[at_a + place] = b[at_b + place]
        a[at_a + 7] += missing
        return
    decay = b[at_b + DECAY]
    a[at_a] *= decay
    a[at_a + DECAY] *= decay
    a[at_a + FIRST_WEIGHT] *= decay
    change = b[at_b + FIRST] - a[at_a + 8]
    together = b[at_b + 11] == b[at_b + 6] and change == 0.0
    run = a[at_a + 11] + b[at_b + 11] if together else b[at_b + 11]
    lowest = a[at_a + 16]
    highest = a[at_a + 17]
    share = b[at_b] / (a[at_a] + b[at_b])
    a[at_a + 12] = (1.0 - share) * a[at_a + 12] + share * b[at_b + 12]
    a[at_a + 13] = (1.0 - share) * a[at_a + 13] + share * b[at_b + 13]
    join_profiles(a, at_a, b, at_b)
    join_statistics((), a, at_a, b, at_b)
    part = b[at_b + FIRST_WEIGHT] / a[at_a]
    a[at_a + 5] += part * change * change
    if change == 0.0:
        a[at_a + 12] += part
    if change < 0.0:
        a[at_a + 13] += part
    a[at_a + 8] = b[at_b + 8]
    a[at_a + 11] = run
    join_levels(lowest, highest, decay, a, at_a, b, at_b)


def join_levels(lowest: float, highest: float, decay: float, a: Buffer, at_a: int, b: Buffer, at_b: int) -> None:
    """Let the horizons of `b` follow on those of `a`, whose extremes since its last one are given."""
    age = a[at_a + 18] + b[at_b + 18]
    if decay > ONE_HORIZON and age < 1.0:
        a[at_a + 18] = age
        return
    if decay > ONE_HORIZON:
        if decay < 1.0:
            a[at_a + 16] = min(lowest, b[at_b + 9])
            a[at_a + 17] = max(highest, b[at_b + 10])
        turn(0.0, 0.0, decay, a, at_a)
        if decay == 1.0:
            return
    else:
        a[at_a + 15] = b[at_b + 15] + a[at_a + 15] * decay**FADING
        a[at_a + 14] = b[at_b + 14]
        a[at_a + 9] = b[at_b + 9]
        a[at_a + 10] = b[at_b + 10]
    a[at_a + 16] = b[at_b + 16]
    a[at_a + 17] = b[at_b + 17]
    a[at_a + 18] = b[at_b + 18]
