"""Converts data frames of pandas, polars and Arrow to arrays: feature columns, and timestamps.

The rules:

1. A datetime column is never a feature. One, or a pandas DatetimeIndex, holds the timestamps; several are an error.
2. Columns that are not numeric are an error, which names them; booleans are 1 and 0.
3. Datetimes without a time zone are UTC, which is the convention of frames.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable

from streamnorm_client._errors import InvalidArgument, MissingDependency

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Frame:
    """A frame's numbers, their column names, optional timestamps, and how to rebuild a frame."""

    array: Any
    features: list[str]
    times: Any
    #: builds a frame like the original from normalized values, with the time column in place; it takes the names of
    #: the normalized columns, too, if they are not those of the frame
    rebuild: Callable[[Any, Sequence[str] | None], Any]


def frame_of(rows: Any) -> Frame | None:
    """Return the parts of a frame; None for other types.

    Raises:
        InvalidArgument: columns are not numeric, or there are several time columns; the message names them.
        MissingDependency: the frame is of polars or Arrow, and the extra `arrow` is not installed.

    """
    pandas: Any = sys.modules.get("pandas")
    if pandas is not None and isinstance(rows, pandas.DataFrame):
        return _of_pandas(rows, pandas)
    if type(rows).__module__.partition(".")[0] not in {"polars", "pyarrow"}:
        return None
    return _of_narwhals(rows)


def _of_pandas(rows: Any, pandas: Any) -> Frame:
    types = pandas.api.types
    columns = [rows.iloc[:, place] for place in range(rows.shape[1])]
    moments = [place for place, column in enumerate(columns) if types.is_datetime64_any_dtype(column.dtype)]
    numbers = [place for place, column in enumerate(columns) if place not in moments and _is_numeric(column, types)]
    names = [str(name) for name in rows.columns]
    _refuse_text([names[place] for place in range(len(columns)) if place not in {*moments, *numbers}])
    indexed = isinstance(rows.index, pandas.DatetimeIndex)
    _refuse_times([*(names[place] for place in moments), *(["the index"] if indexed else [])])
    times = pandas.DatetimeIndex(columns[moments[0]] if moments else rows.index) if moments or indexed else None

    def rebuild(values: Any, made: Sequence[str] | None) -> Any:
        frame = pandas.DataFrame(values, index=rows.index, columns=rows.columns[numbers] if made is None else made)
        for place in moments:
            frame.insert(min(place, len(frame.columns)), rows.columns[place], columns[place], allow_duplicates=True)
        return frame

    array = rows.iloc[:, numbers].to_numpy(dtype=float, na_value=float("nan"))
    return Frame(array, [names[place] for place in numbers], times, rebuild)


def _is_numeric(column: Any, types: Any) -> bool:
    """Return whether a column has only numbers and missing values; object columns are checked by value."""
    if types.is_bool_dtype(column.dtype) or (types.is_numeric_dtype(column.dtype) and column.dtype.kind != "c"):
        return True
    if not types.is_object_dtype(column.dtype) or any(isinstance(value, (str, bytes)) for value in column):
        return False
    try:
        column.to_numpy(dtype=float, na_value=float("nan"))
    except (TypeError, ValueError):
        return False
    return True


def _of_narwhals(rows: Any) -> Frame | None:
    try:
        narwhals: Any = importlib.import_module("narwhals.stable.v1")
        numpy: Any = importlib.import_module("numpy")
    except ImportError as error:
        raise MissingDependency("polars and Arrow frames need: pip install 'streamnorm-client[arrow]'") from error
    if type(rows).__name__ == "RecordBatch":
        rows = sys.modules["pyarrow"].Table.from_batches([rows])
    if type(rows).__name__ == "LazyFrame":
        raise InvalidArgument("a lazy frame has no rows yet: collect() it")
    frame = narwhals.from_native(rows, eager_only=True, pass_through=True)
    if not isinstance(frame, narwhals.DataFrame):
        return None
    schema = frame.schema
    moments = [name for name, kind in schema.items() if kind in {narwhals.Date, narwhals.Datetime}]
    numbers = [name for name, kind in schema.items() if kind.is_numeric() or kind == narwhals.Boolean]
    _refuse_text([name for name in schema if name not in {*moments, *numbers}])
    _refuse_times(moments)
    floats = numpy.empty((len(frame), len(numbers)))
    for place, name in enumerate(numbers):
        floats[:, place] = numpy.asarray(frame[name].to_numpy(), dtype=float)  # narwhals' cast refuses large integers
    times = None
    if moments:
        stamps = frame[moments[0]].cast(
            narwhals.Datetime("us", schema[moments[0]].time_zone if hasattr(schema[moments[0]], "time_zone") else None)
        )
        times = _microseconds(stamps.dt.timestamp("us").to_numpy())

    def rebuild(values: Any, made: Sequence[str] | None) -> Any:
        columns = [
            narwhals.new_series(name, values[:, place], narwhals.Float64, backend=frame.implementation)
            for place, name in enumerate(numbers if made is None else made)
        ]
        kept = frame if made is None else frame.drop([name for name in numbers if name not in made])
        return kept.with_columns(*columns).to_native()

    return Frame(floats, numbers, times, rebuild)


def _microseconds(stamps: Any) -> Any:
    numpy: Any = sys.modules["numpy"]
    missing = numpy.isnan(stamps) if stamps.dtype.kind == "f" else numpy.zeros(len(stamps), dtype=bool)
    moments = numpy.where(missing, 0, stamps).astype("int64").astype("datetime64[us]")
    moments[missing] = numpy.datetime64("NaT")
    return moments


def _refuse_text(names: Sequence[str]) -> None:
    if names:
        raise InvalidArgument(f"{_listed(names)} not numeric: drop or convert these columns")


def _refuse_times(names: Sequence[str]) -> None:
    if len(names) > 1:
        raise InvalidArgument(f"{_listed(names)} times, and a reading has only one: drop the others")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) + (" is" if len(names) == 1 else " are")
