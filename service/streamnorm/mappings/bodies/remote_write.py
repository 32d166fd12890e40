"""Prometheus remote write 1.0 as a document: a protobuf message, packed by Snappy, described here as data.

The series that have the same labels beside their name are one stream, and their names its features.
"""

from __future__ import annotations

import importlib
import math
from functools import cache
from typing import Any, Final

from streamnorm.engine.limits import LARGEST_VALUE
from streamnorm.errors import InvalidReading
from streamnorm.mappings.bodies.protobuf import Field, message_class, parsed

WHAT: Final = "WriteRequest of Prometheus"
EXTRA: Final = "remote-write"
#: Bytes of a request once unpacked; Prometheus sends some hundred kilobytes.
LARGEST: Final = 32 * 1024 * 1024
#: the label that is a series' name
NAME: Final = "__name__"
_MESSAGES: Final[dict[str, tuple[Field, ...]]] = {
    "WriteRequest": (("timeseries", 1, "TimeSeries"),),
    "TimeSeries": (("labels", 1, "Label"), ("samples", 2, "Sample")),
    "Label": (("name", 1, "STRING"), ("value", 2, "STRING")),
    "Sample": (("value", 1, "DOUBLE"), ("timestamp", 2, "INT64")),
}


def parse_write(body: bytes) -> dict[str, Any]:
    """Parse a request into `streams`, each with its `labels`, and its `points` of `name`, `value` and `time`.

    Points are in the order of their times. What no reading can hold, infinities and staleness markers, is NaN.

    Raises:
        InvalidReading: it is none, it would be too large, or a library is missing.

    """
    streams: dict[tuple[tuple[str, str], ...], list[dict[str, Any]]] = {}
    for series in parsed(write_class(), unpacked(body), WHAT).timeseries:
        labels = {label.name: label.value for label in series.labels}
        name = labels.pop(NAME, "")
        points = streams.setdefault(tuple(sorted(labels.items())), [])
        points += [{"name": name, "value": _value(sample.value), "time": sample.timestamp} for sample in series.samples]
    for points in streams.values():
        points.sort(key=lambda point: point["time"])
    return {"streams": [{"labels": dict(labels), "points": points} for labels, points in streams.items() if points]}


def unpacked(body: bytes) -> bytes:
    """Unpack a block of Snappy; one that would be too large is refused by what it says of its size.

    Raises:
        InvalidReading: it is none, or is too large, or the library is missing.

    """
    try:
        snappy = importlib.import_module("cramjam").snappy
    except ModuleNotFoundError:
        raise InvalidReading.at("", f"remote write needs cramjam: pip install 'streamnorm[{EXTRA}]'") from None
    try:
        size = snappy.decompress_raw_len(body)
        if size <= LARGEST:
            return bytes(snappy.decompress_raw(body))
    except Exception as error:  # noqa: BLE001 - the library's DecompressionError, known only where it is installed
        raise InvalidReading.at("", f"the body is no {WHAT}, packed by Snappy: {error}") from None
    raise InvalidReading.at("", f"the body would have {size} bytes once unpacked, not within {LARGEST}")


@cache
def write_class() -> Any:
    """Build protobuf's class of a request.

    Raises:
        InvalidReading: protobuf is not installed.

    """
    return message_class(_MESSAGES, "remote write", EXTRA)


def _value(value: float) -> float:
    return value if -LARGEST_VALUE <= value <= LARGEST_VALUE else math.nan
