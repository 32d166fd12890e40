"""Times as loggers write them, into seconds since 1970.

What a column's times mean is found once, from all of the column that was seen (`recognized`), and then holds for every
row: the order of day and month, the unit of numbers, the zone of times that name none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from streamnorm.backfill.columnar import Texts
from streamnorm.backfill.unreadable import Unreadable
from streamnorm.engine.reading import Array

Order = Literal["ymd", "dmy", "mdy", "compact"]
Unit = Literal["s", "ms", "us", "ns", "min", "h", "d", "excel"]
UNITS: dict[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0, "d": 86_400.0}
#: Epoch times of 1973 to 5138 differ by their size; what is smaller counts from the start of the recording.
EPOCHS: tuple[tuple[float, Unit], ...] = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"), (1e8, "s"))
#: Excel's day 0 is 30 December 1899
EXCEL_ZERO, DAY = 25_569.0, 86_400.0
#: years 1982 to 2064 as Excel's days
EXCEL_DAYS = (30_000.0, 60_000.0)
MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan januar january janv", "feb februar february fev", "mar mär mrz märz march mars", "apr april avr",
         "may mai", "jun juni june juin", "jul juli july juil", "aug august aout", "sep sept september",
         "oct okt oktober october", "nov november", "dec dez dezember december déc"), 1,
    )
    for name in names.split()
}  # fmt: skip

#: what is written behind a time, in minutes east of Greenwich
ABBREVIATIONS = {
    **dict.fromkeys(("z", "utc", "gmt", "ut"), 0),
    "cet": 60,
    "cest": 120,
    "est": -300,
    "edt": -240,
    "cst": -360,
    "cdt": -300,
    "mst": -420,
    "mdt": -360,
    "pst": -480,
    "pdt": -420,
    "akst": -540,
    "akdt": -480,
    "hst": -600,
}

_CLOCK = (
    r"(?P<h>\d{1,2})[:.h](?P<mi>\d{2})(?:[:.m](?P<s>\d{2})s?(?:[.,:](?P<f>\d{1,9}))?)?"
    r"\s*(?P<ap>[AaPp]\.?[Mm]\.?)?"
)
_ZONE = r"\s*(?P<z>[Zz]|(?:UTC|GMT)?[+\-\u2212]\d{2}:?\d{2}|(?:UTC|GMT)[+\-]\d{1,2}|[A-Z]{2,4})?"
_DATE = r"(?P<a>\d{1,4})(?P<sep>[-/. ])(?P<b>\d{1,2}|[^\W\d_]{3,9}\.?)(?P=sep)(?P<c>\d{2,4})"
_FULL = re.compile(rf"{_DATE}(?:(?:[Tt]|,?\s+|;|_){_CLOCK}{_ZONE})?")
_NAMED = re.compile(
    r"(?:[A-Z][a-z]{2},? )?(?P<b>[^\W\d_]{3,9})\.? (?P<a>\d{1,2}),? (?:(?P<c>\d{4}),? )?"
    rf"{_CLOCK}{_ZONE}(?: (?P<y>\d{{4}}))?"
)
_ONLY_CLOCK = re.compile(_CLOCK + _ZONE)
_COMPACT = re.compile(
    r"(?P<a>(?:19|20)\d{2})(?P<b>\d{2})(?P<c>\d{2})"
    r"(?:[T ]?(?P<h>\d{2})(?::?(?P<mi>\d{2})(?::?(?P<s>\d{2})(?:\.(?P<f>\d+))?)?)?)?" + _ZONE
)
_FIXED = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?")
_TAIL = re.compile(r"(?:[Zz]|[+-]\d\d:\d\d)$")
SHORTEST = 16
#: Offsets of zones change at quarters of an hour.
QUARTER = 900.0


class Seconds(np.ndarray[Any, np.dtype[np.float64]]):
    """Times that are known as such by their type, in seconds since 1970."""


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

    def __str__(self) -> str:
        if self.unit is not None:
            return "Excel's days" if self.unit == "excel" else f"numbers in {self.unit}"
        spoken = {"dmy": "day first", "mdy": "month first", "ymd": "year first", "compact": "digits"}
        told = self.pattern or spoken[self.order or "ymd"]
        return f"{told}, {self.zone}" if self.naive else told


def is_date(text: str) -> bool:
    """Tell whether a text is a date, with a time of the day or without.

    >>> [is_date(text) for text in ("2026-01-31", "31.1.26 9:05", "23-Feb-2022 06:34:00.403", "1.5", "20_24")]
    [True, True, True, False, False]
    """
    return _date(text) is not None


def is_clock(text: str) -> bool:
    """Tell whether a text is a time of the day and no date."""
    found = _ONLY_CLOCK.fullmatch(text)
    return found is not None and int(found["h"]) <= 24 and int(found["mi"]) < 60  # noqa: PLR2004


def has_clock(text: str) -> bool:
    """Tell whether a date comes with a time of the day."""
    found = _date(text)
    return found is not None and found["h"] is not None


def recognized(  # noqa: PLR0911 - one evidence after the other
    texts: Sequence[str], *, steps: Sequence[int] = (), zone: str = "", day_first: bool = False
) -> TimeForm:
    """Find what the dates of a column mean; `steps` are the places where a row does not follow the one before.

    Raises:
        Unreadable: day and month cannot be told apart, or no format fits; the message names the option.

    """
    distinct = dict.fromkeys(texts[:: max(1, len(texts) // 1_000)] if texts and _FIXED.match(texts[0]) else texts)
    matches = {text: found for text in distinct if (found := _date(text)) is not None}
    naive = any(found["z"] is None for found in matches.values())
    form = TimeForm(naive=naive, zone=checked_zone(zone or "UTC"))
    if any(found.re is _COMPACT for found in matches.values()):
        return replace(form, order="compact")
    if any(found.re is _NAMED or len(found["a"]) > 2 for found in matches.values()):  # noqa: PLR2004
        return replace(form, order="ymd")
    first = {found["a"] for found in matches.values()}
    second = {found["b"] for found in matches.values()}
    if any(not part.isdigit() for part in second):
        return replace(form, order="dmy")
    over = max(map(int, first), default=0) > 12, max(map(int, second), default=0) > 12  # noqa: PLR2004
    if over == (True, True):
        message = "dates have both parts above 12 in different rows: name their form, --time-format '%d/%m/%Y %H:%M'"
        raise Unreadable(message)
    if any(over):
        return replace(form, order="dmy" if over[0] else "mdy")
    if day_first or any(found["sep"] == "." for found in matches.values()):
        return replace(form, order="dmy")
    if first == second and all(found["a"] == found["b"] for found in matches.values()):
        return replace(form, order="dmy")
    return replace(form, order=_by_order([text for text in texts if text in matches], set(steps), form))


def by_size(values: Array, name: str = "", *, fractions_are_days: bool = True) -> Unit:
    """Find the unit of times that are numbers: by their column's name where it says one, else by their size.

    >>> by_size(np.array([1.7e9, 1.8e9])), by_size(np.array([1.7e18])), by_size(np.array([45_000.25, 45_000.5]))
    ('s', 'ns', 'excel')
    """
    present = values[np.isfinite(values)]
    size = float(np.median(np.abs(present))) if len(present) else 0.0
    for least, unit in EPOCHS:
        if size >= least:
            return unit
    named = re.search(r"(?:^|[^a-z])(ms|msec|millis\w*|us|µs|ns|min|minutes?|h|hours?|d|days?)\W*$", name.lower())
    if named:
        return {"m": "ms", "µ": "us", "u": "us", "n": "ns", "h": "h", "d": "d"}.get(
            "min" if named[1].startswith("min") else named[1][0], "min"
        )  # type: ignore[return-value]
    if fractions_are_days and len(present) and EXCEL_DAYS[0] <= present.min() and present.max() <= EXCEL_DAYS[1]:
        steps = np.abs(np.diff(present))
        if "date" in name.lower() or (np.mod(present, 1).any() and (not len(steps) or np.median(steps) <= 1.0)):
            return "excel"
    return "s"


def checked_zone(zone: str) -> str:
    """Return a zone's name if there is such a zone.

    Raises:
        Unreadable: there is none.

    """
    zone_of(zone)
    return zone


def zone_of(zone: str) -> tzinfo:
    """Return a zone by its name (Europe/Berlin), or by its offset (+01:00, GMT-05:00)."""
    fixed = re.fullmatch(r"(?:UTC|GMT)?([+\-\u2212])(\d{1,2}):?(\d{2})?", zone)
    if fixed:
        minutes = int(fixed[2]) * 60 + int(fixed[3] or 0)
        return timezone(timedelta(minutes=minutes if fixed[1] == "+" else -minutes))
    if zone.lower() in ABBREVIATIONS:
        return timezone(timedelta(minutes=ABBREVIATIONS[zone.lower()]))
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"--time-zone: no zone is called {zone!r}; Europe/Berlin, UTC and +01:00 are some"
        raise Unreadable(message) from None


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
            return np.asarray(cells)
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
            if len(set(map(len, plain))) != 1 or len(plain[0]) < SHORTEST or not _FIXED.fullmatch(plain[0]):
                return None
            seconds = np.array(plain).astype("datetime64[us]").astype(np.int64) / 1e6
        except (ValueError, TypeError, AttributeError):
            return None
        if end:
            return np.asarray(seconds - 60.0 * _offset(end))
        return self._zoned(seconds, np.ones(len(seconds), dtype=bool))

    def _fixed_texts(self, cells: Any) -> Array | None:
        """Do so by Arrow: a tenth of that."""
        tail = _TAIL.search(cells[0])
        end = tail[0] if tail else ""
        plain = cells[0].removesuffix(end)
        if len(plain) < SHORTEST or not _FIXED.fullmatch(plain):
            return None
        seconds = cells.instants(end)
        if seconds is None or end:
            return None if seconds is None else np.asarray(seconds - 60.0 * _offset(end))
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
            found = _date(text)
            if found is None:
                return math.nan, True
            seconds = _seconds(found, self.form.order or "ymd")
            return (seconds, False) if found["z"] is None else (seconds - 60.0 * _offset(found["z"]), True)
        except ValueError:
            return math.nan, True

    def _zoned(self, local: Array, naive: np.ndarray[Any, np.dtype[np.bool_]]) -> Array:
        """Bring local times into UTC: by the hour, of which there are few."""
        if isinstance(self._zone, timezone):
            return np.where(naive, local - self._zone.utcoffset(None).total_seconds(), local)
        found, shift = local.copy(), np.zeros(len(local))
        places = np.flatnonzero(naive)
        quarters = np.floor(local[places] / QUARTER)
        for quarter in np.unique(quarters):
            moment = datetime.fromtimestamp(quarter * QUARTER, UTC).replace(tzinfo=self._zone)
            earlier, later = _offset_of(moment), _offset_of(moment.replace(fold=1))
            here = places[quarters == quarter]
            found[here] = local[here] - earlier
            shift[here] = max(0.0, earlier - later)
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


def _offset_of(moment: datetime) -> float:
    offset = moment.utcoffset()
    return 0.0 if offset is None else offset.total_seconds()


def _date(text: str) -> re.Match[str] | None:
    found = _FULL.fullmatch(text) or _COMPACT.fullmatch(text) or _NAMED.fullmatch(text)
    if found is None:
        return None
    if not found["b"].isdigit() and found["b"].lower().rstrip(".") not in MONTHS:
        return None
    return found


def _seconds(found: re.Match[str], order: Order) -> float:
    a, b, c = found["a"], found["b"], found["c"]
    month = int(b) if b.isdigit() else MONTHS[b.lower().rstrip(".")]
    if found.re is _NAMED:
        year, day = int(found["y"] or c or 0), int(a)
    elif len(a) > 2 or found.re is _COMPACT:  # noqa: PLR2004
        year, day = int(a), int(c)
    else:
        year, day = int(c), int(a)
        if order == "mdy" and b.isdigit():
            month, day = day, month
    if year < 100:  # noqa: PLR2004
        year += 2000 if year < 69 else 1900  # noqa: PLR2004 - as POSIX has it
    hour = int(found["h"] or 0)
    half = found.groupdict().get("ap")
    if half:
        hour = hour % 12 + (12 if half[0] in "Pp" else 0)
    rest = hour * 3600 + int(found["mi"] or 0) * 60 + int(found["s"] or 0) + float(f"0.{found['f'] or 0}")
    return datetime(year, month, day, tzinfo=UTC).timestamp() + rest


def _offset(zone: str) -> float:
    """Return a zone's minutes east of Greenwich."""
    moment = zone_of(zone.upper().replace("\u2212", "-")).utcoffset(datetime(2026, 1, 1, tzinfo=UTC))
    return 0.0 if moment is None else moment.total_seconds() / 60


def _by_order(texts: Sequence[str], steps: set[int], form: TimeForm) -> Order:
    """Tell day and month apart by the order of the rows: times of a recording rise."""
    fallen = {}
    orders: tuple[Order, ...] = ("dmy", "mdy")
    for order in orders:
        seconds = Clock(replace(form, order=order, zone="UTC")).column(texts)
        falls = np.flatnonzero(np.diff(seconds) < 0) + 1
        jumps = np.diff(seconds)
        fallen[order] = (
            sum(place not in steps for place in falls),
            float(np.median(np.abs(jumps))) if len(jumps) else 0,
            float(np.max(jumps, initial=0)),
        )
    if fallen["dmy"][0] != fallen["mdy"][0]:
        return min(orders, key=lambda order: fallen[order][0])
    if fallen["dmy"][2] > 20 * DAY > 2 * DAY > fallen["mdy"][2]:
        return "mdy"
    if fallen["mdy"][2] > 20 * DAY > 2 * DAY > fallen["dmy"][2]:
        return "dmy"
    message = f"{texts[0]!r} may be day first or month first: --time-format dmy or --time-format mdy says which"
    raise Unreadable(message)


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
