"""Lines in the form that devices send, of which a mapping makes readings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Channel, Reading
from streamnorm.filtering.streams import Streams
from streamnorm.filtering.tally import Tally
from streamnorm.formats.instants import rfc3339
from streamnorm.mappings import Mapping, Message

#: a topic before its payload, as `mosquitto_sub -v` prints them: JSON, or a word
_TOPIC = re.compile(r"(?P<topic>[^\[{]*?) (?P<payload>[\[{].*)|(?P<of_word>.*) (?P<word>\S+)", re.DOTALL)


@dataclass
class Mapped:
    """A message a line, perhaps behind its topic; a reading a line comes out.

    With a suffix the raw values stay, and the normalized ones stand beside them.
    """

    streams: Streams
    mapping: Mapping
    suffix: str = ""
    waiting: bool = False
    every_line: bool = False

    def __post_init__(self) -> None:
        self.tally = Tally()
        self._limits = Limits()

    def __call__(self, line: str) -> str | None:
        """Normalize a line; None where the mapping ignores its topic."""
        topic, payload = self._split(line)
        if self.mapping.ignores(topic):
            return None
        readings = self.mapping.readings(Message(payload.encode(), topic), self._limits)
        self.tally.add(held=True)
        return "\n".join(self._normalized(stream, reading) for stream, reading, _ in readings)

    def _split(self, line: str) -> tuple[str, str]:
        match = _TOPIC.fullmatch(line) if self.mapping.topics and not line.startswith(("{", "[")) else None
        if match is None:
            return "", line
        return match["topic"] or match["of_word"] or "", match["payload"] or match["word"] or ""

    def _normalized(self, stream: str, reading: Reading) -> str:
        raw = {name: _plain(value) for name, value in zip(reading.names, reading.values, strict=True)}
        answer = self.streams.stream(stream).observe(raw, timestamp=reading.timestamp)
        ys = {f"{name}{self.suffix}": y for name, y in answer.values.items()}
        body: dict[str, Any] = {"stream": stream}
        if reading.timestamp is not None:
            body["timestamp"] = rfc3339(reading.timestamp)
        body |= {"count": answer.count, "ready": answer.ready, "values": {**raw, **ys} if self.suffix else ys}
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _plain(value: Any) -> Any:
    return value.elements if isinstance(value, Channel) else value
