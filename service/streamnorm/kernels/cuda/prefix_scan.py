"""Time in parallel: stretches of one column worked on at once, and joined.

With a fixed decay and without `robust`, everything in the base block is a weighted sum over the past, or an extreme, or
a count. So a stretch of readings can be summed up from nothing, and the sum be joined to what came before it (Chan,
Golub and LeVeque 1979, with decay): an associative operation. Each stretch is then gone through again from the state in
which it begins, with the same step as ever, which gives its answers.

How far this may differ: both ways round the mean, at every reading or at every join, so in float64 answers differ by
less than

    1e-12 · max(1, |y|) · max(1, √(W/1000) · |μ|/100σ)

with W the weight, at most the horizon. The way by stretches rounds less often, and is as near to the exact result.
Constants stay exactly 0, counts and extremes are the same. One thing is a matter of luck: y is 0 where the mean or the
spread can no longer resolve a deviation, and at this edge, where |y| is about 1e-8 or W·|μ|/σ·2⁻⁵³, one way may still
see what the other does not.
"""

from __future__ import annotations

from streamnorm.kernels import base_statistics
from streamnorm.kernels.method import Buffer
from streamnorm.kernels.methods import online

join_profiles = base_statistics.merge
join_statistics = online.merge

#: behind a stretch's base block: the decay of what was before it, its first value, and the weight that one has left
DECAY, FIRST, FIRST_WEIGHT = base_statistics.SIZE, base_statistics.SIZE + 1, base_statistics.SIZE + 2
SIZE = base_statistics.SIZE + 3


def note(x: float, lam: float, part: Buffer, at: int) -> None:
    """Note what a stretch needs beside its base block; runs before the base block takes x in."""
    if x != x:  # noqa: PLR0124 - NaN
        return
    if part[at + 6] == 0.0:
        part[at + 12] = 1.0
        part[at + 13] = x
        part[at + 14] = 1.0
    else:
        part[at + 14] *= lam
    part[at + 12] *= lam


def join(a: Buffer, at_a: int, b: Buffer, at_b: int) -> None:
    """Let the stretch `b`, whose readings came next, follow on `a`: a stretch too, or a state with room behind it.

    >>> a, b = [1.0, 20.0] + [0.0] * 4 + [1.0, 0.0, 20.0, 20.0, 20.0, 1.0] + [0.0] * 3, [0.0] * SIZE
    >>> join(a, 0, b, 0)
    >>> a[:3]
    [1.0, 20.0, 0.0]
    """
    missing = a[at_a + 7]
    if b[at_b + 6] == 0.0:
        a[at_a + 7] = missing + b[at_b + 7]
        return
    if a[at_a + 6] == 0.0:
        for place in range(15):
            a[at_a + place] = b[at_b + place]
        a[at_a + 7] += missing
        return
    decay = b[at_b + 12]
    a[at_a] *= decay
    a[at_a + 12] *= decay
    a[at_a + 14] *= decay
    change = b[at_b + 13] - a[at_a + 8]
    together = b[at_b + 11] == b[at_b + 6] and change == 0.0
    run = a[at_a + 11] + b[at_b + 11] if together else b[at_b + 11]
    join_profiles(a, at_a, b, at_b)
    join_statistics((), a, at_a, b, at_b)
    a[at_a + 5] += b[at_b + 14] * change * change / a[at_a]
    a[at_a + 8] = b[at_b + 8]
    a[at_a + 11] = run
