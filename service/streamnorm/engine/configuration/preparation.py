"""What is done to a value before it is normalized: codes and bounds that make it missing, and a transform.

A feature that is prepared has a memory: how many values were invalid, and what its transform needs to know of the
reading before. Every function takes one number at a time, so that readings and blocks come to the same bits.

Everywhere `x` is a number, NaN where it is missing, `t` its time in seconds since 1970, and `memory` the numbers of
which the feature's begin at `at`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from streamnorm.engine.configuration.config import DEFAULT_PERIOD
from streamnorm.engine.reading import Channel

if TYPE_CHECKING:
    from streamnorm.engine.configuration.config import Configuration
    from streamnorm.engine.reading import Array, Value

#: floats of a memory: values that were invalid; of a counter whether there is a value, the last one, and its time
MEMORY_SIZE = 4
INVALID, SEEN, LAST, TIME = range(MEMORY_SIZE)
#: What a circular feature becomes.
CIRCLE = (".sin", ".cos")
#: Counters of 16 and 32 bits, which begin again at 0.
WIDTHS = (2.0**16, 2.0**32)
#: A fall from the last tenth of a counter's range to the first one is a wrap, any other fall is a reset.
NEAR_END = 0.1
NAN = math.nan


class Preparation(NamedTuple):
    """What is done to a feature's values before they are normalized."""

    transform: str | None
    period: float
    #: values that a counter takes, NaN where it is to be guessed
    wrap: float
    least: float
    greatest: float
    codes: frozenset[float]

    @classmethod
    def of(cls, config: Configuration) -> Preparation | None:
        """Return what a configuration says; None where values stay as they are."""
        if config.transform is None and config.valid is None and not config.missing_codes:
            return None
        least, greatest = config.valid or (-math.inf, math.inf)
        circular = config.transform == "circular"
        return cls(
            config.transform,
            float(config.period or DEFAULT_PERIOD) if circular else DEFAULT_PERIOD,
            NAN if config.wrap is None or config.transform != "rate" else config.wrap,
            float(least),
            float(greatest),
            frozenset(map(float, config.missing_codes)),
        )

    def names(self, name: str) -> tuple[str, ...]:
        """Return what a feature is called once it is prepared."""
        return tuple(name + end for end in CIRCLE) if self.transform == "circular" else (name,)

    def apply(self, value: Value, t: float, memory: Any, at: int) -> tuple[Value, ...]:
        """Prepare a value of a reading at the time `t`; `memory[at:]` is the feature's, and is changed."""
        if isinstance(value, float):
            return self.number(value, t, memory, at)
        elements = value.elements
        flat = [self.number(x, t, memory, at)[0] for x in elements.ravel().tolist()]
        return (Channel.of(np.array(flat).reshape(elements.shape)),)

    def number(self, x: float, t: float, memory: Any, at: int) -> tuple[float, ...]:
        """Prepare a number; NaN stays NaN."""
        if x in self.codes:
            x = NAN
        elif x < self.least or x > self.greatest:
            memory[at + INVALID] += 1.0
            x = NAN
        if self.transform is None:
            return (x,)
        if self.transform == "circular":
            angle = math.tau * (x / self.period)
            return (math.sin(angle), math.cos(angle))
        if self.transform == "rate":
            return (self.rate(x, t, memory, at),)
        return (self.log(x, memory, at),)

    def log(self, x: float, memory: Any, at: int) -> float:
        """Return the logarithm of x, or of 1 + x; what has none is invalid."""
        one = self.transform == "log1p"
        if x <= (-1.0 if one else 0.0):
            memory[at + INVALID] += 1.0
            return NAN
        return math.log1p(x) if one else math.log(x)

    def rate(self, x: float, t: float, memory: Any, at: int) -> float:
        """Return by how much a counter rose per second since the reading before, NaN where there was none.

        A reading that is not after the one before tells no rate, and the next one is compared with that one.
        """
        if x != x:  # noqa: PLR0124 - NaN
            return NAN
        seen, last, elapsed = memory[at + SEEN], memory[at + LAST], t - memory[at + TIME]
        if seen and elapsed <= 0.0:
            return NAN
        memory[at + SEEN], memory[at + LAST], memory[at + TIME] = 1.0, x, t
        return self.rise(last, x) / elapsed if seen else NAN

    def rise(self, last: float, x: float) -> float:
        """Return by how much a counter rose from one value to another one, that may be behind a wrap or a reset.

        After a reset it has risen from 0.
        """
        if x >= last:
            return x - last
        if self.wrap == self.wrap:
            over = x - last + self.wrap
            return over if 0.0 <= over < self.wrap / 2.0 else max(x, 0.0)
        for width in WIDTHS:
            whole = x.is_integer() and last.is_integer()
            if whole and (1.0 - NEAR_END) * width <= last < width and 0.0 <= x < NEAR_END * width:
                return x - last + width
        return max(x, 0.0)


def alike(one: Preparation | None, other: Preparation | None) -> bool:
    """Return whether statistics of what one makes go on with what the other one makes."""
    made = [(None, DEFAULT_PERIOD) if each is None else (each.transform, each.period) for each in (one, other)]
    return made[0] == made[1]


def merge_memories(a: Any, at_a: int, b: Any, at_b: int) -> None:
    """Merge the memory `b[at_b:]` into `a[at_a:]`.

    What was invalid adds up, and a counter goes on from where it was read last.
    """
    a[at_a + INVALID] += b[at_b + INVALID]
    if b[at_b + SEEN] and (not a[at_a + SEEN] or b[at_b + TIME] > a[at_a + TIME]):
        a[at_a + SEEN : at_a + MEMORY_SIZE] = b[at_b + SEEN : at_b + MEMORY_SIZE]


def table(
    preparation: Preparation, column: Array, times: Array, memory: Any, at: int, *, learn: bool
) -> list[list[float]]:
    """Do the `preparation` of a `column` whose rows are of `times` (s since 1970); returns the columns it becomes.

    Unless it is to `learn`, every row is seen as the next one after what the memory knows, which stays as it is.
    """
    number, pairs = preparation.number, zip(column.tolist(), times.tolist(), strict=True)
    if learn:
        made = [number(x, t, memory, at) for x, t in pairs]
    else:
        made = [number(x, t, memory[at : at + MEMORY_SIZE], 0) for x, t in pairs]
    return [[row[place] for row in made] for place in range(len(made[0]))]


def inverse(transform: str | None, value: float | Array) -> float | Array:
    """Turn prepared values of a feature back, where one of them tells one raw value."""
    if transform == "log":
        return float(np.exp(value)) if isinstance(value, float) else np.exp(value)
    if transform == "log1p":
        return float(np.expm1(value)) if isinstance(value, float) else np.expm1(value)
    return value


def angle(sine: float, cosine: float, period: float) -> float:
    """Return the angle, from 0 to below `period`, of which `sine` and `cosine` are given."""
    turned = math.atan2(sine, cosine) / math.tau * period
    return turned if turned >= 0.0 else turned + period
