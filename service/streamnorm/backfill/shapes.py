"""What the rows of a table are: wide, a column a feature, or long, a row a feature's value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from streamnorm.backfill.files import Row, Unreadable
from streamnorm.engine.reading import Array
from streamnorm.formats.ids import fitting
from streamnorm.formats.instants import seconds

#: how files write that a value is missing
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})
BOOLEANS = {"true": 1.0, "false": 0.0}


class Columns(NamedTuple):
    """Which columns are what; `stream` is the id of rows where no column names one.

    A table with a `feature` column is long: a row is one value of one feature. Any other is wide: a row is a reading,
    and `features` are its columns; None are all that hold numbers.
    """

    stream: str
    stream_column: str | None = None
    time_column: str | None = None
    feature_column: str | None = None
    value_column: str = "value"
    features: tuple[str, ...] | None = None

    @property
    def normalized(self) -> set[str]:
        """The columns whose values are normalized."""
        return {self.value_column} if self.feature_column else set(self.features or ())


class Part(NamedTuple):
    """One stream's readings in a chunk, and the rows where each reading's features stand."""

    stream: str
    names: tuple[str, ...]
    values: Array
    times: Array | None
    places: list[dict[str, int]]


@dataclass
class _Group:
    """The readings of one stream, as they are found."""

    readings: list[dict[str, float]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    places: list[dict[str, int]] = field(default_factory=list)


def settled(columns: Columns, rows: Sequence[Row]) -> Columns:
    """Find the features of a wide table in its first rows, and check that the columns named are there.

    Raises:
        Unreadable: a column is not there, or none holds numbers.

    """
    there = list(dict.fromkeys(name for row in rows for name in row))
    long = columns.feature_column is not None
    named = [columns.stream_column, columns.time_column, columns.feature_column, *(columns.features or ())]
    for name in [*named, columns.value_column if long else None]:
        if name is not None and name not in there:
            message = f"there is no column {name!r}; there are {', '.join(there)}"
            raise Unreadable(message)
    if long or columns.features is not None:
        return columns
    found = tuple(name for name in there if name not in named and _numeric(row.get(name) for row in rows))
    if not found:
        message = f"none of the columns {', '.join(there)} holds numbers"
        raise Unreadable(message)
    return columns._replace(features=found)


def parts(columns: Columns, rows: Sequence[Row], first: int) -> list[Part]:
    """Sort the readings of a chunk by their streams; `first` is the number of its first row, for messages.

    Raises:
        Unreadable: naming the row.

    """
    groups: dict[str, _Group] = {}
    for place, row in enumerate(rows):
        try:
            stream = (
                columns.stream if columns.stream_column is None else fitting(str(_cell(row, columns.stream_column)))
            )
            time = math.nan if columns.time_column is None else _time(_cell(row, columns.time_column))
            values = _values(columns, row)
        except ValueError as error:
            message = f"row {first + place + 1}: {error}"
            raise Unreadable(message) from None
        _add(groups.setdefault(stream, _Group()), time, values, place, joins=columns.feature_column is not None)
    return [_part(stream, group, timed=columns.time_column is not None) for stream, group in groups.items()]


def put(columns: Columns, part: Part, ys: Array, rows: Sequence[Row]) -> None:
    """Write normalized values into the rows that they were read from."""
    for where, answer in zip(part.places, ys.tolist(), strict=True):
        for name, y in zip(part.names, answer, strict=True):
            place = where.get(name)
            if place is not None:
                column = name if columns.feature_column is None else columns.value_column
                rows[place][column] = None if math.isnan(y) else y


def number(value: Any) -> float:
    """Read a cell.

    >>> [number(cell) for cell in ("21.5", " ", "NA", "true", None, 3)]
    [21.5, nan, nan, 1.0, nan, 3.0]
    """
    if value is None:
        return math.nan
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            text = value.strip().lower()
            if text in MISSING:
                return math.nan
            if text in BOOLEANS:
                return BOOLEANS[text]
    elif isinstance(value, (int, float)):  # a bool is an int
        return float(value)
    message = f"{value!r:.40} is no number"
    raise ValueError(message)


def _values(columns: Columns, row: Row) -> dict[str, float]:
    if columns.feature_column is not None:
        return {str(_cell(row, columns.feature_column)): number(row.get(columns.value_column))}
    return {name: number(row.get(name)) for name in columns.features or ()}


def _add(group: _Group, time: float, values: dict[str, float], place: int, *, joins: bool) -> None:
    """Add a reading; in a long table, a row of the same time joins the reading before it."""
    same = joins and group.readings and (group.times[-1] == time or math.isnan(time))
    if same and not group.readings[-1].keys() & values.keys():
        group.readings[-1] |= values
        group.places[-1] |= dict.fromkeys(values, place)
        return
    group.readings.append(values)
    group.times.append(time)
    group.places.append(dict.fromkeys(values, place))


def _part(stream: str, group: _Group, *, timed: bool) -> Part:
    names = tuple(dict.fromkeys(name for values in group.readings for name in values))
    table = np.array([[values.get(name, math.nan) for name in names] for values in group.readings], dtype=np.float64)
    return Part(stream, names, table, np.array(group.times) if timed else None, group.places)


def _cell(row: Row, column: str) -> Any:
    value = row.get(column)
    if value is None or value == "":
        message = f"the column {column!r} is empty"
        raise ValueError(message)
    return value


def _time(value: Any) -> float:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return seconds(value)
    return seconds(value)


def _numeric(cells: Iterable[Any]) -> bool:
    try:
        return any(not math.isnan(number(cell)) for cell in cells)
    except ValueError:
        return False
