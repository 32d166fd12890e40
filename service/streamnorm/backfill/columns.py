"""What each column of a table is: a time, a feature, or something that stays as it is, and why.

The order of the rows decides nothing: a column is told by its name and by what its cells are as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, cast

import numpy as np

from streamnorm.backfill import times
from streamnorm.backfill.cells import unquoted
from streamnorm.backfill.numbers import Numerals, Reader
from streamnorm.backfill.presets import Preset
from streamnorm.backfill.times import Order, TimeForm, Unit
from streamnorm.backfill.unreadable import Unreadable
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


@dataclass(frozen=True)
class Asked:
    """What the options say of columns; None and empty where they say nothing."""

    columns: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    stream: str = ""
    stream_column: str = ""
    feature_column: str = ""
    value_column: str = ""
    time_column: tuple[str, ...] = ()
    time_format: str = ""
    time_zone: str = ""
    time_unit: str = ""


@dataclass(frozen=True)
class Roles:
    """What the columns are; `time` has one column, two (a date and a time of the day) or the parts of a date."""

    features: tuple[str, ...]
    stream: str
    time: tuple[str, ...] = ()
    time_form: TimeForm = field(default_factory=TimeForm)
    in_parts: bool = False
    feature_column: str = ""
    value_column: str = ""
    #: why the other columns stay as they are
    kept: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def numbered(self) -> tuple[str, ...]:
        """The columns whose values are normalized."""
        return (self.value_column,) if self.feature_column else self.features


@dataclass
class _Seen:
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


def settled(
    columns: Columns, asked: Asked, preset: Preset | None, numerals: Numerals, steps: Sequence[int] = ()
) -> Roles:
    """Find what the columns are; `steps` are the rows of the sample that do not follow the one before.

    Raises:
        Unreadable: a column that is named is not there, none holds numbers, or it must be said what is what.

    """
    preset = preset or Preset("")
    _check_named(columns, asked)
    seen = {name: _seen(name, cells, numerals.of(name)) for name, cells in columns.items()}
    kept: dict[str, str] = {}
    stream = _stream(asked, preset, columns)
    named = [*re.findall(r"\{([^{}]+)\}", stream), asked.feature_column or preset.feature_column]
    kept.update({name: "names the stream" for name in named[:-1] if name in columns})
    feature_column = asked.feature_column or (preset.feature_column if not asked.columns else "")
    time = asked.time_column or tuple(name for name in preset.time if name in seen and seen[name].present)[:1]
    in_parts = False
    if not time:
        time, in_parts = _time(seen, kept)
    form = _form(time, seen, asked, preset, numerals, steps, in_parts=in_parts, long=bool(feature_column))
    kept.update(dict.fromkeys(time, "time"))
    if feature_column:
        value = asked.value_column or preset.value_column or _value(seen, kept)
        others = {name: "stays" for name in columns if name not in {*kept, value, feature_column}}
        kept |= {feature_column: "names the feature"} | others
        return Roles((), stream, time, form, in_parts, feature_column, value, kept)
    features, notes = _features(seen, asked, preset, kept)
    _check_streams(seen, asked, stream)
    return Roles(
        tuple(features), stream, time, form, in_parts, kept=kept, notes=(*notes, *_codes(features, seen, numerals))
    )


def cells_of_time(roles: Roles, columns: Columns) -> Sequence[Any]:
    """Return the cells of the time: a column's, those of date and time of the day together, or the parts of a date."""
    if len(roles.time) == 1:
        return columns[roles.time[0]]
    joined: list[list[str]] = [[unquoted(str(cell or "")) for cell in columns[name]] for name in roles.time]
    if roles.in_parts:
        padded = zip(*joined, *[["0"] * len(joined[0])] * (6 - len(joined)), strict=True)
        return [_iso(parts) for parts in padded]
    return [f"{day} {moment}".strip() for day, moment in zip(*joined, strict=True)]


def _iso(parts: Sequence[str]) -> str:
    try:
        year, month, day, hour, minute, second = (int(float(part)) for part in parts)
    except ValueError:
        return ""
    return f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"


def _seen(name: str, cells: Sequence[Any], numerals: Numerals) -> _Seen:
    values, bad = Reader(numerals).column(cells)
    return _Seen(name, cells, numerals, values, int(np.isfinite(values).sum()), len(bad))


def _check_named(columns: Columns, asked: Asked) -> None:
    single = (asked.stream_column, asked.feature_column, asked.value_column, *asked.time_column)
    patterns = [(name, "--columns") for name in asked.columns] + [(name, "--exclude") for name in asked.exclude]
    for name in filter(None, single):
        if name not in columns:
            message = f"there is no column {name!r}; there are {', '.join(columns)}"
            raise Unreadable(message)
    for pattern, option in patterns:
        if not any(name == pattern or fnmatchcase(name, pattern) for name in columns):
            message = f"{option}: there is no column {pattern!r}; there are {', '.join(columns)}"
            raise Unreadable(message)


