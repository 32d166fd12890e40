"""What a method is: a record of plain functions over flat float64 buffers.

Rules every method keeps:

1. A block of `size(p)` zeros means "no readings yet".
2. `step` alone changes a block; `spread` only reads it.
3. Functions use nothing but arithmetic, `math` and other functions of this kind, so that the same source runs
   interpreted, compiled by Numba, and as a CUDA device function. No division by zero, no exception, no allocation.
4. Deviations are accumulated, never raw squares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

# A flat float64 buffer: a list or array('d') when interpreted, a NumPy or CUDA array when compiled.
Buffer = Any
Packed = Sequence[float]
#: rows and columns of a block, first of the columns to take, and their end
Span = tuple[int, int, int, int]


class Parameters(BaseModel):
    """A method's own parameters, with their limits; `pack` flattens them for the kernel."""

    # built when first used: a command uses one method, and building all takes a tenth of its start
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

    def pack(self) -> tuple[float, ...]:
        """Flatten the parameters into floats, in the order that the method's functions read them."""
        return ()


class Step(Protocol):
    """Take one reading of one feature in and normalize it.

    `x` is the value, for a channel the mean of its elements, and `v` the variance of the elements about it (0.0 for a
    plain feature). `lam` decays the weight of the past, `omega` is the weight of this reading (both are 1 − 1/horizon
    and 1 unless a time constant is used). `clip` bounds the deviation that the *update* uses to ±clip standard
    deviations (`robust`; infinite when not in force). `p` are the packed parameters and `state[at:at + size(p)]` the
    method's block. Returns y, the z-score of `x`, and `scale`: an element e of a channel gets y + (e − x)·scale.
    """

    def __call__(  # noqa: D102
        self, x: float, v: float, lam: float, omega: float, clip: float, p: Packed, state: Buffer, at: int, /
    ) -> tuple[float, float]: ...


@dataclass(frozen=True)
class Method:
    """One way of keeping statistics."""

    name: str
    parameters: type[Parameters]
    #: floats of state one feature needs, given the packed parameters
    size: Callable[[Packed], int]
    step: Step
    #: (p, state, at) -> (mean, std) of today, by which `normalize` and `denormalize` go
    spread: Callable[[Packed, Buffer, int], tuple[float, float]]
    #: (p, a, at_a, b, at_b): merge block b into block a; None where the method cannot
    merge: Callable[[Packed, Buffer, int, Buffer, int], None] | None
    #: True where the base block, which every feature has, is the whole method
    base: bool = False
    #: False where statistics begin at those of nothing that was read, and what is only normalized has no bound
    bounded: bool = True
    #: what is done to a reading's answers last, after the affine map: (bound or infinity, ε of layer scaling or −1)
    compensation: Callable[[Packed], tuple[float, float]] | None = None
    #: (p, own block, least, greatest) -> whether readings within these could have made it: `step` trusts counts to
    #: index by, and squares to be none below 0, which a block from outside need not keep
    sound: Callable[[Packed, Sequence[float], float, float], bool] | None = None
    #: (factor, p, state, at): let the weights of a block fade, for a method that a time constant may go with
    fade: Callable[[float, Packed, Buffer, int], None] | None = None
    #: (p, base block, own block of another size) -> the block of today, where an earlier version kept that one, or None
    convert: Callable[[Packed, Sequence[float], Sequence[float]], list[float] | None] | None = None
    #: floats at the end of the block that states of before did not have; they begin at 0
    grown: int = 0
    #: for which `p[0]`, the number of like parts of a block, steps of neighbouring columns are compiled side by side:
    #: with a constant number of turns, a loop over the parts is none. `p` has four numbers, then, or none and 0 parts
    counts: tuple[int, ...] = ()
    #: own parameters whose change voids the block, so that the statistics must restart
    restarts: frozenset[str] = frozenset()
