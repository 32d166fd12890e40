"""Cells that are numbers, as loggers write them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from streamnorm.backfill.cells.columnar import Texts
from streamnorm.backfill.cells.rows import unquoted
from streamnorm.engine.limits import LARGEST_VALUE
from streamnorm.engine.reading import Array

#: how files write that a value is missing
MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "nil", "-", "--", "---", "."})
BOOLEANS = {"true": 1.0, "false": 0.0}
#: Cells repeat themselves; so many different ones are remembered.
MEMORY = 100_000

_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Numerals:
    """How numbers are written: `missing` are texts (in small letters) and `codes` numbers that mean no value."""

    decimal: str = "."
    thousands: str = ""
    missing: frozenset[str] = MISSING
    codes: frozenset[float] = frozenset()
    states: Mapping[str, float] = field(default_factory=dict)
    quote: str = '"'
    #: codes of single columns
    own: Mapping[str, frozenset[float]] = field(default_factory=dict)
    #: units behind the numbers of single columns
    units: Mapping[str, str] = field(default_factory=dict)
    #: that of the column which these are the numbers of
    unit: str = ""

    def of(self, column: str) -> Numerals:
        """Return how the numbers of one column are written."""
        if column not in self.own and column not in self.units:
            return self
        return replace(self, codes=self.codes | self.own.get(column, frozenset()), unit=self.units.get(column, ""))

    def is_missing(self, cell: Any) -> bool:
        """Tell whether a cell says that there is no value."""
        return cell is None or (isinstance(cell, str) and unquoted(cell, self.quote).lower() in self.missing)

    def number(self, cell: Any) -> float | None:
        """Read a cell: NaN where a value is missing, None where it cannot be understood.

        >>> [Numerals().number(cell) for cell in ("21.5", " ", "NA", "true", 3, "warm", "1_000", "inf")]
        [21.5, nan, nan, 1.0, 3.0, None, None, None]
        >>> Numerals(decimal=",", thousands=".").number("1.234,5")
        1234.5
        """
        found = self._text(cell) if isinstance(cell, str) else _typed(cell)
        if found is None or found in self.codes:
            return None if found is None else math.nan
        return found if (not math.isinf(found) and abs(found) <= LARGEST_VALUE) or math.isnan(found) else None

    def _text(self, cell: str) -> float | None:
        text = unquoted(cell, self.quote)
        small = text.lower()
        if small in self.missing:
            return math.nan
        for known in (self.states, BOOLEANS):
            value = known.get(text, known.get(small))
            if value is not None:
                return value
        if self.unit:
            text = text.removesuffix(self.unit).rstrip()
        if self.thousands and self.thousands in text:
            text = self._grouped(text)
        if self.decimal != ".":
            text = "?" if "." in text else text.replace(self.decimal, ".")
        text = text.replace("\u2212", "-")
        return float(text) if _PLAIN.fullmatch(text) else None

    def _grouped(self, text: str) -> str:
        """Take the signs between thousands out, where they stand between thousands."""
        sign, mark = re.escape(self.thousands), re.escape(self.decimal)
        if re.fullmatch(rf"[+-]?\d{{1,3}}(?:{sign}\d{{3}})+(?:{mark}\d*)?", text):
            return text.replace(self.thousands, "")
        return "?"


class Reader:
    """Reads columns of cells: at once where all are plain numbers, else one by one."""

    def __init__(self, numerals: Numerals) -> None:
        self.numerals = numerals
        self._known: dict[Any, float] = {}
        self._bad: set[Any] = set()

    def column(self, cells: Sequence[Any]) -> tuple[Array, list[int]]:
        """Read a column: its numbers, NaN where there is none, and the places of cells that are none.

        >>> Reader(Numerals()).column(["1", "", "warm"])
        (array([ 1., nan, nan]), [2])
        """
        values = self._at_once(cells)
        if values is not None and not (np.abs(values) > LARGEST_VALUE).any():
            if self.numerals.codes:
                values[np.isin(values, list(self.numerals.codes))] = math.nan
            return values, []
        if len(self._known) > MEMORY:
            self._known.clear()
        known = self._known
        values = np.empty(len(cells))
        bad: list[int] = []
        for place, cell in enumerate(cells):
            found = known.get(cell)
            if found is None:
                if cell in self._bad or (read := self.numerals.number(cell)) is None:
                    self._remember_bad(cell)
                    bad.append(place)
                    read = math.nan
                else:
                    known[cell] = read
                found = read
            values[place] = found
        return values, bad

    def _at_once(self, cells: Sequence[Any]) -> Array | None:  # noqa: PLR0911 - one way out each
        numerals = self.numerals
        if isinstance(cells, np.ndarray):
            return np.array(cells, dtype=np.float64)
        if numerals.thousands or numerals.states:
            return None
        if isinstance(cells, Texts):
            return cells.numbers(numerals.decimal)
        try:
            text = "\n".join(cells)
        except TypeError:
            return None
        if "_" in text or (numerals.decimal != "." and "." in text):
            return None
        plain = cells
        if numerals.decimal != "." or (numerals.quote and numerals.quote in text):
            text = text.replace(numerals.quote, "") if numerals.quote else text
            plain = (text if numerals.decimal == "." else text.replace(numerals.decimal, ".")).split("\n")
        if len(plain) != len(cells):
            return None
        try:
            values = np.fromiter(map(float, plain), dtype=np.float64, count=len(plain))
        except ValueError:
            return None
        return values if np.isfinite(values).all() else None

    def _remember_bad(self, cell: Any) -> None:
        if len(self._bad) < MEMORY:
            self._bad.add(cell)


def _typed(cell: Any) -> float | None:
    """Read what is no text; a bool is an int."""
    if cell is None:
        return math.nan
    return float(cell) if isinstance(cell, (int, float)) else None
