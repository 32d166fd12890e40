"""The payloads that the MQTT bridge publishes: normalized readings, and dead letters."""

from __future__ import annotations

import base64
from collections.abc import Collection
from typing import Any

import orjson

from streamnorm.engine.reading import Answer, Reading
from streamnorm.events.kinds import KindChange
from streamnorm.formats.instants import rfc3339

ONLINE, OFFLINE = b"online", b"offline"
#: Bytes of a refused message that its dead letter repeats.
MAX_DEAD_LETTER = 64 * 1024


def of_reading(stream: str, reading: Reading, answer: Answer, now: float, raw: Collection[str] = ()) -> bytes:
    """Return the `answer` to a `reading` of a `stream` as JSON; `now` (s since 1970) is its time if it has none.

    Of the features named in `raw` it has the raw values, too.

    >>> of_reading("s", Reading(("temp",), [21.5]), Answer([0.25], 7, True), 0)
    b'{"stream":"s","timestamp":"1970-01-01T00:00:00Z","count":7,"ready":true,"values":{"temp":0.25}}'
    """
    values = [*answer.values] if reading.listed else dict(zip(answer.named(reading), answer.values, strict=True))
    body: dict[str, Any] = {"stream": stream} | ({} if reading.seq is None else {"seq": reading.seq})
    moment = now if reading.timestamp is None else reading.timestamp
    body |= {"timestamp": written(moment), "count": answer.count, "ready": answer.ready, "values": values}
    if raw:
        body["raw"] = {name: value for name, value in zip(reading.names, reading.values, strict=True) if name in raw}
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def of_kind(change: KindChange) -> bytes:
    """Return a change of a sensor's kind as JSON.

    >>> of_kind(KindChange("s", "temp", "continuous", "stuck", 0.0))
    b'{"stream":"s","timestamp":"1970-01-01T00:00:00Z","feature":"temp","was":"continuous","kind":"stuck"}'
    """
    body: dict[str, Any] = {"stream": change.stream, "timestamp": written(change.time)}
    return orjson.dumps(body | {"feature": change.feature, "was": change.was, "kind": change.kind})


def dead_letter(topic: str, payload: bytes, reason: str, detail: str, now: float) -> bytes:
    """Return a rejected message as JSON, its `payload` as text, or as base64 if it is not UTF-8.

    `topic` is the message's, `reason` and `detail` say why it was rejected, `now` is the time (s since 1970).

    >>> dead_letter("a/raw", b"hot", "invalid-reading", "no number", 0)
    b'{"topic":"a/raw","time":"1970-01-01T00:00:00Z","reason":"invalid-reading","detail":"no number","bytes":3,"payload":"hot"}'
    """  # noqa: E501
    body: dict[str, Any] = {"topic": topic, "time": rfc3339(now), "reason": reason, "detail": detail}
    shown = payload[:MAX_DEAD_LETTER]
    body["bytes"] = len(payload)
    try:
        body["payload"] = shown.decode()
    except UnicodeDecodeError:
        body["payload_base64"] = base64.b64encode(shown).decode()
    return orjson.dumps(body)


def status(client: str) -> str:
    """Return the topic of a client's status."""
    return f"{client}/status"


def written(moment: float) -> str | float:
    """Return a time as RFC 3339; as seconds where the calendar has no such year."""
    try:
        return rfc3339(moment)
    except (ValueError, OverflowError, OSError):
        return moment
