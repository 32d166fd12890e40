"""The recent past of a stream by features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from streamnorm.engine.reading import Array
from streamnorm.events.event import ReadingEvent, numbers


class Column(NamedTuple):
    """A feature's recent readings, and their times in seconds since 1970."""

    times: Array
    values: Array


def columns(rows: Sequence[ReadingEvent]) -> dict[str, Column]:
    """Return the readings of each feature, a channel's by their means.

    >>> row = ReadingEvent("shed", ("temp",), numbers(5).pack(7.0, 1.0, 0.0, 21.5, 0.0))
    >>> columns([row])["temp"].values
    array([21.5])
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        time, _, _, *values = numbers(3 + len(row.names)).unpack_from(row.packed)
        for name, value in zip(row.names, values, strict=True):
            found.setdefault(name, []).append((time, value))
    return {name: Column(*np.array(pairs).T) for name, pairs in found.items()}
