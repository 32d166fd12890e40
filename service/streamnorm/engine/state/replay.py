"""What is kept of a numbered reading's answer, so that a retry is answered alike, whatever order its features are in.

It is one array in the order of the layout: the y of every feature, then, where the reading had channels, the scale of
every channel. Infinity, which no answer is, stands for what the reading did not have. `where` is the stream's layout.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

from streamnorm.errors import InvalidReading

if TYPE_CHECKING:
    from streamnorm.engine.reading import Reading
    from streamnorm.engine.state.mixed_layout import AnyLayout


def pack_replay(reading: Reading, answered: array[float], where: AnyLayout) -> array[float]:
    """Put what was answered, in the order of the reading (first its ys, then its channels' scales), in the layout's."""
    names = reading.names
    if len(answered) == len(names) and names == where.names:
        return answered
    size = len(where.names)
    numbers = array("d", (math.inf,)) * (size if len(answered) == len(names) else 2 * size)
    scale = iter(answered[len(names) :])
    for name, value, y in zip(names, reading.values, answered, strict=False):
        place = where.index[name]
        numbers[place] = y
        if not isinstance(value, float):
            numbers[size + place] = next(scale)
    return numbers


def unpack_replay(reading: Reading, numbers: array[float], where: AnyLayout, seq: int) -> array[float]:
    """Return what was answered, by the `numbers` kept, to a `reading` that comes again as number `seq`, in its order.

    Raises:
        InvalidReading: the one that was applied had other features.

    """
    size = len(where.names)
    ys, scales = array("d"), array("d")
    for name, value in zip(reading.names, reading.values, strict=True):
        place = where.index.get(name)
        y = math.inf if place is None else numbers[place]
        scale = math.inf if place is None or len(numbers) == size else numbers[size + place]
        if y == math.inf or (scale == math.inf) != isinstance(value, float):
            raise InvalidReading.at("/values", f"seq {seq} was applied with other features")
        ys.append(y)
        if scale != math.inf:
            scales.append(scale)
    if len(ys) != size - numbers[:size].count(math.inf):
        raise InvalidReading.at("/values", f"seq {seq} was applied with other features")
    return ys + scales
