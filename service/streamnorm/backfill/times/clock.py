"""Columns of times into seconds since 1970, by what their form says."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timezone
from typing import Any, Literal

import numpy as np

from streamnorm.backfill.cells.columnar import Texts
from streamnorm.backfill.times.dates import Order, date_of, offset_of, seconds_of, zone_of
from streamnorm.engine.reading import Array

Unit = Literal["s", "ms", "us", "ns", "min", "h", "d", "excel"]
UNITS: dict[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0, "d": 86_400.0}
#: Excel's day 0 is 30 December 1899
EXCEL_ZERO, DAY = 25_569.0, 86_400.0

FIXED = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?")
_TAIL = re.compile(r"(?:[Zz]|[+-]\d\d:\d\d)$")
SHORTEST = 16
#: Offsets of zones change at quarters of an hour.
QUARTER = 900.0


class Seconds(np.ndarray[Any, np.dtype[np.float64]]):
    """Times that are known as such by their type, in seconds since 1970."""


class LocalSeconds(Seconds):
    """Such times without a zone, in seconds as if they were in UTC."""


@dataclass(frozen=True)
class TimeForm:
    """What the times of a column mean; `zone` is that of times that name none."""

    order: Order | None = None
    unit: Unit | None = None
    pattern: str = ""
    zone: str = "UTC"
    #: whether times come without a zone, so that `zone` matters
    naive: bool = False
    #: whether the same local time twice in a row may be the hour that comes twice
    steady: bool = True
    #: whether the column's type says what they are: `Seconds`
    typed: bool = False

    def __str__(self) -> str:
        spoken = {"dmy": "day first", "mdy": "month first", "ymd": "year first", "compact": "digits"}
        told = self.pattern or spoken[self.order or "ymd"]
        if self.typed:
            told = "by the column's type"
        elif self.unit is not None:
            told = "Excel's days" if self.unit == "excel" else f"numbers in {self.unit}"
        return f"{told}, {self.zone}" if self.naive else told


class Clock:
    """Reads columns of times, chunk after chunk; it remembers whether an hour that comes twice has come once."""

    def __init__(self, form: TimeForm) -> None:
        self.form = form
        self._zone = zone_of(form.zone)
        self._last = -math.inf
        self._second_time = False

    def column(self, cells: Sequence[Any]) -> Array:
        """Read times into seconds since 1970, NaN where a cell is no time."""
        form = self.form
        if isinstance(cells, Seconds):
            found = np.asarray(cells)
            return self._zoned(found, np.isfinite(found)) if isinstance(cells, LocalSeconds) else found
        if isinstance(cells, np.ndarray):
            return self._numbers(cells.astype(np.float64)) if form.unit else np.asarray(cells, dtype=np.float64)
        if form.unit is not None:
            return self._numbers(_floats(cells))
        fixed = self._fixed_texts if isinstance(cells, Texts) else self._fixed
        at_once = fixed(cells) if form.order == "ymd" and len(cells) else None
        if at_once is not None:
            return at_once
        local, known = np.empty(len(cells)), np.zeros(len(cells), dtype=bool)
        for place, cell in enumerate(cells):
            local[place], known[place] = self._one(cell)
        return self._zoned(local, ~known & np.isfinite(local))

    @property
    def state(self) -> tuple[float, bool]:
        """What it remembers, to go on from there."""
        return self._last, self._second_time

    @state.setter
    def state(self, state: tuple[float, bool]) -> None:
        self._last, self._second_time = state

    def _numbers(self, values: Array) -> Array:
        if self.form.unit == "excel":
            local = np.round((values - EXCEL_ZERO) * DAY, 3)
            return self._zoned(local, np.isfinite(local))
        return values * UNITS[self.form.unit or "s"]

    def _fixed(self, cells: Sequence[Any]) -> Array | None:
        """Read times of one length, year first, by NumPy: a tenth of the time."""
        if not isinstance(cells[0], str):
            return None
        if cells[0][:1] == '"':
            cells = [cell[1:-1] if isinstance(cell, str) else "" for cell in cells]
        tail = _TAIL.search(cells[0])
        end = tail[0] if tail else ""
        try:
            if end and not all(cell.endswith(end) for cell in cells):
                return None
            plain = [cell[: -len(end)] for cell in cells] if end else list(cells)
            if len(set(map(len, plain))) != 1 or len(plain[0]) < SHORTEST or not FIXED.fullmatch(plain[0]):
                return None
            seconds = np.array(plain).astype("datetime64[us]").astype(np.int64) / 1e6
        except (ValueError, TypeError, AttributeError):
            return None
        if end:
            return np.asarray(seconds - 60.0 * offset_of(end))
        return self._zoned(seconds, np.ones(len(seconds), dtype=bool))

    def _fixed_texts(self, cells: Any) -> Array | None:
        """Do so by Arrow: a tenth of that."""
        tail = _TAIL.search(cells[0])
        end = tail[0] if tail else ""
        plain = cells[0].removesuffix(end)
        if len(plain) < SHORTEST or not FIXED.fullmatch(plain):
            return None
        seconds = cells.instants(end)
        if seconds is None or end:
            return None if seconds is None else np.asarray(seconds - 60.0 * offset_of(end))
        return self._zoned(seconds, np.ones(len(seconds), dtype=bool))

    def _one(self, cell: Any) -> tuple[float, bool]:
        """Read one time: its seconds as if it were in UTC, and whether it is (since it names its zone)."""
        if isinstance(cell, datetime):
            return (cell.timestamp(), True) if cell.tzinfo else (cell.replace(tzinfo=UTC).timestamp(), False)
        text = str(cell or "").strip().strip('"').strip()
        try:
            if self.form.pattern:
                moment = datetime.strptime(text, self.form.pattern)  # noqa: DTZ007 - the zone comes later
                return (moment.timestamp(), True) if moment.tzinfo else (moment.replace(tzinfo=UTC).timestamp(), False)
            found = date_of(text)
            if found is None:
                return math.nan, True
            seconds = seconds_of(found, self.form.order or "ymd")
            return (seconds, False) if found["z"] is None else (seconds - 60.0 * offset_of(found["z"]), True)
        except ValueError:
            return math.nan, True

    def _zoned(self, local: Array, naive: np.ndarray[Any, np.dtype[np.bool_]]) -> Array:
        """Bring local times into UTC: by the hour, of which there are few."""
        if isinstance(self._zone, timezone):
            return np.where(naive, local - self._zone.utcoffset(None).total_seconds(), local)
        found, shift = local.copy(), np.zeros(len(local))
        places = np.flatnonzero(naive)
        quarters, which = np.unique(np.floor(local[places] / QUARTER), return_inverse=True)
        moments = [datetime.fromtimestamp(each * QUARTER, UTC).replace(tzinfo=self._zone) for each in quarters.tolist()]
        earlier = np.array([_east_of(moment) for moment in moments])
        later = np.array([_east_of(moment.replace(fold=1)) for moment in moments])
        found[places] = local[places] - earlier[which]
        shift[places] = np.maximum(0.0, earlier - later)[which]
        return self._unfolded(local, found, shift, places)

    def _unfolded(self, local: Array, found: Array, shift: Array, places: np.ndarray[Any, np.dtype[np.intp]]) -> Array:
        """Tell the first pass of an hour that comes twice from the second, which begins where times go back."""
        if not shift.any():
            self._second_time = False
        else:
            for place in places:
                before, now = self._last, float(local[place])
                self._last = now
                if not shift[place]:
                    self._second_time = False
                elif now < before or (self.form.steady and now == before):
                    self._second_time = True
                if self._second_time:
                    found[place] += shift[place]
        if len(places):
            self._last = float(local[places[-1]])
        return found


def _east_of(moment: datetime) -> float:
    offset = moment.utcoffset()
    return 0.0 if offset is None else offset.total_seconds()


def _floats(cells: Sequence[Any]) -> Array:
    at_once = cells.numbers() if isinstance(cells, Texts) else None
    if at_once is not None:
        return at_once
    try:
        return np.fromiter(map(float, cells), dtype=np.float64, count=len(cells))
    except (TypeError, ValueError):
        return np.array([_float(cell) for cell in cells])


def _float(cell: Any) -> float:
    try:
        return float(str(cell).strip().strip('"').replace(",", "."))
    except ValueError:
        return math.nan