def _stream(asked: Asked, preset: Preset, columns: Columns) -> str:
    if asked.stream_column:
        return f"{{{asked.stream_column}}}"
    if asked.stream:
        for name in re.findall(r"\{([^{}]+)\}", asked.stream):
            if name not in columns and name not in {"file", "folder"}:
                known = ", ".join((*columns, "{file}", "{folder}"))
                message = f"--stream: there is no column {name!r}; there are {known}"
                raise Unreadable(message)
        return asked.stream
    names = re.findall(r"\{([^{}]+)\}", preset.stream)
    return preset.stream if names and all(name in columns for name in names) else ""


def _check_streams(seen: Mapping[str, _Seen], asked: Asked, stream: str) -> None:
    """Refuse to mix the readings of several devices in one stream, unless that is asked for."""
    if stream or asked.feature_column:
        return
    for name, column in seen.items():
        found = {text for text in column.texts if text} if STREAM_NAMES.fullmatch(name) else set()
        if 1 < len(found) <= column.present / 2 and not _is_measured(column):
            shown = ", ".join(sorted(found)[:3])
            message = (
                f"the column {name!r} names {len(found)} ({shown}, …): --stream-column {name!r} for a stream each, "
                f"--feature-column {name!r} for a feature each, --stream ID to take all as one"
            )
            raise Unreadable(message)


def _is_measured(column: _Seen) -> bool:
    return column.numbers > 0 and not column.whole


def _time(seen: Mapping[str, _Seen], kept: dict[str, str]) -> tuple[tuple[str, ...], bool]:
    """Find the time: a column of dates and times, a date and a time of the day, numbers of such a name, or parts."""
    texts = {
        name: column for name, column in seen.items() if column.present and column.numbers <= MOST * column.present
    }
    dated = [name for name, column in texts.items() if column.share(times.is_date) >= NEARLY_ALL]
    full = [name for name in dated if seen[name].share(times.has_clock) > 0]
    clocks = [name for name, column in texts.items() if column.share(times.is_clock) >= NEARLY_ALL]
    compact = [
        name
        for name, column in seen.items()
        if column.numbers and TIME_NAMES.fullmatch(name) and column.whole and column.share(times.is_date) == 1.0
        and all(len(text) in {8, 10, 12, 14} for text in column.texts if text)
    ]  # fmt: skip
    named = [name for name in seen if seen[name].numbers and name not in compact and _is_time(seen[name])]
    kept.update(dict.fromkeys((*dated, *clocks, *compact, *named), "time"))
    full.sort(key=lambda name: TIME_NAMES.fullmatch(name) is None)
    if full:
        return (full[0],), False
    if (dated or compact) and clocks:
        return ((dated or compact)[0], clocks[0]), False
    parts = _parts(seen, kept)
    if compact or named:
        return ((compact or named)[0],), False
    if {"year", "month", "day"} <= parts.keys():
        wanted = ("year", "month", "day", "hour", "minute", "second")
        count = next((n for n, part in enumerate(wanted) if part not in parts), len(wanted))
        return tuple(parts[part] for part in wanted[:count]), True
    return ((dated[0],), False) if dated else ((), False)


def _parts(seen: Mapping[str, _Seen], kept: dict[str, str]) -> dict[str, str]:
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


def _is_time(column: _Seen) -> bool:
    """Tell whether numbers are times: by their name, or, called t, by even steps whatever their order."""
    values = column.values[np.isfinite(column.values)]
    if isinstance(column.cells, times.Seconds):
        return True
    if column.numbers < column.present:
        return False
    if TIME_NAMES.fullmatch(column.name):
        return len(np.unique(values)) > len(values) / 10 or float(np.median(values)) >= times.EPOCHS[-1][0]
    if column.name.strip() not in {"t", "t_s", "t [s]", "t (s)", "X_Value"} or len(values) < 3:  # noqa: PLR2004
        return False
    steps = np.diff(np.sort(values))
    middle = float(np.median(steps))
    return middle > 0 and float(np.mean(np.abs(steps - middle) <= middle / 2)) >= NEARLY_ALL


