"""Home Assistant discovery: every normalized feature is announced as a sensor."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from streamnorm.bridges.mqtt.payloads import OFFLINE, ONLINE, status
from streamnorm.engine.reading import Channel, Reading

#: Characters of the readable part of an id; a hash of the whole name follows.
READABLE = 100
_UNFIT = re.compile(r"[^A-Za-z0-9_-]")


def nothing(stream: str, feature: str) -> Mapping[str, Any]:  # noqa: ARG001
    """Return no members."""
    return {}


@dataclass
class Discovery:
    """Builds the messages that announce and remove sensors."""

    prefix: str
    client: str
    #: seconds without a reading after which a sensor becomes unavailable; 0 for never
    expire_after: float = 0.0
    #: returns additional members of a sensor, such as a unit or a device class, by its stream and feature
    describe: Callable[[str, str], Mapping[str, Any]] = nothing
    #: by stream: features announced over this connection, and over any
    _announced: dict[str, set[str]] = field(default_factory=dict)
    _known: dict[str, set[str]] = field(default_factory=dict)

    def renew(self) -> None:
        """Announce all sensors again, over a new connection."""
        self._announced.clear()

    def fresh(self, stream: str, topic: str, reading: Reading) -> Iterator[tuple[str, bytes]]:
        """Yield topics and payloads of the retained announcements for features that were not announced yet.

        `stream` is the stream's id, `topic` the topic of its normalized readings, `reading` one of its readings.
        """
        announced = self._announced.setdefault(stream, set())
        for index, name in enumerate(reading.names):
            if name not in announced:
                announced.add(name)
                self._known.setdefault(stream, set()).add(name)
                value = reading.values[index] if reading.values else 0.0
                dimensions = value.elements.ndim if isinstance(value, Channel) else 0
                yield self.topic(stream, name), self._sensor(stream, name, topic, dimensions)

    def removed(self, stream: str, features: Sequence[str] = ()) -> Iterator[tuple[str, bytes]]:
        """Yield topics and empty payloads, which remove the retained announcements of a stream's sensors."""
        self._announced.pop(stream, None)
        for name in {*features, *self._known.pop(stream, ())}:
            yield self.topic(stream, name), b""

    def topic(self, stream: str, feature: str) -> str:
        """Return the topic that announces a sensor."""
        return f"{self.prefix}/sensor/{unique(self.client, stream, feature)}/config"

    def _sensor(self, stream: str, feature: str, topic: str, dimensions: int) -> bytes:
        body: dict[str, Any] = {
            "name": f"{feature} normalized",
            "unique_id": unique(self.client, stream, feature),
            "state_topic": topic,
            "value_template": template(feature, dimensions),
            "availability": [{"topic": status(self.client)}],
            "payload_available": ONLINE.decode(),
            "payload_not_available": OFFLINE.decode(),
            "state_class": "measurement",
            "icon": "mdi:chart-bell-curve",
            "device": {
                "identifiers": [unique(self.client, stream)],
                "name": stream,
                "manufacturer": "streamnorm",
            },
            "origin": {"name": "streamnorm"},
        }
        if self.expire_after:
            body["expire_after"] = max(1, round(self.expire_after))
        return orjson.dumps(body | dict(self.describe(stream, feature)))


def template(feature: str, dimensions: int = 0) -> str:
    """Return the template with which Home Assistant extracts a feature from a normalized reading.

    A reading without the feature renders as an empty string, which leaves the sensor unchanged; a missing value renders
    as None, which is unknown. A channel is represented by its mean. `values` may be an object or an array.
    """
    name = orjson.dumps(feature).decode()
    parts = ["{% set v = value_json['values'] %}", "{% if v is mapping %}", f"{{% set x = v.get({name}, '') %}}"]
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
