"""Converts readings and blocks from dicts, sequences, NumPy and data frames, and results back to the same form.

pandas is never imported here: a caller that passes its objects has imported it already.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from streamnorm.engine.blocks.parse import parse_number_rows
from streamnorm.engine.reading import Array, filled, ordinal_names
from streamnorm.errors import InvalidReading
from streamnorm.kernels.array_types import is_on_device
from streamnorm.kernels.dispatch import on_device
from streamnorm.normalizer import frames

if TYPE_CHECKING:
    import pandas as pd

TABLE = 2  # dimensions: readings by features


class SingleInput(NamedTuple):
    """A reading in the engine's form, and a function that converts an answer to the caller's form.

    The names of an answer's values are None where they are those of the reading.
    """

    values: object
    shaped: Callable[[Sequence[Any], Sequence[str] | None], Any]


class TableInput(NamedTuple):
    """A block in the engine's form, and a function that converts an answer to the caller's form; names as above."""

    names: tuple[str, ...]
    values: Array
    shaped: Callable[[Array, Sequence[str] | None], Any]
    #: of how many rows each feature is absent: NaN there is no missing value
    absent: tuple[int, ...] = ()
    #: of each row, in seconds since 1970, where a frame has them
    times: Array | None = None


def parse_single(values: Any) -> SingleInput:
    """Convert one reading from any supported form.

    Raises:
        InvalidReading: it is an array without dimensions.

    """
    if isinstance(values, np.ndarray):
        if not values.ndim:
            raise InvalidReading.at("/values", "must be an array of at least one dimension: a feature an element")
        return SingleInput(values.tolist() if values.ndim == 1 else values, lambda ys, _: np.array(ys))
    if _is(values, "Series"):
        return _of_series(values)
    if isinstance(values, Mapping):
        names = list(values)
        members = {str(name): value for name, value in values.items()}
        return SingleInput(members, lambda ys, made: dict(zip(made or names, map(_plain, ys), strict=True)))
    return SingleInput(values, lambda ys, _: list(map(_plain, ys)))


def parse_table(rows: Any, features: Sequence[str] | None = None) -> TableInput:
    """Convert a block from a 2-D array, a data frame, lists or dicts; `features` names the columns.

    Raises:
        InvalidReading: it is not a table of numbers.

    """
    if frames.is_frame(rows):
        return _of_frame(rows, features)
    if is_on_device(rows):
        return _on_device(rows, features)
    if isinstance(rows, np.ndarray):
        if rows.ndim != TABLE or rows.dtype.kind not in "fiub":
            detail = f"an array of shape {rows.shape} and type {rows.dtype} is no block: it takes (readings, features)"
            raise InvalidReading.at("/values", detail)
        return TableInput(_named(features, rows.shape[1]), filled(rows, copy=False), lambda ys, _: ys)
    if _is(rows, "Series"):
        return _of_column(rows, features)
    return _of_list(list(rows), features)


def _of_list(listed: list[Any], features: Sequence[str] | None) -> TableInput:
    if listed and all(_is(row, "Series") for row in listed):
        return _of_series_rows(listed, features)
    if listed and all(isinstance(row, Mapping) for row in listed):
        return _of_dicts(listed, features)
    values = parse_number_rows(listed)
    return TableInput(
        _named(features, values.shape[1]), values, lambda ys, _: [list(map(_plain, row)) for row in ys.tolist()]
    )


def _on_device(rows: Any, features: Sequence[str] | None) -> TableInput:
    try:
        array = on_device().as_device(rows)
    except TypeError as error:
        raise InvalidReading.at("/values", str(error)) from None
    if len(array.shape) != TABLE:
        raise InvalidReading.at(
            "/values", f"an array of shape {array.shape} is no block: it takes (readings, features)"
        )
    return TableInput(_named(features, array.shape[1]), array, lambda ys, _: ys)


def _named(features: Sequence[str] | None, columns: int) -> tuple[str, ...]:
    return ordinal_names(columns) if features is None else tuple(map(str, features))


def _plain(y: Any) -> Any:
    """Return None for NaN: dicts and lists have None for missing values."""
    return None if isinstance(y, float) and math.isnan(y) else y


def _is(value: Any, name: str) -> bool:
    loaded = sys.modules.get("pandas")
    return loaded is not None and isinstance(value, getattr(loaded, name))


def _of_series(series: pd.Series[Any]) -> SingleInput:
    pandas = sys.modules["pandas"]
    given = dict(zip(map(str, series.index), series.astype(object).tolist(), strict=True))
    return SingleInput(
        given, lambda ys, made: pandas.Series(ys, index=made or series.index, name=series.name, dtype=float)
    )


def _of_frame(frame: Any, features: Sequence[str] | None) -> TableInput:
    parts = frames.parse_frame(frame)
    names = parts.names if features is None else tuple(map(str, features))
    return TableInput(names, parts.values, parts.rebuilt, times=parts.times)


def _of_dicts(rows: list[Mapping[Any, Any]], features: Sequence[str] | None) -> TableInput:
    keys = list(dict.fromkeys(name for row in rows for name in row)) if features is None else list(features)
    values = parse_number_rows([[row.get(key) for key in keys] for row in rows])

    def shaped(ys: Array, made: Sequence[str] | None) -> list[dict[Any, Any]]:
        return [
            {key: _plain(y) for key, y in zip(made or keys, answer, strict=True) if made or key in row}
            for row, answer in zip(rows, ys.tolist(), strict=True)
        ]

    return TableInput(tuple(map(str, keys)), values, shaped, tuple(sum(key not in row for row in rows) for key in keys))


def _of_column(series: pd.Series[Any], features: Sequence[str] | None) -> TableInput:
    """Understand one feature's values over time."""
    pandas = sys.modules["pandas"]
    many_ = _of_frame(series.to_frame("0" if series.name is None else series.name), features)

    def shaped(ys: Array, made: Sequence[str] | None) -> Any:
        if made:
            return pandas.DataFrame(ys, index=series.index, columns=made)
        return pandas.Series(ys[:, 0], index=series.index, name=series.name)

    return many_._replace(shaped=shaped)


def _of_series_rows(rows: list[pd.Series[Any]], features: Sequence[str] | None) -> TableInput:
    pandas = sys.modules["pandas"]
    many_ = _of_dicts([row.to_dict() for row in rows], features)

    def shaped(ys: Array, made: Sequence[str] | None) -> list[pd.Series[Any]]:
        answers = zip(rows, many_.shaped(ys, made), strict=True)
        return [pandas.Series(answer, index=made or row.index, name=row.name, dtype=float) for row, answer in answers]

    return many_._replace(shaped=shaped)
