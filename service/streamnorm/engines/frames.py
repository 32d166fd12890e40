"""pandas frames of one stream's rows, as Spark hands them over.

`rules` are what `streamnorm.engines.rules` says, `now` is the time (s since 1970) of readings without one, and
`stream_id` names the stream that the rules are for.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd

from streamnorm.engine.reading import Array
from streamnorm.engines.blobs import Table, observe_table
from streamnorm.engines.rows import COUNT, ERROR, GAP, READY, REPLAYED, Fields, observe_rows
from streamnorm.engines.rules import AnyRules


def observe_frame(
    blob: bytes | None, frame: pd.DataFrame, fields: Fields, rules: AnyRules, now: float, *, stream_id: str = ""
) -> tuple[bytes | None, pd.DataFrame]:
    """Observe a frame's rows, in the order of their numbers, else of their times, else as they are.

    Returns the same rows in that order, normalized, with the fields `ANSWERED`. Where all features are columns of
    float64, they are worked on as a table.

    >>> blob, frame = observe_frame(
    ...     None, pd.DataFrame({"n": [2, 1], "x": [22.0, 20.0]}), Fields(("x",), None, "n"), {}, 0.0
    ... )
    >>> frame["x"].round(3).tolist(), frame["count"].tolist()
    ([0.0, 0.999], [1, 2])

    Raises:
        InvalidConfiguration, StoreCorrupt: as `observe_blob` says; what is wrong with a row is answered.

    """
    order = fields.seq or fields.timestamp
    frame = frame.reset_index(drop=True)
    if order is not None and not frame[order].is_monotonic_increasing:
        frame = frame.sort_values(order, kind="stable", ignore_index=True)
    if isinstance(fields.values, tuple) and all(frame[name].dtype == np.float64 for name in fields.values):
        return _observe_columns(blob, frame, fields, rules, now, stream_id=stream_id)
    given = frame.astype(object).where(frame.notna(), None)
    records = cast("list[dict[str, Any]]", given.to_dict("records"))
    blob, rows = observe_rows(blob, records, fields, rules, now, stream_id=stream_id)
    changed = {name: [row[name] for row in rows] for name in fields.features}
    made = {COUNT: "Int64", READY: "boolean", GAP: "Int64", REPLAYED: "boolean", ERROR: "object"}
    told = {name: pd.array([row[name] for row in rows], dtype=kind) for name, kind in made.items()}  # type: ignore[call-overload]
    whole = {name: pd.Series(column, dtype=_kind(frame[name])) for name, column in changed.items()}
    return blob, frame.assign(**whole, **told)


def _kind(column: pd.Series[Any]) -> str:
    return "float64" if column.dtype.kind in "fiub" else "object"


def _observe_columns(
    blob: bytes | None, frame: pd.DataFrame, fields: Fields, rules: AnyRules, now: float, *, stream_id: str
) -> tuple[bytes | None, pd.DataFrame]:
    names = tuple(fields.values)
    seqs = None if fields.seq is None else frame[fields.seq].fillna(-1).to_numpy(np.int64)
    times = None if fields.timestamp is None else _seconds(frame[fields.timestamp])
    table = Table(names, frame[list(names)].to_numpy(np.float64), times, seqs)
    blob, answer = observe_table(blob, table, rules, now, stream_id=stream_id)
    errors = [None] * len(frame) if not answer.errors else [answer.errors.get(row) for row in range(len(frame))]
    refused = np.array([error is not None for error in errors], dtype=bool)
    told = {
        COUNT: pd.arrays.IntegerArray(answer.counts, refused),
        READY: pd.arrays.BooleanArray(answer.ready, refused),
        GAP: pd.arrays.IntegerArray(answer.gaps, refused),
        REPLAYED: pd.arrays.BooleanArray(answer.replayed, refused),
        ERROR: pd.array([None if error is None else str(error) for error in errors], dtype="object"),
    }
    return blob, frame.assign(**dict(zip(names, answer.values.T, strict=True)), **told)


def _seconds(stamps: pd.Series[Any]) -> Array:
    """Return times in seconds since 1970, NaN for none; those without a zone are in UTC."""
    if stamps.dtype.kind != "M":
        return stamps.to_numpy(np.float64)
    micros = stamps.to_numpy("datetime64[us]")
    found: Array = np.where(np.isnat(micros), np.nan, micros.astype(np.int64) / 1e6)
    return found
