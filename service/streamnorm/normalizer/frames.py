"""Converts data frames of pandas, polars and Arrow, by these rules.

1. A column of datetimes is never a feature. One, or an index of datetimes, is the time; several are refused.
2. Columns that are not numeric are refused by name; booleans are 1 and 0.
3. Datetimes without a time zone are in UTC, which is the convention of frames.

No library is imported here but for frames of polars and Arrow (narwhals): a caller that passes one has imported it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from streamnorm.errors import InvalidReading

if TYPE_CHECKING:
    from streamnorm.engine.reading import Array


class Frame(NamedTuple):
    """A frame's numbers, their columns' names and times, and what builds a frame like it of normalized values."""

    names: tuple[str, ...]
    values: Array
    times: Array | None
    #: takes names of the normalized columns too, where they are others than those given
    rebuilt: Callable[[Array, Sequence[str] | None], Any]


def is_frame(rows: Any) -> bool:
    """Return whether rows are a data frame."""
    pandas = sys.modules.get("pandas")
    return (pandas is not None and isinstance(rows, pandas.DataFrame)) or _is_of_narwhals(rows)


def parse_frame(rows: Any) -> Frame:
    """Convert a data frame.

    Raises:
        InvalidReading: naming columns that are no numbers, or all columns of times if there are several.

    """
    return _of_narwhals(rows) if _is_of_narwhals(rows) else _of_pandas(rows)


def _is_of_narwhals(rows: Any) -> bool:
    kind = type(rows)
    known = {"DataFrame", "LazyFrame", "Table", "RecordBatch"}
    return kind.__module__.partition(".")[0] in {"polars", "pyarrow"} and kind.__name__ in known


def _of_pandas(rows: Any) -> Frame:
    pandas: Any = sys.modules["pandas"]
    types = pandas.api.types
    columns = [rows.iloc[:, place] for place in range(rows.shape[1])]
    moments = [place for place, column in enumerate(columns) if types.is_datetime64_any_dtype(column.dtype)]
    numbers = [place for place, column in enumerate(columns) if place not in moments and _is_numeric(column, types)]
    names = [str(name) for name in rows.columns]
    indexed = isinstance(rows.index, pandas.DatetimeIndex)
    _refuse(
        text=[names[place] for place in range(len(columns)) if place not in {*moments, *numbers}],
        times=[*(names[place] for place in moments), *(["the index"] if indexed else [])],
        numbers=numbers,
    )
    times = (
        _of_index(pandas.DatetimeIndex(columns[moments[0]] if moments else rows.index)) if moments or indexed else None
    )

    def rebuilt(values: Array, made: Sequence[str] | None = None) -> Any:
        frame = pandas.DataFrame(values, index=rows.index, columns=list(made) if made else rows.columns[numbers])
        for place in moments:
            frame.insert(min(place, len(frame.columns)), rows.columns[place], columns[place], allow_duplicates=True)
        return frame

    values = rows.iloc[:, numbers].to_numpy(dtype=np.float64, na_value=np.nan)
    return Frame(tuple(names[place] for place in numbers), values, times, rebuilt)


def _is_numeric(column: Any, types: Any) -> bool:
    """Return whether a column holds numbers; one of objects is looked through, and texts are none even if of digits."""
    if types.is_bool_dtype(column.dtype) or types.is_any_real_numeric_dtype(column.dtype):
        return True
    if not types.is_object_dtype(column.dtype) or any(isinstance(value, (str, bytes, complex)) for value in column):
        return False
    try:
        column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        return False
    return True


def _of_index(index: Any) -> Array:
    local = index if index.tz is None else index.tz_convert(None)
    return _seconds(local.to_numpy().astype("datetime64[us]"))


def _of_narwhals(rows: Any) -> Frame:
    try:
        narwhals: Any = importlib.import_module("narwhals.stable.v1")
    except ImportError:
        raise InvalidReading.at("/values", "frames of polars and Arrow need: pip install 'streamnorm[arrow]'") from None
    if type(rows).__name__ == "LazyFrame":
        raise InvalidReading.at("/values", "a lazy frame has no rows yet: collect() it")
    if type(rows).__name__ == "RecordBatch":
        rows = sys.modules["pyarrow"].Table.from_batches([rows])
    frame = narwhals.from_native(rows, eager_only=True)
    schema = frame.schema
    moments = [name for name, kind in schema.items() if kind in {narwhals.Date, narwhals.Datetime}]
    numbers = [name for name, kind in schema.items() if kind.is_numeric() or kind == narwhals.Boolean]
    _refuse(text=[name for name in schema if name not in {*moments, *numbers}], times=moments, numbers=numbers)
    values = np.empty((len(frame), len(numbers)))
    for place, name in enumerate(numbers):
        values[:, place] = np.asarray(frame[name].to_numpy(), dtype=np.float64)  # narwhals' cast refuses large integers
    times = None
    if moments:
        zone = getattr(schema[moments[0]], "time_zone", None)
        stamps = frame[moments[0]].cast(narwhals.Datetime("us", zone)).dt.timestamp("us").to_numpy()
        times = np.asarray(stamps, dtype=np.float64) / 1e6
        _check_times(times)

    def rebuilt(ys: Array, made: Sequence[str] | None = None) -> Any:
        columns = [
            narwhals.new_series(name, ys[:, place], narwhals.Float64, backend=frame.implementation)
            for place, name in enumerate(made or numbers)
        ]
        if not made:
            return frame.with_columns(*columns).to_native()
        kept = [frame[name] for name in moments]
        return narwhals.from_dict({column.name: column for column in (*kept, *columns)}).to_native()

    return Frame(tuple(numbers), values, times, rebuilt)


def _seconds(moments: Any) -> Array:
    times = moments.astype(np.int64) / 1e6
    times[np.isnat(moments)] = np.nan
    _check_times(times)
    return np.asarray(times)


def _check_times(times: Array) -> None:
    missing = np.isnan(times)
    if missing.any():
        raise InvalidReading.at(f"/timestamps/{int(missing.argmax())}", "is not a time")


def _refuse(*, text: Sequence[str], times: Sequence[str], numbers: Sequence[Any]) -> None:
    if text:
        raise InvalidReading.at("/values", f"{_listed(text)} not numeric: drop or convert these columns")
    if not numbers:
        raise InvalidReading.at("/values", "the frame has no column of numbers")
    if len(times) > 1:
        raise InvalidReading.at("/values", f"{_listed(times)} times, and a reading has only one: drop the others")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) + (" is" if len(names) == 1 else " are")
