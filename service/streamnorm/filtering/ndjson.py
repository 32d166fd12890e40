"""Lines of NDJSON: which stream each belongs to, and the line that is written for it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson

from streamnorm.errors import InvalidReading, StreamnormError
from streamnorm.filtering.lines import Names
from streamnorm.filtering.streams import Streams
from streamnorm.filtering.tally import Tally
from streamnorm.formats import lenient_json

#: the stream of lines that name none
DEFAULT_STREAM = "stdin"
DEFAULT_NAMES = Names()
#: as Home Assistant exports the states of its entities
HOME_ASSISTANT = Names(
    "entity_id",
    "last_changed",
    strings=True,
    states=MappingProxyType({"on": 1.0, "off": 0.0, "open": 1.0, "closed": 0.0}),
    missing=frozenset({"unavailable", "unknown"}),
)
#: A block costs as much as so many readings one by one.
FEWEST = 8
#: the classes of what JSON has for numbers, truth values and what is missing
NUMERIC = frozenset({int, float, bool, type(None)})
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)


@dataclass
class Ndjson:
    """A reading as in a body, `{"stream": …, "values": …}`, or a flat object, whose numbers are the features.

    What Home Assistant exports is understood where `names` say nothing else.
    """

    streams: Streams
    names: Names = DEFAULT_NAMES
    waiting: bool = False
    every_line: bool = False
    tally: Tally = field(default_factory=Tally)

    def __call__(self, line: str) -> str | None:
        """Normalize a line."""
        given = _object(line)
        self.tally.add(held="values" in given or bool(self._values(given)))
        return orjson.dumps(self._nested(given) if "values" in given else self._flat(given)).decode()

    def many(self, lines: Sequence[str]) -> list[str | Exception]:
        """Normalize lines that arrived together, as one block a stream if they are alike; an error for a bad line."""
        rows: list[dict[str, Any]] = [{}] * len(lines)
        found: list[str | Exception] = [""] * len(lines)
        values: list[dict[str, Any]] = [{}] * len(lines)
        groups: dict[str, list[int]] = {}
        for place, line in enumerate(lines):
            try:
                rows[place] = row = _object(line)
            except InvalidReading as error:
                found[place] = error
            else:
                values[place] = row if "values" in row else self._values(row)
                self.tally.add(held=bool(values[place]))
                groups.setdefault(self._stream(row) if values[place] else "", []).append(place)
        for name, places in groups.items():
            answers = self._block(name, [rows[place] for place in places], [values[place] for place in places])
            for n, place in enumerate(places):
                found[place] = self._one(rows[place]) if answers is None else orjson.dumps(answers[n]).decode()
        return found

    def _one(self, row: dict[str, Any]) -> str | Exception:
        try:
            return orjson.dumps(self._nested(row) if "values" in row else self._flat(row)).decode()
        except (StreamnormError, ValueError) as error:
            return error

    def _block(
        self, stream_id: str, rows: Sequence[dict[str, Any]], values: Sequence[dict[str, Any]]
    ) -> list[dict[str, Any]] | None:
        """Normalize rows of one stream at once; None, and nothing is learned, where they are not alike."""
        if len(rows) < FEWEST or any("values" in row for row in rows):
            return None
        names = tuple(values[0])
        times = [row.get(self.names.time) for row in rows]
        if not names or any(tuple(each) != names for each in values) or len({moment is None for moment in times}) > 1:
            return None
        table = np.array([list(each.values()) for each in values], dtype=np.float64)
        try:
            answer = self.streams.stream(stream_id).observe_block(
                table, features=names, timestamps=None if times[0] is None else times
            )
        except StreamnormError:
            return None
        targets = [f"{name}{self.names.suffix}" for name in answer.features]
        return [row | dict(zip(targets, ys, strict=True)) for row, ys in zip(rows, answer.values.tolist(), strict=True)]

    def _nested(self, given: dict[str, Any]) -> dict[str, Any]:
        stream = self.streams.stream(self._stream(given))
        answer = stream.observe(_listed(given["values"]), timestamp=given.get(self.names.time))
        return given | {"count": answer.count, "ready": answer.ready, "values": _listed(answer.values)}

    def _flat(self, given: dict[str, Any]) -> dict[str, Any]:
        values = self._values(given)
        if not values:
            return given
        stream = self.streams.stream(self._stream(given))
        answer = stream.observe(values, timestamp=given.get(self.names.time))
        return given | {f"{name}{self.names.suffix}": y for name, y in answer.values.items()}

    def _stream(self, given: Mapping[str, Any]) -> str:
        return str(given.get(self.names.stream, DEFAULT_STREAM))

    def _values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Find the values of a flat object."""
        if self.names == DEFAULT_NAMES and "entity_id" in given and isinstance(given.get("state"), str):
            self.names = HOME_ASSISTANT
        names, others = self.names, self.names[:2]
        if not (names.strings or names.states or names.missing):
            return {name: value for name, value in given.items() if value.__class__ in NUMERIC and name not in others}
        values = {}
        for name, value in given.items():
            found = self._number(value) if isinstance(value, str) else value
            if found.__class__ in NUMERIC and name not in others:
                values[name] = found
        return values

    def _number(self, text: str) -> Any:
        """Return the value of a text, None where it means that there is none, or the text itself."""
        if text in self.names.missing:
            return None
        if text in self.names.states:
            return self.names.states[text]
        return float(text) if self.names.strings and _NUMBER.fullmatch(text) else text


def _object(line: str) -> dict[str, Any]:
    try:
        given = lenient_json.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidReading.at("", f"not JSON: {error}") from None
    if not isinstance(given, dict):
        raise InvalidReading.at("", "must be an object")
    return given


def _listed(values: Any) -> Any:
    """Return arrays as lists: as JSON has them."""
    if isinstance(values, Mapping):
        return {name: _listed(value) for name, value in values.items()}
    return values.tolist() if hasattr(values, "tolist") else values
