"""Rows of an engine's tables: which of their fields hold a reading, and what they are answered with.

`rules` are what `streamnorm.engines.rules` says, `now` is the time (s since 1970) of readings without one, and
`stream_id` names the stream that the rules are for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Answer, Reading, parse_reading
from streamnorm.engines.blobs import LIMITS, observe_blob
from streamnorm.engines.rules import AnyRules
from streamnorm.errors import InvalidReading, StreamnormError
from streamnorm.formats.instants import seconds

#: The fields that are added to every row: `error` says why its reading was refused, and is null where it was not.
COUNT, READY, GAP, REPLAYED, ERROR = ANSWERED = ("count", "ready", "gap", "replayed", "error")


@dataclass(frozen=True, slots=True)
class Fields:
    """Which fields of a row hold a reading.

    `values` is the name of the field that holds all of them (a map of features, or an array), or the names of fields
    that are a feature each: a number or, for a channel, an array. `timestamp` and `seq` are fields, too, if rows have
    them.
    """

    values: str | tuple[str, ...]
    timestamp: str | None = None
    seq: str | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The fields whose values are normalized."""
        return (self.values,) if isinstance(self.values, str) else self.values

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields that are a feature each."""
        return () if isinstance(self.values, str) else self.values

    def check(self, names: Sequence[str]) -> None:
        """Refuse rows that lack a field, or have one of those that are added.

        Raises:
            InvalidReading: naming the field, and those that there are.

        """
        for name in (*self.features, self.timestamp, self.seq):
            if name is not None and name not in names:
                raise InvalidReading.at("", f"there is no field {name!r}; the rows have {', '.join(names)}")
        for name in ANSWERED:
            if name in names:
                raise InvalidReading.at("", f"the rows have a field {name!r}, which is added to them: rename it")

    def reading(self, row: Mapping[str, Any], limits: Limits = LIMITS) -> Reading:
        """Build the reading of a row; times without a zone are in UTC.

        >>> Fields(("temp",), "at").reading({"temp": 21.4, "at": datetime(1970, 1, 2), "name": "boiler-7"})
        Reading(names=('temp',), values=[21.4], listed=False, timestamp=86400.0, seq=None, plain=True)

        Raises:
            InvalidReading: naming every wrong place.

        """
        values = row[self.values] if isinstance(self.values, str) else {name: row[name] for name in self.values}
        stamp = row[self.timestamp] if self.timestamp is not None else None
        seq = row[self.seq] if self.seq is not None else None
        return parse_reading(values, limits, timestamp=None if stamp is None else _instant(stamp), seq=_number(seq))


def observe_rows(
    blob: bytes | None,
    rows: Sequence[Mapping[str, Any]],
    fields: Fields,
    rules: AnyRules,
    now: float,
    *,
    stream_id: str = "",
) -> tuple[bytes | None, list[dict[str, Any]]]:
    """Observe rows into the blob of the stream `stream_id`; returns them normalized, with the fields `ANSWERED`.

    >>> blob, rows = observe_rows(None, [{"id": 1, "x": 20.0}, {"id": 2, "x": "hot"}], Fields(("x",)), {}, 0.0)
    >>> rows[0]
    {'id': 1, 'x': 0.0, 'count': 1, 'ready': False, 'gap': 0, 'replayed': False, 'error': None}
    >>> rows[1]["x"], rows[1]["error"]
    (None, "/values/x: must be a number, null or an array of numbers, not 'hot'")

    Raises:
        InvalidConfiguration, StoreCorrupt: as `observe_blob` says; what is wrong with a row is answered.

    """
    answers: list[Answer | StreamnormError | None] = [None] * len(rows)
    readings, places = [], []
    for place, row in enumerate(rows):
        try:
            readings.append(fields.reading(row))
            places.append(place)
        except StreamnormError as error:
            answers[place] = error
    blob, found = observe_blob(blob, readings, rules, now, stream_id=stream_id, columns=fields.columns)
    for place, answer in zip(places, found, strict=True):
        answers[place] = answer
    of = dict(zip(places, readings, strict=True))
    return blob, [_answered(row, of.get(place), answers[place], fields) for place, row in enumerate(rows)]


def _answered(
    row: Mapping[str, Any], reading: Reading | None, answer: Answer | StreamnormError | None, fields: Fields
) -> dict[str, Any]:
    if reading is None or not isinstance(answer, Answer):
        nothing = {name: _nothing(row[name]) for name in fields.features}
        return {**row, **nothing, COUNT: None, READY: None, GAP: None, REPLAYED: None, ERROR: str(answer)}
    ys = dict(zip(answer.named(reading), map(_plain, answer.values), strict=True))
    whole: Any = [*ys.values()] if reading.listed else ys
    normalized = {fields.values: whole} if isinstance(fields.values, str) else ys
    told = {COUNT: answer.count, READY: answer.ready, GAP: answer.gap, REPLAYED: answer.replayed, ERROR: None}
    return {**row, **normalized, **told}


def _nothing(value: Any) -> Any:
    """Return what stands for a refused value: PyFlink cannot collect maps and arrays that are null."""
    return {} if isinstance(value, Mapping) else [] if isinstance(value, (list, tuple, np.ndarray)) else None


def _plain(y: Any) -> Any:
    """Return a z-score as plain data: None for NaN, which SQL calls NULL; NaN in arrays, whose elements are numbers."""
    if isinstance(y, np.ndarray):
        return y.tolist()
    return None if math.isnan(y) else float(y)


def _instant(stamp: object) -> float:
    if isinstance(stamp, datetime) and stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=UTC)
    try:
        return seconds(stamp)
    except ValueError as error:
        raise InvalidReading.at("/timestamp", str(error)) from None


def _number(seq: object) -> int | None:
    """Return a row's number; pandas has turned whole numbers to floats where some rows have none."""
    if seq is None or seq != seq:  # noqa: PLR0124 - NaN
        return None
    if isinstance(seq, (int, np.integer)) or (isinstance(seq, float) and seq.is_integer()):
        return int(seq)
    raise InvalidReading.at("/seq", f"must be a whole number, not {seq!r}")
