"""From raw z-scores to answers: missing values, clamp, affine map and compensation, in that order.

`ys` are the z-scores of the features `names`, and `plan` is how their stream is configured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from streamnorm.kernels.templates import finish_rows

if TYPE_CHECKING:
    from streamnorm.engine.configuration.plan import Plan
    from streamnorm.engine.reading import Array


def postprocess(plan: Plan, names: tuple[str, ...], ys: list[float | Array]) -> list[float | Array]:
    """Finish one reading's z-scores as its stream is configured; a channel's elements count one by one."""
    if not plan.finishes:
        return ys
    flat: list[float] = []
    gammas: list[float] = []
    betas: list[float] = []
    for name, y in zip(names, ys, strict=True):
        gamma, beta = plan.gamma_beta(name)
        elements = y.ravel().tolist() if isinstance(y, np.ndarray) else [y]
        flat += elements
        gammas += [gamma] * len(elements)
        betas += [beta] * len(elements)
    finish_rows(flat, 1, len(flat), plan.missing, plan.clamp, gammas, betas, plan.compensation)
    answers: list[float | Array] = []
    at = 0
    for y in ys:
        if isinstance(y, np.ndarray):
            answers.append(np.array(flat[at : at + y.size]).reshape(y.shape))
            at += y.size
        else:
            answers.append(flat[at])
            at += 1
    return answers


def postprocess_block(plan: Plan, names: tuple[str, ...], ys: Array, kind: npt.DTypeLike = np.float64) -> Array:
    """Finish a block's z-scores as its stream is configured, maybe in place.

    `ys` are rows × features, as is what is returned, whose type is `kind`, float64 or float32.
    """
    if plan.finishes:
        gammas, betas = zip(*(plan.gamma_beta(name) for name in names), strict=True)
        ys = plan.kernel.finish_block(ys, plan.missing, plan.clamp, gammas, betas, plan.compensation)
    return plan.kernel.as_type(ys, kind)
