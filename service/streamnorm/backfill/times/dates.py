"""Dates and times of the day as texts, and zones by their names."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from streamnorm.backfill.unreadable import Unreadable

Order = Literal["ymd", "dmy", "mdy", "compact"]
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
NAMED = re.compile(
    r"(?:[A-Z][a-z]{2},? )?(?P<b>[^\W\d_]{3,9})\.? (?P<a>\d{1,2}),? (?:(?P<c>\d{4}),? )?"
    rf"{_CLOCK}{_ZONE}(?: (?P<y>\d{{4}}))?"
)
_ONLY_CLOCK = re.compile(_CLOCK + _ZONE)
COMPACT = re.compile(
    r"(?P<a>(?:19|20)\d{2})(?P<b>\d{2})(?P<c>\d{2})"
    r"(?:[T ]?(?P<h>\d{2})(?::?(?P<mi>\d{2})(?::?(?P<s>\d{2})(?:\.(?P<f>\d+))?)?)?)?" + _ZONE
)


def is_date(text: str) -> bool:
    """Tell whether a text is a date, with a time of the day or without.

    >>> [is_date(text) for text in ("2026-01-31", "31.1.26 9:05", "23-Feb-2022 06:34:00.403", "1.5", "20_24")]
    [True, True, True, False, False]
    """
    return date_of(text) is not None


def is_clock(text: str) -> bool:
    """Tell whether a text is a time of the day and no date."""
    found = _ONLY_CLOCK.fullmatch(text)
    return found is not None and int(found["h"]) <= 24 and int(found["mi"]) < 60  # noqa: PLR2004


def has_clock(text: str) -> bool:
    """Tell whether a date comes with a time of the day."""
    found = date_of(text)
    return found is not None and found["h"] is not None


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


def date_of(text: str) -> re.Match[str] | None:
    """Return the parts of a date, with a time of the day or without; None if a text is none."""
    found = _FULL.fullmatch(text) or COMPACT.fullmatch(text) or NAMED.fullmatch(text)
    if found is None:
        return None
    if not found["b"].isdigit() and found["b"].lower().rstrip(".") not in MONTHS:
        return None
    return found


def seconds_of(found: re.Match[str], order: Order) -> float:
    """Return the seconds since 1970 of a date's parts, as if they were in UTC."""
    a, b, c = found["a"], found["b"], found["c"]
    month = int(b) if b.isdigit() else MONTHS[b.lower().rstrip(".")]
    if found.re is NAMED:
        year, day = int(found["y"] or c or 0), int(a)
    elif len(a) > 2 or found.re is COMPACT:  # noqa: PLR2004
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


def offset_of(zone: str) -> float:
    """Return a zone's minutes east of Greenwich."""
    moment = zone_of(zone.upper().replace("\u2212", "-")).utcoffset(datetime(2026, 1, 1, tzinfo=UTC))
    return 0.0 if moment is None else moment.total_seconds() / 60
