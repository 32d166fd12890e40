"""What the bridge to MQTT publishes: normalized readings, and what Home Assistant wants to know of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from streamnorm.engine.blocks.block import Block, BlockAnswer
from streamnorm.engine.blocks.convert import table_rows
from streamnorm.engine.reading import Answer, Reading
from streamnorm.formats.instants import rfc3339

ONLINE, OFFLINE = b"online", b"offline"


def of_reading(stream: str, reading: Reading, answer: Answer, now: float) -> bytes:
    """Say a normalized reading, with the time that it is of.

    >>> of_reading("s", Reading(("temp",), [21.5]), Answer([0.25], 7, True), 0)
    b'{"stream":"s","timestamp":"1970-01-01T00:00:00Z","count":7,"ready":true,"values":{"temp":0.25}}'
    """
    values = answer.values if reading.listed else dict(zip(reading.names, answer.values, strict=True))
    body: dict[str, Any] = {"stream": stream} | ({} if reading.seq is None else {"seq": reading.seq})
    moment = now if reading.timestamp is None else reading.timestamp
    body |= {"timestamp": rfc3339(moment), "count": answer.count, "ready": answer.ready, "values": values}
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def of_block(stream: str, block: Block, answer: BlockAnswer, now: float) -> Iterator[bytes]:
    """Say the readings of a block, one by one."""
    return (of_reading(stream, *row, now) for row in table_rows(block, answer))


def discovery(prefix: str, client: str, stream: str, feature: str, topic: str) -> tuple[str, bytes]:
    """Announce a normalized sensor to Home Assistant; returns the topic, and the message to be retained there.

    Home Assistant's ids know letters, digits, - and _ only.
    """
    unique = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in f"{client}_{stream}_{feature}")
    device = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in f"{client}_{stream}")
    body = {
        "name": f"{feature} normalized",
        "unique_id": unique,
        "object_id": unique,
        "state_topic": topic,
        "value_template": "{{ value_json['values'][" + orjson.dumps(feature).decode() + "] }}",
        "availability_topic": status(client),
        "payload_available": ONLINE.decode(),
        "payload_not_available": OFFLINE.decode(),
        "state_class": "measurement",
        "icon": "mdi:chart-bell-curve",
        "device": {"identifiers": [device], "name": stream, "manufacturer": "streamnorm"},
        "origin": {"name": "streamnorm"},
    }
    return f"{prefix}/sensor/{unique}/config", orjson.dumps(body)


def status(client: str) -> str:
    """Return the topic of a client's status."""
    return f"{client}/status"
