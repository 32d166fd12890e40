"""Lines of InfluxDB's line protocol, normalized as Telegraf's execd processor wants them."""

from __future__ import annotations

from streamnorm.filtering.lines import Names
from streamnorm.filtering.streams import Streams
from streamnorm.filtering.tally import Tally
from streamnorm.formats.line_protocol import MOST_LINES, Malformed, Unclosed, parse, stream_id, written


class Lines:
    """Line protocol: numbers and booleans are normalized, texts, names, tags and times stay."""

    every_line = True

    def __init__(self, streams: Streams, names: Names) -> None:
        self.streams = streams
        self.names = names
        self.tally = Tally()
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
        self.tally.add(held=bool(numbers))
        if not numbers:
            return written(point, point.fields)
        stream = self.streams.stream(stream_id(point, self.names.template))
        ys = stream.observe(numbers, timestamp=None if point.time is None else point.time / 1e9).values
        normalized = {f"{name}{self.names.suffix}": y for name, y in ys.items() if y is not None}
        kept = point.fields if self.names.suffix else {n: v for n, v in point.fields.items() if n not in ys}
        return written(point, {**kept, **normalized})
