"""One line at a time: what it is, which stream it belongs to, and the line that is written for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import orjson

from streamnorm.errors import InvalidReading
from streamnorm.filtering.streams import Streams
from streamnorm.formats.line_protocol import DEFAULT_TEMPLATE, Malformed, Unclosed, parse, stream_id, written

Format = Literal["ndjson", "line"]

#: the stream of lines that name none
DEFAULT_STREAM = "stdin"
#: as in a body: a text that is never closed ends here
MOST_LINES = 64


class Names(NamedTuple):
    """How lines say what they are of; `suffix` keeps the raw fields and names the normalized ones beside them."""

    stream: str = "stream"
    time: str = "timestamp"
    template: str = DEFAULT_TEMPLATE
    suffix: str = ""


DEFAULT_NAMES = Names()


class Filter(Protocol):
    """Takes a line, gives the line to write; None while it is `waiting` for the line's end."""

    @property
    def waiting(self) -> bool: ...  # noqa: D102

    def __call__(self, line: str) -> str | None: ...  # noqa: D102


def guessed(line: str) -> Format:
    """Tell the format by a first line."""
    return "ndjson" if line.lstrip().startswith("{") else "line"


@dataclass
class Ndjson:
    """A reading as in a body, `{"stream": …, "values": …}`, or a flat object, whose numbers are the features."""

    streams: Streams
    names: Names = DEFAULT_NAMES
    waiting: bool = False

    def __call__(self, line: str) -> str | None:
        """Normalize a line."""
        try:
            given = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InvalidReading.at("", f"not JSON: {error}") from None
        if not isinstance(given, dict):
            raise InvalidReading.at("", "must be an object")
        return orjson.dumps(self._nested(given) if "values" in given else self._flat(given)).decode()

    def _nested(self, given: dict[str, Any]) -> dict[str, Any]:
        stream = self.streams.stream(str(given.get(self.names.stream, DEFAULT_STREAM)))
        answer = stream.observe(_listed(given["values"]), timestamp=given.get(self.names.time))
        return given | {"count": answer.count, "ready": answer.ready, "values": _listed(answer.values)}

    def _flat(self, given: dict[str, Any]) -> dict[str, Any]:
        stream = self.streams.stream(str(given.get(self.names.stream, DEFAULT_STREAM)))
        own = {self.names.stream, self.names.time}
        values = {name: value for name, value in given.items() if name not in own and _numeric(value)}
        if not values:
            return given
        answer = stream.observe(values, timestamp=given.get(self.names.time))
        return given | {f"{name}{self.names.suffix}": y for name, y in answer.values.items()}


class Lines:
    """Line protocol: numbers and booleans are normalized, texts, names, tags and times stay."""

    def __init__(self, streams: Streams, names: Names = DEFAULT_NAMES) -> None:
        self.streams = streams
        self.names = names
        self._begun: list[str] = []

    @property
    def waiting(self) -> bool:
        """Return whether a text goes on in the next line."""
        return bool(self._begun)

    def __call__(self, line: str) -> str | None:
        """Normalize a line."""
        self._begun.append(line)
        try:
            point = parse("\n".join(self._begun))
        except Unclosed:
            if len(self._begun) < MOST_LINES:
                return None
            self._begun.clear()
            raise
        except Malformed:
            self._begun.clear()
            raise
        self._begun.clear()
        numbers = point.numbers()
        if not numbers:
            return written(point, point.fields)
        stream = self.streams.stream(stream_id(point, self.names.template))
        ys = stream.observe(numbers, timestamp=None if point.time is None else point.time / 1e9).values
        normalized = {f"{name}{self.names.suffix}": y for name, y in ys.items() if y is not None}
        kept = point.fields if self.names.suffix else {n: v for n, v in point.fields.items() if n not in ys}
        return written(point, {**kept, **normalized})


def _numeric(value: object) -> bool:
    return value is None or isinstance(value, (int, float))


def _listed(values: Any) -> Any:
    """Return arrays as lists: as JSON has them."""
    if isinstance(values, Mapping):
        return {name: _listed(value) for name, value in values.items()}
    return values.tolist() if hasattr(values, "tolist") else values
