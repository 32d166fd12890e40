"""A block's rows, from plain lists to float64."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from streamnorm.engine.reading import plain_number
from streamnorm.errors import Fault, InvalidReading, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamnorm.engine.limits import Limits
    from streamnorm.engine.reading import Array

_NUMBERS = frozenset({float, int, bool, type(None)})


def parse_number_rows(rows: object, pointer: str = "/values") -> Array:
    """Build a table (rows × features, float64, NaN for None) of a list of equally long lists of numbers.

    True and False are 1 and 0; what `is_absent` is NaN.

    >>> parse_number_rows([[1, None], [2.5, 3]])
    array([[1. , nan],
           [2.5, 3. ]])

    Raises:
        InvalidReading: naming the first wrong row or value below `pointer`.

    """
    reader = TableReader(pointer)
    if isinstance(rows, (list, tuple)):
        reader.extend(rows)
    return reader.table()


class TableReader:
    """Makes a table of rows that come some at a time; `limits` bound its rows and features where they are given."""

    def __init__(self, pointer: str = "/values", limits: Limits | None = None) -> None:
        self._pointer = pointer
        self._limits = limits
        self._pieces: list[Array] = []
        self._width = 0
        self._height = 0

    def extend(self, rows: Sequence[Any]) -> None:
        """Add rows.

        Raises:
            InvalidReading: naming the first wrong row or value below `pointer`.
            LimitExceeded: there are more rows, or features, than allowed.

        """
        limits = self._limits
        if limits is not None and self._height + len(rows) > limits.max_rows:
            limit = limits.max_rows
            raise LimitExceeded("max_rows", f"the block has more than {limit} rows, the limit (max_rows)")
        if not rows:
            return
        self._width = self._width or (len(rows[0]) if isinstance(rows[0], (list, tuple)) else 0)
        width = self._width
        plain = list(rows)
        for place, row in enumerate(rows):
            usual = row.__class__ is list and len(row) == width > 0
            if not usual or not _NUMBERS.issuperset(map(type, row)):
                plain[place] = self._plain(row, self._height + place)
        if limits is not None:
            limits.check_features(self._width)
        self._height += len(rows)
        self._pieces.append(_numbers(plain))

    def table(self) -> Array:
        """Return the table.

        Raises:
            InvalidReading: it has no row.

        """
        if not self._pieces:
            raise InvalidReading.at(self._pointer, "must be an array of at least one row")
        return self._pieces[0] if len(self._pieces) == 1 else np.concatenate(self._pieces)

    def _plain(self, row: object, place: int) -> Sequence[Any]:
        """Return a row as Python's own numbers, and None for what stands for no value."""
        pointer = f"{self._pointer}/{place}"
        if not isinstance(row, (list, tuple)) or not row:
            raise InvalidReading.at(pointer, "must be an array of at least one number")
        if len(row) != self._width:
            raise InvalidReading.at(pointer, f"has {len(row)} values, the first row has {self._width}")
        numbers = [plain_number(value) for value in row]
        column = next((column for column, value in enumerate(numbers) if type(value) not in _NUMBERS), None)
        if column is not None:
            raise InvalidReading.of([Fault(f"{pointer}/{column}", "must be a number or null")])
        return numbers


def _numbers(plain: Sequence[Any]) -> Array:
    try:
        return np.array(plain, dtype=np.float64)
    except OverflowError:  # a whole number beyond float64
        bounded = [[math.inf if value is not None and abs(value) > 1e300 else value for value in row] for row in plain]  # noqa: PLR2004
        return np.array(bounded, dtype=np.float64)
