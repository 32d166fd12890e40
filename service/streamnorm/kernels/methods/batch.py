"""`batch`: z-score within the last `window` readings, the newest included.

Batch Normalization (S. Ioffe and C. Szegedy, *Batch Normalization: Accelerating Deep Network Training by Reducing
Internal Covariate Shift*, 2015) over a sliding batch of n = min(readings so far, window) readings:

    μ_B = Σx/n        σ²_B = Σ(x − μ_B)²/n        y = (x − μ_B)/σ_B        (0 where σ_B = 0)

Nothing is ever subtracted from the statistics, so they never drift: the readings are cut into blocks of `window`, and a
sliding batch is always the tail of the previous block and the head of the current one (M. van Herk 1992, J. Gil and
M. Werman 1993, there for minima). When a block is full, the statistics of all its tails are worked out once, from its
end, in the place of its readings; the head's are kept as it grows. Tail and head are merged (Chan, Golub and LeVeque
1979), and the newest reading enters as in `online` with λ = 1, hence |y| ≤ √(n−1). Constants give exactly 0, also
again `window` readings after a change. With `robust`, a batch of readings that were all cut to the same value would
spread no more and never let the true level in: so many in a row on one side (`LONGEST_CUT`, half a window at most) are
taken for what they are. A reading costs the same few operations whatever the window, but one in
`window` pays for the tails. Readings are counted: λ and ω are not used.

Its functions take what a `streamnorm.kernels.method.Step` does: a reading `x` of variance `v`, the decay `lam`, the
weight `omega`, the bound `clip`, the packed parameters `p`, and the place `at` of a block in `state`. `delta` is a
deviation, `variance` the batch's, and `place` where a run of cut readings is counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from streamnorm.kernels.method import Buffer, Method, Packed, Parameters
from streamnorm.kernels.methods.online import clipped
from streamnorm.kernels.methods.online import merge as merge_online
from streamnorm.kernels.methods.online import step as step_online

#: Batch Normalization is used with batches of 64 to 1024.
DEFAULT_WINDOW = 256
#: One feature's state then takes 1 MiB.
MAX_WINDOW = 65_536

# A block: weight, mean, variance of the sliding batch; the same of the head; then `window` slots of two floats, up to
# the head's end its readings (x, v), from there on the previous block's tails (mean, variance of slots i and later);
# last, how many readings in a row were beyond the bound of `robust`, negative where below it.
HEAD = 3
SLOTS = 6
#: Wild readings come alone or few together; the batch size from which statistics are commonly trusted is a level.
LONGEST_CUT = 32.0


class BatchParameters(Parameters):
    """Parameters of `batch`."""

    window: int = Field(DEFAULT_WINDOW, ge=2, le=MAX_WINDOW, description="readings in a batch, the newest included")

    def pack(self) -> tuple[float, ...]:
        """Return (window,)."""
        return (float(self.window),)


def forget(state: Buffer, head: int) -> None:
    """Empty the head."""
    state[head] = 0.0
    state[head + 1] = 0.0
    state[head + 2] = 0.0


def fold(window: int, p: Packed, state: Buffer, at: int) -> None:
    """Turn the readings of a full block into the statistics of its tails, and begin a new head."""
    head = at + HEAD
    forget(state, head)
    for slot in range(at + SLOTS + 2 * window - 2, at + SLOTS - 2, -2):
        step_online(state[slot], state[slot + 1], 1.0, 1.0, math.inf, p, state, head)
        state[slot] = state[head + 1]
        state[slot + 1] = state[head + 2]
    forget(state, head)


def cut(delta: float, clip: float, variance: float, window: float, state: Buffer, place: int) -> float:
    """Return the bound that is in force for a reading, and count those beyond it, in a row on one side."""
    if clip == math.inf or variance <= 0.0 or clipped(delta, clip, variance) == delta:
        state[place] = 0.0
        return clip
    run = state[place]
    side = 1.0 if delta > 0.0 else -1.0
    run = run + side if run * side > 0.0 else side
    state[place] = run
    return math.inf if math.fabs(run) >= min(LONGEST_CUT, max(2.0, 0.5 * window)) else clip


def step(
    x: float, v: float, _lam: float, _omega: float, clip: float, p: Packed, state: Buffer, at: int
) -> tuple[float, float]:
    """Take one reading in; see `streamnorm.kernels.method.Step`.

    >>> p, state = (2.0,), [0.0] * 11
    >>> [step(x, 0.0, 1.0, 1.0, math.inf, p, state, 0)[0] for x in (20.0, 22.0, 20.0, 20.0)]
    [0.0, 1.0, -1.0, 0.0]
    """
    window = int(p[0])
    head = at + HEAD
    filled = int(state[head])
    if state[at] < window or filled + 1 == window:  # no previous block yet, or nothing left of it
        state[at] = state[head]
        state[at + 1] = state[head + 1]
        state[at + 2] = state[head + 2]
    else:
        tail = at + SLOTS + 2 * (filled + 1)
        state[at] = float(window - filled - 1)
        state[at + 1] = state[tail]
        state[at + 2] = state[tail + 1]
        merge_online(p, state, at, state, head)
    mean = state[at + 1]
    variance = state[at + 2]
    clip = cut(x - mean, clip, variance, p[0], state, at + SLOTS + 2 * window)
    y, scale = step_online(x, v, 1.0, 1.0, clip, p, state, at)
    if clip < math.inf and variance > 0.0:
        x = mean + clipped(x - mean, clip, variance)
        limit = clip * clip * variance
        v = v if v < limit else limit  # as `online` bounds it
    step_online(x, v, 1.0, 1.0, math.inf, p, state, head)
    state[at + SLOTS + 2 * filled] = x
    state[at + SLOTS + 2 * filled + 1] = v
    if filled + 1 == window:
        fold(window, p, state, at)
    return y, scale


def spread(_p: Packed, state: Buffer, at: int) -> tuple[float, float]:
    """Return the mean and standard deviation of the last `window` readings."""
    return state[at + 1], math.sqrt(state[at + 2])


def size(p: Packed) -> int:
    """Count the floats of state a feature needs."""
    return SLOTS + 2 * int(p[0]) + 1


def sound(p: Packed, own: Sequence[float], _low: float, _high: float) -> bool:
    """Return whether the counts lie within the window and no variance below 0."""
    batch, head = own[0], own[HEAD]
    counted = 0.0 <= batch <= p[0] and 0.0 <= head < p[0] and batch == int(batch) and head == int(head)
    return counted and min(own[2], own[HEAD + 2], *own[SLOTS + 1 : -1 : 2]) >= 0.0


BATCH = Method(
    name="batch",
    parameters=BatchParameters,
    size=size,
    step=step,
    spread=spread,
    merge=None,  # two sensors' readings have no common order to slide over
    sound=sound,
    grown=1,
    restarts=frozenset({"window"}),
)
