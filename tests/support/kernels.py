"""How the tests run a method's step: interpreted, or compiled as the service compiles it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from streamnorm.kernels.method import Method
from streamnorm.kernels.specialize import specialize

Array = npt.NDArray[np.float64]


def interpreted(
    method: Method,
    xs: Sequence[float] | npt.NDArray[np.floating],
    p: tuple[float, ...] | None = None,
    state: list[float] | None = None,
    *,
    vs: Sequence[float] | None = None,
    clip: float = math.inf,
    lam: float = 0.999,
) -> Array:
    """Run readings through the plain step; returns every y."""
    p = method.parameters().pack() if p is None else p
    state = [0.0] * method.size(p) if state is None else state
    spreads = vs or [0.0] * len(xs)
    pairs = zip(xs, spreads, strict=True)
    return np.array([method.step(float(x), v, lam, 1.0, clip, p, state, 0)[0] for x, v in pairs])


def compiled(
    method: Method,
    xs: Sequence[float] | npt.NDArray[np.floating],
    p: tuple[float, ...] | None = None,
    state: Array | None = None,
    *,
    vs: Sequence[float] | None = None,
    clip: float = math.inf,
    lam: float = 0.999,
) -> Array:
    """Run readings through the compiled step; returns every y."""
    p = method.parameters().pack() if p is None else p
    state = np.zeros(method.size(p)) if state is None else state
    out = np.empty(len(xs))
    spreads = np.zeros(len(xs)) if vs is None else np.array(vs)
    _loop(method)(np.asarray(xs, dtype=np.float64), spreads, lam, clip, p, state, out)
    return out


@functools.cache
def _loop(method: Method) -> Callable[..., None]:
    step = specialize(method.step, {}, decorate=numba.njit(error_model="python"), label=f"test-{method.name}")

    @numba.njit
    def loop(xs: Array, vs: Array, lam: float, clip: float, p: Any, state: Array, out: Array) -> None:  # noqa: PLR0917
        for i in range(len(xs)):
            out[i] = step(xs[i], vs[i], lam, 1.0, clip, p, state, 0)[0]

    return loop  # type: ignore[no-any-return]
