"""What the times of a column mean.

It is found once, from all of the column that was seen (`recognized`), and then holds for every row: the order of day
and month, the unit of numbers, the zone of times that name none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from streamnorm.backfill.times.clock import DAY, FIXED, Clock, TimeForm, Unit
from streamnorm.backfill.times.dates import COMPACT, NAMED, Order, checked_zone, date_of
from streamnorm.backfill.unreadable import Unreadable
from streamnorm.engine.reading import Array

#: Epoch times of 1973 to 5138 differ by their size; what is smaller counts from the start of the recording.
EPOCHS: tuple[tuple[float, Unit], ...] = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"), (1e8, "s"))
#: years 1982 to 2064 as Excel's days
EXCEL_DAYS = (30_000.0, 60_000.0)


def recognized(  # noqa: PLR0911 - one evidence after the other
    texts: Sequence[str], *, steps: Sequence[int] = (), zone: str = "", day_first: bool = False
) -> TimeForm:
    """Find what the dates in `texts` mean; `steps` are the places where a row does not follow the one before.

    They are in the `zone` that was said, and `day_first` where that was said.

    Raises:
        Unreadable: day and month cannot be told apart, or no format fits; the message names the option.

    """
    distinct = dict.fromkeys(texts[:: max(1, len(texts) // 1_000)] if texts and FIXED.match(texts[0]) else texts)
    matches = {text: found for text in distinct if (found := date_of(text)) is not None}
    naive = any(found["z"] is None for found in matches.values())
    form = TimeForm(naive=naive, zone=checked_zone(zone or "UTC"))
    if any(found.re is COMPACT for found in matches.values()):
        return replace(form, order="compact")
    if any(found.re is NAMED or len(found["a"]) > 2 for found in matches.values()):  # noqa: PLR2004
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
    """Find the unit of times that are numbers: by the column's `name` if that says one, else by the size of `values`.

    With `fractions_are_days` small numbers that are not whole are the serial days of spreadsheets.

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
