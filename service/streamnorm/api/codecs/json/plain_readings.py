"""Readings of nothing but numbers, which most are: many at a time, straight into columns."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Collection, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from streamnorm.api.middleware.authorization import check_streams
from streamnorm.auth.api_keys import ApiKey
from streamnorm.engine.blocks.columns import PlainReadings, ReadingColumns
from streamnorm.engine.limits import LARGEST_SEQ, LARGEST_VALUE
from streamnorm.engine.names import is_plain_id, is_stream_id
from streamnorm.engine.reading import ordinal_names
from streamnorm.errors import Forbidden
from streamnorm.formats.instants import seconds
from streamnorm.formats.payload import BESIDE

#: Bodies of which one that is not plain makes the others be read one by one.
AT_ONCE = 128


def append_all_plain(
    columns: ReadingColumns, bodies: Sequence[Any], caller: ApiKey, stream_id: str | None = None
) -> bool:
    """Add the readings of parsed `bodies` to `columns` if all are plain, to what `parse_simple_reading` makes of each.

    Otherwise add none and return False; so too if one is to be refused, say because its stream is outside the scope of
    `caller`. If `stream_id` is None the bodies name their streams.

    Raises:
        LimitExceeded: as `ReadingColumns.append` says.

    """
    try:
        readings = _read(bodies, stream_id)
        check_streams(caller, {*readings.stream_ids})
    except (LookupError, TypeError, ValueError, Forbidden):
        return False
    return columns.append_plain(readings)


def _read(bodies: Sequence[Any], stream_id: str | None) -> PlainReadings:
    """Read bodies; any error means that one is to be read by itself."""
    _expect({*map(type, bodies)} == {dict})
    members = BESIDE if stream_id is not None else ("stream", *BESIDE)
    beside = {name: [*map(itemgetter(name), bodies)] for name in members if name in bodies[0]}
    if flat := "values" not in bodies[0]:
        values = [{name: value for name, value in body.items() if name not in members} for body in bodies]
        _expect([*map(len, bodies)] == [len(given) + len(beside) for given in values])
        _expect(not any("values" in given for given in values))
    else:
        values = [*map(itemgetter("values"), bodies)]
        _expect({*map(len, bodies)} == {1 + len(beside)})
    listed = isinstance(values[0], list)
    _expect({*map(type, values)} == {list if listed else dict} and all(values))
    names = [ordinal_names(len(given)) if listed else tuple(given) for given in values]
    numbers = pack_numbers([*chain.from_iterable(values if listed else map(dict.values, values))], nulls=not flat)
    stream_ids = beside["stream"] if stream_id is None else [stream_id] * len(bodies)
    if stream_id is None:
        _expect(all(is_plain_id(each) or is_stream_id(each) for each in {*stream_ids}))
    times = [*map(seconds, beside["timestamp"])] if "timestamp" in beside else None
    seqs = beside.get("seq")
    _expect(seqs is None or ({*map(type, seqs)} == {int} and 0 <= min(seqs) <= max(seqs) <= LARGEST_SEQ))
    return PlainReadings(stream_ids, names, listed, numbers, times, seqs)


def pack_numbers(given: Collection[Any], *, nulls: bool) -> array[float]:
    """Convert numbers to floats, and nulls to NaN if `nulls` may stand for missing values; true and false are 1 and 0.

    Raises:
        ValueError: there is anything else, or a number that may be too large.

    """
    form = f"{len(given)}d"
    try:
        try:
            packed = struct.pack(form, *given)  # takes a third of the time that `array` takes
        except struct.error:
            _expect(nulls)
            packed = struct.pack(form, *[math.nan if value is None else value for value in given])
    except struct.error as error:
        raise ValueError(str(error)) from None
    _expect(not np.count_nonzero(np.abs(np.frombuffer(packed)) >= LARGEST_VALUE))
    return array("d", packed)


def _expect(condition: bool) -> None:  # noqa: FBT001 - as that of `assert`
    if not condition:
        raise ValueError
