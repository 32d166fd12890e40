"""The columns that hold the time, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from streamnorm.backfill.cells.numbers import Numerals
from streamnorm.backfill.cells.rows import unquoted
from streamnorm.backfill.findings.presets import Preset
from streamnorm.backfill.findings.roles import Asked, Roles
from streamnorm.backfill.findings.seen import MOST, NEARLY_ALL, PARTS, TIME_NAMES, Columns, Seen
from streamnorm.backfill.times import forms as times
from streamnorm.backfill.times.clock import UNITS, LocalSeconds, Seconds, TimeForm, Unit
from streamnorm.backfill.times.dates import Order, checked_zone, has_clock, is_clock, is_date
from streamnorm.backfill.unreadable import Unreadable

#: the half of a day
_HALF = re.compile(r"[ap]\.?m\.?", re.IGNORECASE)


def found_time(seen: Mapping[str, Seen], kept: dict[str, str]) -> tuple[tuple[str, ...], bool]:
    """Find the time: a column of dates and times, a date and a time of the day, numbers of such a name, or parts."""
    texts = {
        name: column for name, column in seen.items() if column.present and column.numbers <= MOST * column.present
    }
    dated = [name for name, column in texts.items() if column.share(is_date) >= NEARLY_ALL]
    full = [name for name in dated if seen[name].share(has_clock) > 0]
    clocks = [name for name, column in texts.items() if column.share(is_clock) >= NEARLY_ALL]
    compact = [
        name
        for name, column in seen.items()
        if column.numbers and TIME_NAMES.fullmatch(name) and column.whole and column.share(is_date) == 1.0
        and all(len(text) in {8, 10, 12, 14} for text in column.texts if text)
    ]  # fmt: skip
    named = [name for name in seen if seen[name].numbers and name not in compact and _is_time(seen[name])]
    kept.update(dict.fromkeys((*dated, *clocks, *compact, *named), "time"))
    full.sort(key=lambda name: TIME_NAMES.fullmatch(name) is None)
    if full:
        return (full[0], *_half(seen[full[0]], texts)), False
    if (dated or compact) and clocks:
        return ((dated or compact)[0], clocks[0], *_half(seen[clocks[0]], texts)), False
    parts = _parts(seen, kept)
    if compact or named:
        return ((compact or named)[0],), False
    if {"year", "month", "day"} <= parts.keys():
        wanted = ("year", "month", "day", "hour", "minute", "second")
        count = next((n for n, part in enumerate(wanted) if part not in parts), len(wanted))
        return tuple(parts[part] for part in wanted[:count]), True
    return ((dated[0],), False) if dated else ((), False)


def _half(clock: Seen, texts: Mapping[str, Seen]) -> list[str]:
    """Find the column that says AM or PM of the times in another one, the `clock`."""
    halves = [name for name, column in texts.items() if column.share(_HALF.fullmatch) == 1.0]
    return [] if clock.share(_HALF.search) > 0 else halves[:1]


def form_of_time(  # noqa: C901, PLR0911, PLR0917 - one case after the other, what is said before what is found
    time: Sequence[str], seen: Mapping[str, Seen], asked: Asked, preset: Preset, numerals: Numerals,
    steps: Sequence[int], *, in_parts: bool, long: bool,
) -> TimeForm:  # fmt: skip
    """Find what the times mean that stand in the columns `time`.

    `seen` are the columns of the sample, `steps` the rows that do not follow the one before, and `numerals` how numbers
    are written. What was `asked` for goes first, then what the `preset` says. Times come `in_parts` where date and time
    have a column each; `long` is a file with a row for each feature.
    """
    if not time:
        return TimeForm()
    zone = asked.time_zone or preset.zone
    base = TimeForm(zone=checked_zone(zone or "UTC"), naive=True, steady=not (long or asked.stream_column))
    if isinstance(seen[time[0]].cells, Seconds):
        return replace(base, typed=True, naive=isinstance(seen[time[0]].cells, LocalSeconds))
    if in_parts:
        return replace(base, order="ymd")
    if asked.time_format in {"dmy", "mdy", "ymd"}:
        return replace(base, order=cast("Order", asked.time_format))
    if asked.time_format:
        return replace(base, pattern=asked.time_format)
    first = seen[time[0]]
    if asked.time_unit:
        if asked.time_unit not in {*UNITS, "excel"}:
            message = f"--time-unit: {asked.time_unit!r} is none of {', '.join(UNITS)}, excel"
            raise Unreadable(message)
        return replace(base, unit=cast("Unit", asked.time_unit), naive=asked.time_unit == "excel")
    if len(time) == 1 and first.numbers > MOST * first.present and first.share(is_date) < 1.0:
        unit = times.by_size(first.values, first.name)
        return replace(base, unit=unit, naive=unit == "excel")
    texts = [
        text for text in cells_of_time(Roles((), "", tuple(time)), {name: seen[name].texts for name in time}) if text
    ]
    if preset.order:
        try:
            return replace(times.recognized(texts, steps=steps, zone=zone), steady=base.steady)
        except Unreadable:
            return replace(base, order=cast("Order", preset.order))
    found = times.recognized(texts, steps=steps, zone=zone, day_first=numerals.decimal == ",")
    return replace(found, steady=base.steady)


def cells_of_time(roles: Roles, columns: Columns) -> Sequence[Any]:
    """Return the cells of the time: a column's, those of date and time (and AM or PM) together, or a date's parts."""
    if len(roles.time) == 1:
        return columns[roles.time[0]]
    joined: list[list[str]] = [[unquoted(str(cell or "")) for cell in columns[name]] for name in roles.time]
    if roles.in_parts:
        padded = zip(*joined, *[["0"] * len(joined[0])] * (6 - len(joined)), strict=True)
        return [_iso(parts) for parts in padded]
    return [" ".join(filter(None, cells)) for cells in zip(*joined, strict=True)]


def _iso(parts: Sequence[str]) -> str:
    try:
        year, month, day, hour, minute, second = (int(float(part)) for part in parts)
    except ValueError:
        return ""
    return f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"


def _parts(seen: Mapping[str, Seen], kept: dict[str, str]) -> dict[str, str]:
    """Find the parts of dates; a name such as `min` counts only beside another part."""
    found: dict[str, str] = {}
    for name, column in seen.items():
        part = PARTS.get(name.strip().lower())
        values = column.values[np.isfinite(column.values)]
        if part and len(values) and column.whole and part[1] <= values.min() and values.max() <= part[2]:
            found.setdefault(part[0], name)
    sure = len(found) > 1 or any(PARTS[name.strip().lower()][3] for name in found.values())
    if not sure:
        return {}
    kept.update(dict.fromkeys(found.values(), "part of a date"))
    return found


def _is_time(column: Seen) -> bool:
    """Tell whether numbers are times: by their name, or, called t, by even steps whatever their order."""
    values = column.values[np.isfinite(column.values)]
    if isinstance(column.cells, Seconds):
        return True
    if column.numbers < column.present:
        return False
    if TIME_NAMES.fullmatch(column.name):
        return len(set(values.tolist())) > len(values) / 10 or float(np.median(values)) >= times.EPOCHS[-1][0]
    if column.name.strip() not in {"t", "t_s", "t [s]", "t (s)", "X_Value"} or len(values) < 3:  # noqa: PLR2004
        return False
    steps = np.diff(np.sort(values))
    middle = float(np.median(steps))
    return middle > 0 and float(np.mean(np.abs(steps - middle) <= middle / 2)) >= NEARLY_ALL
