"""`online-2019`: the forward pass of Online Normalization, as published.

V. Chiley, I. Sharma, S. Koliousis and others, *Online Normalization for Training Neural Networks* (NeurIPS 2019),
equations 8a to 8c, from μ = 0 and S = 1 on, with the statistics from *before* x:

    y = (x − μ)/√(S + ε)        S ← α·S + α(1−α)·(x − μ)²        μ ← α·μ + (1−α)·x

A channel with mean x and variance v: S ← α·S + (1−α)·v + α(1−α)·(x − μ)². What bounds the output acts after the affine
map and on the whole reading, so it is not the step's: `compensation` tells the engine's last stage what to do. Unlike
`online` this has a range in mind (0 ± 1), needs ε, and a constant gives 0 only in the limit. Readings are counted: λ
and ω are not used.

Its functions take what a `streamnorm.kernels.method.Step` does: a reading `x` of variance `v`, the decay `lam`, the
weight `omega`, the bound `clip`, the packed parameters `p`, and the place `at` of a block in `state`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from streamnorm.kernels.method import Buffer, Method, Packed, Parameters
from streamnorm.kernels.methods.online import clipped

#: The bound of the paper's activation clamping.
CLAMP = 5.0
#: The ε of layer scaling, as in the authors' code.
LAYER_SCALING_EPS = 1e-5

# A block: readings so far, mean, variance.
SIZE = 3


class Online2019Parameters(Parameters):
    """Parameters of `online-2019`."""

    alpha_fwd: float = Field(0.999, gt=0.0, lt=1.0, description="decay of the statistics, a reading")
    eps: float = Field(1e-5, ge=1e-12, le=1.0, description="added to the variance under the root")
    compensation: Literal["clamp", "layer-scaling", "none"] = Field(
        "clamp",
        description="what bounds the output, after the affine map: clamping to ±5, dividing the reading's outputs by "
        "the root mean square of all its elements, or nothing",
    )

    def pack(self) -> tuple[float, ...]:
        """Return (alpha_fwd, eps, bound, ε of layer scaling), the last two as `compensation` takes them."""
        bound = CLAMP if self.compensation == "clamp" else math.inf
        layer = LAYER_SCALING_EPS if self.compensation == "layer-scaling" else -1.0
        return (self.alpha_fwd, self.eps, bound, layer)


def compensation(p: Packed) -> tuple[float, float]:
    """Return what is done to a reading's outputs last, after the affine map: (bound or infinity, ε or −1).

    Layer scaling (ε ≥ 0) divides by √(mean square + ε), the mean taken over all elements of the reading that are not
    missing: each plain feature is one element, each channel as many as it has.
    """
    return p[2], p[3]


def step(
    x: float, v: float, _lam: float, _omega: float, clip: float, p: Packed, state: Buffer, at: int
) -> tuple[float, float]:
    """Take one reading in; see `streamnorm.kernels.method.Step`.

    >>> state = [0.0] * SIZE
    >>> [round(step(x, 0.0, 1.0, 1.0, math.inf, (0.9, 1e-5), state, 0)[0], 3) for x in (2.0, 2.0)]
    [2.0, 1.604]
    """
    alpha = p[0]
    mean = state[at + 1]
    variance = state[at + 2] if state[at] > 0.0 else 1.0
    delta = x - mean
    scale = 1.0 / math.sqrt(variance + p[1])
    bounded = clipped(delta, clip, variance)
    if clip < math.inf and variance > 0.0:
        limit = clip * clip * variance
        v = v if v < limit else limit
    state[at] += 1.0
    state[at + 1] = mean + (1.0 - alpha) * bounded
    state[at + 2] = alpha * variance + (1.0 - alpha) * v + alpha * (1.0 - alpha) * bounded * bounded
    return delta * scale, scale


def spread(p: Packed, state: Buffer, at: int) -> tuple[float, float]:
    """Return today's mean and √(S + ε)."""
    return state[at + 1], math.sqrt((state[at + 2] if state[at] > 0.0 else 1.0) + p[1])


def size(_p: Packed) -> int:
    """Count the floats of state a feature needs."""
    return SIZE


def sound(_p: Packed, own: Sequence[float], _low: float, _high: float) -> bool:
    """Return whether count and variance are not below 0."""
    return min(own[0], own[2]) >= 0.0


ONLINE_2019 = Method(
    name="online-2019",
    parameters=Online2019Parameters,
    size=size,
    step=step,
    spread=spread,
    sound=sound,
    bounded=False,
    compensation=compensation,
    merge=None,  # the start (0 ± 1) is part of the statistics and would count twice
)
