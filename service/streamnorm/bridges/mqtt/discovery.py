"""Home Assistant discovery: every normalized feature is announced as a sensor.

Where rules give a feature's unit, its raw value is a sensor, too: a z-score has no unit.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import orjson

from streamnorm.bridges.mqtt.payloads import OFFLINE, ONLINE, status
from streamnorm.engine.reading import Channel, Reading
from streamnorm.engine.streams.stream import Stream

#: Characters of the readable part of an id; a hash of the whole name follows.
READABLE = 100
NO_UNITS: Mapping[str, str] = MappingProxyType({})
_UNFIT = re.compile(r"[^A-Za-z0-9_-]")


#: Home Assistant's device classes that a unit alone decides
DEVICE_CLASSES = {
    **dict.fromkeys(("°C", "°F", "K"), "temperature"),
    **dict.fromkeys(("Pa", "hPa", "kPa", "mbar", "bar", "psi"), "pressure"),
    **dict.fromkeys(("W", "kW"), "power"),
    **dict.fromkeys(("V", "mV"), "voltage"),
    **dict.fromkeys(("A", "mA"), "current"),
    "Hz": "frequency",
    "W/m²": "irradiance",
    "dBm": "signal_strength",
    "lx": "illuminance",
}
#: where a message has what a sensor shows
NORMALIZED, RAW = "values", "raw"


@dataclass
class Discovery:
    """Builds the messages that announce and remove sensors."""

    prefix: str
    client: str
    #: seconds without a reading after which a sensor becomes unavailable; 0 for never
    expire_after: float = 0.0
    #: by stream: sensors announced over this connection, and features announced over any
    _announced: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    _known: dict[str, set[str]] = field(default_factory=dict)

    def renew(self) -> None:
        """Announce all sensors again, over a new connection."""
        self._announced.clear()

    def fresh(
        self, stream: str, topic: str, reading: Reading, units: Mapping[str, str] = NO_UNITS
    ) -> Iterator[tuple[str, bytes]]:
        """Yield topics and payloads of the retained announcements for sensors that were not announced yet.

        `stream` is the stream's id, `topic` the topic of its normalized readings, `reading` one of its readings, and
        `units` are those of its features that have one.
        """
        announced = self._announced.setdefault(stream, set())
        for index, name in enumerate(reading.names):
            if (name, NORMALIZED) not in announced:
                announced.add((name, NORMALIZED))
                self._known.setdefault(stream, set()).add(name)
                value = reading.values[index] if reading.values else 0.0
                dimensions = value.elements.ndim if isinstance(value, Channel) else 0
                members = {"name": f"{name} normalized", "icon": "mdi:chart-bell-curve"}
                yield self.topic(stream, name), self._sensor(stream, name, topic, template(name, dimensions), members)
        for name, unit in units.items():
            if (name, RAW) not in announced:
                announced.add((name, RAW))
                self._known.setdefault(stream, set()).add(name)
                members = {"name": name, "unit_of_measurement": unit}
                if unit in DEVICE_CLASSES:
                    members["device_class"] = DEVICE_CLASSES[unit]
                shown = template(name, of=RAW)
                yield self.topic(stream, name, RAW), self._sensor(stream, name, topic, shown, members, RAW)

    def removed(self, stream: str, features: Sequence[str] = ()) -> Iterator[tuple[str, bytes]]:
        """Yield topics and empty payloads, which remove the retained announcements of a stream's sensors."""
        self._announced.pop(stream, None)
        for name in {*features, *self._known.pop(stream, ())}:
            for of in (NORMALIZED, RAW):
                yield self.topic(stream, name, of), b""

    def topic(self, stream: str, feature: str, of: str = NORMALIZED) -> str:
        """Return the topic that announces the sensor `of` the normalized or raw values of a `stream`'s `feature`."""
        return f"{self.prefix}/sensor/{self._id(stream, feature, of)}/config"

    def _id(self, stream: str, feature: str, of: str) -> str:
        return unique(self.client, stream, feature, *((of,) if of != NORMALIZED else ()))

    def _sensor(  # noqa: PLR0917 - what a sensor is told by
        self, stream: str, feature: str, topic: str, shown: str, members: Mapping[str, str], of: str = NORMALIZED
    ) -> bytes:
        body: dict[str, Any] = {
            **members,
            "unique_id": self._id(stream, feature, of),
            "state_topic": topic,
            "value_template": shown,
            "availability": [{"topic": status(self.client)}],
            "payload_available": ONLINE.decode(),
            "payload_not_available": OFFLINE.decode(),
            "state_class": "measurement",
            "device": {
                "identifiers": [unique(self.client, stream)],
                "name": stream,
                "manufacturer": "streamnorm",
            },
            "origin": {"name": "streamnorm"},
        }
        if self.expire_after:
            body["expire_after"] = max(1, round(self.expire_after))
        return orjson.dumps(body)


def units_of(stream: Stream | None, reading: Reading) -> Mapping[str, str]:
    """Return the units of a `reading`'s numbers that rules, or the configuration of its `stream`, give.

    A row of a block has no numbers: its raw values are not kept.
    """
    if stream is None or not reading.values or not (stream.plan.mixed or stream.plan.common.unit):
        return NO_UNITS
    numbers = [name for name, value in zip(reading.names, reading.values, strict=True) if isinstance(value, float)]
    return {name: unit for name in numbers if (unit := stream.plan.of(name).unit)}


def template(feature: str, dimensions: int = 0, of: str = NORMALIZED) -> str:
    """Return the template with which Home Assistant extracts a `feature` from a message's normalized or raw values.

    A reading without the feature renders as an empty string, which leaves the sensor unchanged; a missing value renders
    as None, which is unknown. A channel of several `dimensions` is represented by its mean. The member `of` the message
    may be an object or an array, and raw values may be missing.
    """
    name = orjson.dumps(feature).decode()
    member = "value_json['values']" if of == NORMALIZED else f"value_json.get('{of}', {{}})"
    parts = [f"{{% set v = {member} %}}", "{% if v is mapping %}", f"{{% set x = v.get({name}, '') %}}"]
    place = int(feature) if feature.isascii() and feature.isdecimal() else None
    if place is not None:
        parts += ["{% else %}", f"{{% set x = v[{place}] if v | length > {place} else '' %}}", "{% endif %}"]
    else:
        parts += ["{% else %}", "{% set x = '' %}", "{% endif %}"]
    if not dimensions:
        return "".join([*parts, "{{ x }}"])
    flat = "x" + " | sum(start=[])" * (dimensions - 1)
    mean = f"{{% set n = {flat} | select('number') | list %}}{{{{ n | sum / n | length if n else none }}}}"
    return "".join([*parts, "{% if x is string or x is none %}{{ x }}{% else %}", mean, "{% endif %}"])


def unique(*names: str) -> str:
    """Return a unique id for a tuple of names, of letters, digits, - and _ only, as Home Assistant requires.

    >>> unique("plant", "attic:1", "temp") == unique("plant", "attic", "1_temp")
    False
    """
    exact = hashlib.blake2b(orjson.dumps(names), digest_size=6).hexdigest()
    return f"{_UNFIT.sub('_', '_'.join(names))[:READABLE]}_{exact}"
