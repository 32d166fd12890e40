"""A block's rows, from plain lists to float64."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from streamnorm.errors import Fault, InvalidReading

if TYPE_CHECKING:
    from streamnorm.engine.reading import Array

_NUMBERS = frozenset({float, int, type(None)})


def parse_number_rows(rows: object, pointer: str = "/values") -> Array:
    """Build a table (rows × features, float64, NaN for None) of a list of equally long lists of numbers.

    >>> parse_number_rows([[1, None], [2.5, 3]])
    array([[1. , nan],
           [2.5, 3. ]])

    Raises:
        InvalidReading: naming the first wrong row or value below `pointer`.

    """
    if not isinstance(rows, (list, tuple)) or not rows:
        raise InvalidReading.at(pointer, "must be an array of at least one row")
    width = len(rows[0]) if isinstance(rows[0], (list, tuple)) else 0
    for place, row in enumerate(rows):
        if not isinstance(row, (list, tuple)) or not row:
            raise InvalidReading.at(f"{pointer}/{place}", "must be an array of at least one number")
        if len(row) != width:
            raise InvalidReading.at(f"{pointer}/{place}", f"has {len(row)} values, the first row has {width}")
        if not _NUMBERS.issuperset(map(type, row)):
            column = next(column for column, value in enumerate(row) if type(value) not in _NUMBERS)
            raise InvalidReading.of([Fault(f"{pointer}/{place}/{column}", "must be a number or null")])
    try:
        return np.array(rows, dtype=np.float64)
    except OverflowError:  # a whole number beyond float64
        rows = [[math.inf if value is not None and abs(value) > 1e300 else value for value in row] for row in rows]  # noqa: PLR2004
        return np.array(rows, dtype=np.float64)
