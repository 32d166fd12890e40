"""Units behind the numbers of a column, as meters write them into each cell: `21.4 °C`, `45%`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from streamnorm.backfill.cells.numbers import Numerals
from streamnorm.backfill.cells.rows import unquoted
from streamnorm.backfill.findings.seen import ENOUGH_TEXTS, NEARLY_ALL

#: a number, then blanks and a unit, or a sign that is one; a degree sign of UTF-8 is carried as two characters
_MEASURED = re.compile(r"[+-]?\d[\d.,]*((?:\s+|(?=\xc2?\xb0|%))[^\s\d.,+-]\S{0,11})")
_NOT_UNITS = frozenset({"am", "pm"})


def unit_of(cells: Sequence[str], numerals: Numerals) -> str:
    """Return the unit behind nearly all numbers of a column's `cells`, as it is carried; empty where there is none.

    `numerals` tell which cells are missing.

    >>> (
    ...     unit_of(["21.4 °C", "", "21.6 °C"], Numerals()),
    ...     unit_of(["21.4", "21.6"], Numerals()),
    ...     unit_of(["9 AM"], Numerals()),
    ... )
    ('°C', '', '')
    """
    filled = [cell for cell in cells if not numerals.is_missing(cell)]
    some = filled[:: max(1, len(filled) // ENOUGH_TEXTS)]
    if not some:
        return ""
    found = (_MEASURED.fullmatch(unquoted(cell, numerals.quote)) for cell in some)
    ((unit, count),) = Counter(match[1].strip() if match else "" for match in found).most_common(1)
    return unit if count >= NEARLY_ALL * len(some) and unit.lower() not in _NOT_UNITS else ""