def _form(  # noqa: C901, PLR0911, PLR0917 - one case after the other, what is said before what is found
    time: Sequence[str], seen: Mapping[str, _Seen], asked: Asked, preset: Preset, numerals: Numerals,
    steps: Sequence[int], *, in_parts: bool, long: bool,
) -> TimeForm:  # fmt: skip
    """Find what the times mean."""
    if not time:
        return TimeForm()
    zone = asked.time_zone or preset.zone
    base = TimeForm(zone=times.checked_zone(zone or "UTC"), naive=True, steady=not (long or asked.stream_column))
    if isinstance(seen[time[0]].cells, times.Seconds):
        return replace(base, unit="s", naive=False)
    if in_parts:
        return replace(base, order="ymd")
    if asked.time_format in {"dmy", "mdy", "ymd"}:
        return replace(base, order=cast("Order", asked.time_format))
    if asked.time_format:
        return replace(base, pattern=asked.time_format)
    first = seen[time[0]]
    if asked.time_unit:
        if asked.time_unit not in {*times.UNITS, "excel"}:
            message = f"--time-unit: {asked.time_unit!r} is none of {', '.join(times.UNITS)}, excel"
            raise Unreadable(message)
        return replace(base, unit=cast("Unit", asked.time_unit), naive=asked.time_unit == "excel")
    if len(time) == 1 and first.numbers > MOST * first.present and first.share(times.is_date) < 1.0:
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


def _value(seen: Mapping[str, _Seen], kept: Mapping[str, str]) -> str:
    if "value" in seen:
        return "value"
    numbers = [name for name, column in seen.items() if name not in kept and column.numbers > MOST * column.present]
    if len(numbers) == 1:
        return numbers[0]
    message = f"--value-column says which column holds the values; there are {', '.join(seen)}"
    raise Unreadable(message)


def _features(
    seen: Mapping[str, _Seen], asked: Asked, preset: Preset, kept: dict[str, str]
) -> tuple[list[str], list[str]]:
    """Sort the columns that are left; every one that is no feature is told with its reason."""
    notes: list[str] = []
    features: list[str] = []
    for name, column in seen.items():
        if asked.columns:
            if any(name == each or fnmatchcase(name, each) for each in asked.columns):
                features.append(name)
                kept.pop(name, None)
            else:
                kept.setdefault(name, "not asked for")
            continue
        reason = kept.get(name) or _reason(column, asked, preset)
        if reason:
            kept[name] = reason
            if reason.startswith("mostly"):
                notes.append(f"{name}: {column.numbers} of {column.present} cells are numbers; --columns takes it")
        else:
            features.append(name)
    if not features:
        shown = ", ".join(f"{name} ({kept[name]})" for name in seen)
        grouped = next((name for name, column in seen.items() if column.share(UNDERSCORES.fullmatch) > MOST), "")
        way = f"--thousands _ reads numbers such as those of {grouped!r}, " if grouped else ""
        message = f"no column is a sensor's: {shown}; {way}--columns says which, --state ON=1 gives texts a value"
        raise Unreadable(message)
    return features, notes


def _reason(column: _Seen, asked: Asked, preset: Preset) -> str:  # noqa: PLR0911 - a reason a return
    """Say why a column is no feature; empty where it is one."""
    name = column.name
    if any(name == each or fnmatchcase(name, each) for each in asked.exclude):
        return "excluded"
    if any(re.fullmatch(each, name) for each in preset.exclude):
        return f"no sensor in {preset.title}"
    if not column.present:
        return "empty"
    if not column.numbers:
        return "text"
    if column.numbers <= MOST * column.present:
        return "mostly text"
    values = column.values[np.isfinite(column.values)]
    if column.whole:
        unique = len(np.unique(values)) == len(values)
        if ID_NAMES.fullmatch(name) and not _is_row_number(values, unique=unique):
            return "id"
        if unique and (
            name.strip().lower() in ROW_NAMES or re.fullmatch(r"column \d+", name) or ID_NAMES.fullmatch(name)
        ):
            return "row numbers"
        if _is_row_number(values, unique=unique):
            return "row numbers"
    return ""


def _is_row_number(values: Array, *, unique: bool) -> bool:
    """Tell whether whole numbers count rows, whatever their order."""
    if len(values) < ENOUGH_ROWS or not unique:
        return False
    steps = np.diff(np.sort(values))
    return float(np.mean(steps == 1)) >= 0.98  # noqa: PLR2004


def _codes(features: Sequence[str], seen: Mapping[str, _Seen], numerals: Numerals) -> list[str]:
    """Suggest what may mean that there is no value: a number that repeats itself far from all others."""
    notes = []
    for name in features:
        values = seen[name].values[np.isfinite(seen[name].values)]
        for code in sorted((CODES & set(values.tolist())) - numerals.of(name).codes):
            others = values[values != code]
            count = len(values) - len(others)
            if count > 1 and len(others) > 1:
                low, high = float(others.min()), float(others.max())
                reach = max(high - low, 1e-12)
                outside = code < low - reach or code > high + reach
                if outside and abs(code - float(np.median(others))) > 3 * float(others.std()):
                    notes.append(
                        f"{name}: {code:g} comes {count} times, far from all else ({low:g} to {high:g}); "
                        f"if it means that there is no value, --missing {name}={code:g}"
                    )
    return notes
