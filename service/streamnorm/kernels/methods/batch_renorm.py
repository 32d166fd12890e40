"""`batch-renorm`: Batch Renormalization, batch statistics held to moving averages.

S. Ioffe, *Batch Renormalization: Towards Reducing Minibatch Dependence in Batch-Normalized Models* (NeurIPS 2017),
Algorithm 1, over a sliding batch, the last `window` readings (mean μ_B, standard deviation σ_B):

    r = clip(σ_B/σ, 1/r_max, r_max)        d = clip((μ_B − μ)/σ, −d_max, d_max)
    y = (x − μ_B)/σ_B·r + d
    μ ← μ + α·(μ_B − μ)        σ ← σ + α·(σ_B − σ)

Where neither is clipped, y = (x − μ)/σ. Two things that the paper leaves to its long start with plain Batch
Normalization: the moving averages are corrected for their start, as in `online`; and where they have seen no deviation
yet (σ = 0) r = 1 and d = 0. y is 0 where σ_B = 0. Hence |y| ≤ √(window−1)·r_max + d_max, and constants give exactly 0.
Readings are counted: λ and ω are not used.

Its functions take what a `streamnorm.kernels.method.Step` does: a reading `x` of variance `v`, the decay `lam`, the
weight `omega`, the bound `clip`, the packed parameters `p`, and the place `at` of a block in `state`. `own` is a block
from outside, whose readings lay between `low` and `high`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from streamnorm.kernels.method import Buffer, Method, Packed
from streamnorm.kernels.methods import batch
from streamnorm.kernels.methods.batch import BatchParameters
from streamnorm.kernels.methods.batch import step as step_batch

# A block: weight of the moving averages, μ, σ; then the block of `batch`.
BATCH = 3


class BatchRenormParameters(BatchParameters):
    """Parameters of `batch-renorm`."""

    momentum: float = Field(0.01, gt=0.0, le=1.0, description="α, by which the moving averages follow the batch")
    r_max: float = Field(3.0, ge=1.0, le=1e6, description="bound on r, and 1/r, the correction of scale")
    d_max: float = Field(5.0, ge=0.0, le=1e6, description="bound on |d|, the correction of shift")

    def pack(self) -> tuple[float, ...]:
        """Return (window, momentum, r_max, d_max)."""
        return (*super().pack(), self.momentum, self.r_max, self.d_max)


def step(
    x: float, v: float, lam: float, omega: float, clip: float, p: Packed, state: Buffer, at: int
) -> tuple[float, float]:
    """Take one reading in; see `streamnorm.kernels.method.Step`.

    >>> p, state = (2.0, 0.5, 3.0, 5.0), [0.0] * 14
    >>> [round(step(x, 0.0, 1.0, 1.0, math.inf, p, state, 0)[0], 3) for x in (20.0, 22.0, 20.0, 20.0)]
    [0.0, 1.0, -1.0, 0.0]
    """
    y, scale = step_batch(x, v, lam, omega, clip, p, state, at + BATCH)
    batch_mean = state[at + BATCH + 1]
    batch_std = math.sqrt(state[at + BATCH + 2])
    mean = state[at + 1]
    std = state[at + 2]
    if batch_std > 0.0 and std > 0.0:
        r_max = p[2]
        d_max = p[3]
        r = 1.0 / r_max if batch_std * r_max < std else r_max if batch_std > std * r_max else batch_std / std
        shift = batch_mean - mean
        d = d_max if shift > d_max * std else -d_max if shift < -d_max * std else shift / std
        y = y * r + d
        scale *= r
    weight = (1.0 - p[1]) * state[at] + 1.0
    state[at] = weight
    state[at + 1] = mean + (batch_mean - mean) / weight
    state[at + 2] = std + (batch_std - std) / weight
    return y, scale


def spread(_p: Packed, state: Buffer, at: int) -> tuple[float, float]:
    """Return the moving averages of mean and standard deviation, by which the paper infers."""
    return state[at + 1], state[at + 2]


def size(p: Packed) -> int:
    """Count the floats of state a feature needs."""
    return BATCH + batch.size(p)


def sound(p: Packed, own: Sequence[float], low: float, high: float) -> bool:
    """Return whether weight and standard deviation are not below 0, and the batch behind them is sound."""
    return min(own[0], own[2]) >= 0.0 and batch.sound(p, own[BATCH:], low, high)


BATCH_RENORM = Method(
    name="batch-renorm",
    parameters=BatchRenormParameters,
    size=size,
    step=step,
    spread=spread,
    merge=None,  # as `batch`
    sound=sound,
    grown=1,
    restarts=frozenset({"window"}),
)
