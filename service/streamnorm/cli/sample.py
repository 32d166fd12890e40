"""What a mapping makes of a sample payload, for `streamnorm check`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson

from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Channel, Reading
from streamnorm.errors import InvalidReading
from streamnorm.formats.instants import rfc3339
from streamnorm.mappings import Mapping, Message


def messages(payloads: Iterable[str], topic: str = "", query: str = "", media_type: str = "") -> Iterator[Message]:
    """Yield the messages of sample `payloads`: texts, `@FILE`, or `-` for standard input.

    `topic`, `query` and `media_type` are those of each.

    Raises:
        InvalidReading: a file cannot be read.

    """
    for payload in payloads:
        yield Message(_body(payload), topic, dict(parse_qsl(query)), media_type)


def sampled(mapping: Mapping, samples: Iterable[Message]) -> Iterator[str]:
    """Yield a line of JSON for each reading that a mapping makes of samples, raw.

    Raises:
        InvalidReading: a sample has no reading; the error says what would help.

    """
    for message in samples:
        if mapping.ignores(message.topic):
            detail = f"mapping {mapping.name!r}: the topic {message.topic!r} holds no reading (ignore_topics)"
            raise InvalidReading.at("", detail)
        for stream, reading, _ in mapping.readings(message, Limits()):
            yield orjson.dumps(_plain(stream, reading), option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _body(payload: str) -> bytes:
    if payload == "-":
        return sys.stdin.buffer.read()
    if not payload.startswith("@"):
        return payload.encode("utf-8", "surrogateescape")
    try:
        return Path(payload[1:]).read_bytes()
    except OSError as error:
        raise InvalidReading.at("", f"{payload[1:]} cannot be read: {error.strerror}") from None


def _plain(stream: str, reading: Reading) -> dict[str, Any]:
    body: dict[str, Any] = {"stream": stream}
    if reading.timestamp is not None:
        body["timestamp"] = rfc3339(reading.timestamp)
    if reading.seq is not None:
        body["seq"] = reading.seq
    values = [value.elements if isinstance(value, Channel) else value for value in reading.values]
    return body | {"values": dict(zip(reading.names, values, strict=True))}
