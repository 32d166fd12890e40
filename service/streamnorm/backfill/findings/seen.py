"""One column of the sample, and the names by which columns tell what they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from streamnorm.backfill.cells.numbers import Numerals, Reader
from streamnorm.backfill.cells.rows import unquoted
from streamnorm.engine.reading import Array

Columns = Mapping[str, Sequence[Any]]

#: more than so many of a feature's cells are numbers
MOST = 0.5
#: so many of a column's cells are times
NEARLY_ALL = 0.9
#: Numbers that rise by one over fewer rows may well be a sensor's.
ENOUGH_ROWS = 100
#: whether a column holds times is told by so many of its cells, which lie evenly
ENOUGH_TEXTS = 1_000
STREAM_NAMES = re.compile(
    r"(device|sensor|station|node|machine|unit|meter|probe|asset|entity|series|host|plant|turbine|engine)s?"
    r"([ _.\-]?(id|no|nr|name|number|eui))?|deveui|dev_eui|serial([ _]?(no|number))?|mac|imei",
    re.IGNORECASE,
)
TIME_NAMES = re.compile(
    r"(.*[^a-z])?(time|timestamp|ts|datetime|date|epoch|unix(time)?|elapsed|zeit|zeitstempel|datum|uhrzeit|fecha|hora|heure|utc|secs|sec_?epoch)"
    r"\s*([^a-z0-9].*)?|.*timestamp.*|.*(?<=[a-z])Time",
    re.IGNORECASE,
)
ID_NAMES = re.compile(
    r"(?i:(.*[^a-z])?(id|uuid|guid|imei|mac|serial|serial.?(no|nr|number)|eui|site_no|station_no))|.*[a-z]I[dD]"
)
ROW_NAMES = frozenset(
    [
        "#",
        "no",
        "no.",
        "nr",
        "nr.",
        "n",
        "row",
        "rownum",
        "row_num",
        "row_number",
        "record",
        "recnum",
        "rec",
        "rn",
        "scan",
        "index",
        "idx",
        "seq",
        "sequence",
        "sample_no",
        "sample_number",
        "lfd",
        "lfd.",
        "linenumber",
        "line",
    ]
)
PARTS: dict[str, tuple[str, int, int, bool]] = {
    # what it is, its least and greatest value, whether the name alone says so
    **dict.fromkeys(("year", "yr", "yyyy", "jahr", "anno", "año"), ("year", 0, 2200, True)),
    **dict.fromkeys(("month", "mo", "mm", "monat", "mes", "mon"), ("month", 1, 12, False)),
    **dict.fromkeys(("day", "dd", "tag", "dia", "dom", "mday"), ("day", 1, 31, False)),
    **dict.fromkeys(("hour", "hr", "hh", "stunde", "hora"), ("hour", 0, 24, False)),
    **dict.fromkeys(("minute", "min", "mn"), ("minute", 0, 59, False)),
    **dict.fromkeys(("second", "sec", "ss"), ("second", 0, 61, False)),
    **dict.fromkeys(("weekday", "dow", "dayofweek", "day_of_week"), ("weekday", 0, 7, True)),
    **dict.fromkeys(("week", "weekofyear"), ("week", 0, 53, False)),
    **dict.fromkeys(("doy", "dayofyear", "day_of_year", "yday"), ("day of the year", 0, 366, True)),
}
#: Numbers of Python's; elsewhere such texts are ids and codes, which is why they are not taken for numbers unasked.
UNDERSCORES = re.compile(r"[+-]?\d{1,3}(?:_\d{3})+(?:\.\d*)?")
#: what loggers write for no value
CODES = frozenset(
    {
        *(-99.0, -99.9, -99.99, -999.0, -999.9, -999.99, -9999.0, -9999.9, -9999.99, -99999.0),
        *(999.0, 999.9, 9999.0, 9999.9, 99999.0, 999999.0),
        *(-200.0, -6999.0, -7999.0, 7999.0, 85.0, -127.0, 127.9, 65535.0, 32767.0, -32768.0, 6553.5),
    }
)


@dataclass
class Seen:
    """One column of the sample; where all cells are numbers, nothing else is asked of most of them."""

    name: str
    cells: Sequence[Any]
    numerals: Numerals
    values: Array
    numbers: int
    bad: int

    @cached_property
    def texts(self) -> list[str]:
        """Its cells as texts, empty where a value is missing."""
        if isinstance(self.cells, np.ndarray):
            return []
        missing, quote = self.numerals.is_missing, self.numerals.quote
        return ["" if missing(cell) else unquoted(str(cell), quote) for cell in self.cells]

    @cached_property
    def present(self) -> int:
        """How many cells hold something."""
        return self.numbers + self.bad

    @property
    def whole(self) -> bool:
        """Whether all its numbers are whole ones."""
        found = self.values[np.isfinite(self.values)]
        return bool(len(found)) and bool((found == np.round(found)).all())

    def share(self, test: Any) -> float:
        """Tell how many of its cells pass a test."""
        filled = [text for text in self.texts if text]
        some = filled[:: max(1, len(filled) // ENOUGH_TEXTS)]
        return sum(bool(test(text)) for text in some) / len(some) if some else 0.0


def seen_of(name: str, cells: Sequence[Any], numerals: Numerals) -> Seen:
    """Read the `cells` of the sample in the column `name`; `numerals` tell how numbers are written."""
    values, bad = Reader(numerals).column(cells)
    return Seen(name, cells, numerals, values, int(np.isfinite(values).sum()), len(bad))
