"""Columns of Arrow as numbers, times and values; it reads Parquet."""

from __future__ import annotations

import importlib
from datetime import timedelta
from typing import Any

import numpy as np

from streamnorm.backfill.times.clock import LocalSeconds, Seconds
from streamnorm.backfill.unreadable import Unreadable

#: values that no text of a result can hold otherwise
AS_TEXT = (dict, list, bytes, timedelta)


def arrow_column(column: Any) -> Any:
    """Return a column of Arrow as numbers, as seconds since 1970 where it holds times, or one by one.

    What is nested, bytes or a length of time is shown as text.
    """
    arrow = pyarrow()
    types = arrow.types
    if types.is_timestamp(column.type):
        micros = column.cast(arrow.timestamp("us"), safe=False).cast(arrow.int64())
        return (numbers_of(micros) / 1e6).view(LocalSeconds if column.type.tz is None else Seconds)
    if types.is_integer(column.type) or types.is_floating(column.type):
        return numbers_of(column)
    if types.is_decimal(column.type) or types.is_boolean(column.type):
        return numbers_of(column.cast(arrow.float64()) if types.is_decimal(column.type) else column.cast(arrow.uint8()))
    listed: list[Any] = column.to_pylist()
    return [repr(each) if isinstance(each, AS_TEXT) else each for each in listed]


def numbers_of(column: Any) -> Any:
    """Return numbers of Arrow as float64, NaN for null."""
    return np.asarray(column.cast(pyarrow().float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def pyarrow(module: str = "") -> Any:
    """Import the library that knows Parquet, which is an extra."""
    try:
        return importlib.import_module(f"pyarrow{module}")
    except ModuleNotFoundError:
        message = "Parquet needs pyarrow: pip install 'streamnorm[parquet]'"
        raise Unreadable(message) from None
