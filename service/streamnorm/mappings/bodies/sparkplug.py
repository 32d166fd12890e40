"""Sparkplug B payloads (Eclipse Sparkplug 3.0, chapter 6), whose protobuf is described here as data.

A birth gives each metric a name and an alias; data may then carry aliases alone.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any, Final

from streamnorm.errors import InvalidReading
from streamnorm.mappings.bodies.protobuf import Field, message_class, parsed

#: Edge nodes and devices whose aliases are remembered.
MOST_SOURCES: Final = 10_000
#: the payload's and the metric's fields that readings are made of
_PAYLOAD: Final[tuple[Field, ...]] = (("timestamp", 1, "UINT64"), ("metrics", 2, "Metric"), ("seq", 3, "UINT64"))
_METRIC: Final[tuple[Field, ...]] = (
    ("name", 1, "STRING"),
    ("alias", 2, "UINT64"),
    ("timestamp", 3, "UINT64"),
    ("datatype", 4, "UINT32"),
    ("is_null", 7, "BOOL"),
    ("int_value", 10, "UINT32"),
    ("long_value", 11, "UINT64"),
    ("float_value", 12, "FLOAT"),
    ("double_value", 13, "DOUBLE"),
    ("boolean_value", 14, "BOOL"),
    ("string_value", 15, "STRING"),
)
_VALUES: Final = tuple(name for name, _, _ in _METRIC if name.endswith("_value"))
#: the data types up to this one are numbers and booleans
LAST_NUMBER: Final = 11
#: bits of the signed data types, which travel as unsigned numbers
_SIGNED: Final = {1: 8, 2: 16, 3: 32, 4: 64}


class Aliases:
    """The names of metrics by their aliases, as the births of this run told them."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, dict[int, tuple[str, int]]] = OrderedDict()
        self._payload: Any = None

    def document(self, body: bytes, topic: str = "") -> dict[str, Any]:
        """Parse a payload into a document with `timestamp`, `seq` and `metrics` of `name`, `timestamp` and `value`.

        Raises:
            InvalidReading: it is none, its library is missing, or all metrics have aliases of an unknown birth.

        """
        payload = self._parsed(body)
        kind, source = _source(topic)
        known = self._names.get(source, {})
        if kind.endswith("BIRTH"):
            known = self._names[source] = {
                metric.alias: (metric.name, metric.datatype) for metric in payload.metrics if metric.HasField("alias")
            }
        if source in self._names:
            self._names.move_to_end(source)
        while len(self._names) > MOST_SOURCES:
            self._names.popitem(last=False)
        metrics, unknown = [], []
        for metric in payload.metrics:
            name, datatype = metric.name, metric.datatype
            if not name:
                name, born = known.get(metric.alias, ("", 0))
                datatype = datatype or born
            if name:
                own = {"timestamp": metric.timestamp} if metric.HasField("timestamp") else {}
                metrics.append({"name": name, "value": _value(metric, datatype), **own})
            else:
                unknown.append(metric.alias)
        if unknown and not metrics:
            detail = (
                f"the names of the aliases {', '.join(map(str, unknown[:5]))} are not known: the birth of {source!r} "
                "came before the service started; ask the edge node for a rebirth (Node Control/Rebirth)"
            )
            raise InvalidReading.at("", detail)
        whole: dict[str, Any] = {"metrics": metrics, "seq": payload.seq}
        return whole | ({"timestamp": payload.timestamp} if payload.timestamp else {})

    def _parsed(self, body: bytes) -> Any:
        if self._payload is None:
            self._payload = payload_class()
        return parsed(self._payload, body, "payload of Sparkplug B")


def payload_class() -> Any:
    """Build protobuf's class of a payload.

    Raises:
        InvalidReading: protobuf is not installed.

    """
    return message_class({"Payload": _PAYLOAD, "Metric": _METRIC}, "Sparkplug B", "sparkplug")


def _source(topic: str) -> tuple[str, str]:
    """Split a topic into the kind of its message, and whom it is of."""
    namespace, _, rest = topic.partition("/")
    group, _, rest = rest.partition("/")
    kind, _, source = rest.partition("/")
    return kind, f"{namespace}/{group}/{source}"


def _value(metric: Any, datatype: int) -> Any:
    if metric.is_null:
        return math.nan if datatype <= LAST_NUMBER else None
    name = next((each for each in _VALUES if metric.HasField(each)), None)
    value = None if name is None else getattr(metric, name)
    bits = _SIGNED.get(datatype)
    if bits is not None and isinstance(value, int) and not isinstance(value, bool):
        value &= (1 << bits) - 1
        value -= 1 << bits if value >> (bits - 1) else 0
    return value
