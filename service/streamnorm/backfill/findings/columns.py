"""What each column of a table is: a time, a feature, or something that stays as it is, and why.

The order of the rows decides nothing: a column is told by its name and by what its cells are as a whole.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np

from streamnorm.backfill.cells.numbers import Numerals
from streamnorm.backfill.findings.presets import Preset
from streamnorm.backfill.findings.roles import Asked, Roles
from streamnorm.backfill.findings.seen import (
    CODES,
    ENOUGH_ROWS,
    ID_NAMES,
    MOST,
    ROW_NAMES,
    STREAM_NAMES,
    UNDERSCORES,
    Columns,
    Seen,
    seen_of,
)
from streamnorm.backfill.findings.time_columns import form_of_time, found_time
from streamnorm.backfill.unreadable import Unreadable
from streamnorm.engine.reading import Array


def settled(
    columns: Columns, asked: Asked, preset: Preset | None, numerals: Numerals, steps: Sequence[int] = ()
) -> Roles:
    """Find what the `columns` are, by what was `asked` for, else by a `preset`, else by their cells.

    `numerals` tell how numbers are written; `steps` are the rows of the sample that do not follow the one before.

    Raises:
        Unreadable: a column that is named is not there, none holds numbers, or it must be said what is what.

    """
    preset = preset or Preset("")
    _check_named(columns, asked)
    seen = {name: seen_of(name, cells, numerals.of(name)) for name, cells in columns.items()}
    kept: dict[str, str] = {}
    stream = _stream(asked, preset, columns)
    named = [*re.findall(r"\{([^{}]+)\}", stream), asked.feature_column or preset.feature_column]
    kept.update({name: "names the stream" for name in named[:-1] if name in columns})
    feature_column = asked.feature_column or (preset.feature_column if not asked.columns else "")
    time = asked.time_column or tuple(name for name in preset.time if name in seen and seen[name].present)[:1]
    in_parts = False
    if not time:
        time, in_parts = found_time(seen, kept)
    form = form_of_time(time, seen, asked, preset, numerals, steps, in_parts=in_parts, long=bool(feature_column))
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


def _check_streams(seen: Mapping[str, Seen], asked: Asked, stream: str) -> None:
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


def _is_measured(column: Seen) -> bool:
    return column.numbers > 0 and not column.whole


def _value(seen: Mapping[str, Seen], kept: Mapping[str, str]) -> str:
    if "value" in seen:
        return "value"
    numbers = [name for name, column in seen.items() if name not in kept and column.numbers > MOST * column.present]
    if len(numbers) == 1:
        return numbers[0]
    message = f"--value-column says which column holds the values; there are {', '.join(seen)}"
    raise Unreadable(message)


def _features(
    seen: Mapping[str, Seen], asked: Asked, preset: Preset, kept: dict[str, str]
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


def _reason(column: Seen, asked: Asked, preset: Preset) -> str:  # noqa: PLR0911 - a reason a return
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
        unique = len(set(values.tolist())) == len(values)
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


def _codes(features: Sequence[str], seen: Mapping[str, Seen], numerals: Numerals) -> list[str]:
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
                        f"if it means that there is no value, --missing {shlex.quote(f'{name}={code:g}')}"
                    )
    return notes
