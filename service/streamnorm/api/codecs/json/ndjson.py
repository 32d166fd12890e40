"""NDJSON: one reading per line."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
from fastapi import Response

from streamnorm.api.codecs.batches import ReadingBatch
from streamnorm.api.codecs.codec import Answered, DecodeContext, Described, Lines
from streamnorm.api.codecs.json.plain_readings import AT_ONCE, append_all_plain
from streamnorm.api.codecs.json.readings import ReadingParser
from streamnorm.api.codecs.serialize import lines
from streamnorm.api.http.body import too_large
from streamnorm.api.http.negotiation import NDJSON
from streamnorm.api.http.responses import Pieces
from streamnorm.api.schemas import ReadingAnswer, ReadingBody, StreamReadingBody
from streamnorm.engine.blocks.columns import ReadingColumns
from streamnorm.errors import InvalidReading

#: Bytes of text that are split into lines at a time.
SLICE = 64 * 1024


class NDJSONCodec:
    """Readings of one stream, or of many."""

    media_type = NDJSON
    binary = False
    general = True
    body: Described | None = Lines(ReadingBody)
    answer: Described | None = Lines(ReadingAnswer)

    def decode(self, data: bytes, context: DecodeContext) -> ReadingBatch:
        """Decode one reading per line, skipping empty lines."""
        parse = ReadingParser(context.limits, context.stream_id, context.caller)
        columns, longest = ReadingColumns(context.limits), context.max_reading_bytes
        at = 1
        for together in _some_lines(data):
            if max(map(len, together)) > longest or not _append_all_plain(columns, together, context):
                for place, line in enumerate(together, at):
                    if not line or line.isspace():
                        continue
                    if len(line) > longest:
                        raise too_large(longest, f"line {place}")
                    columns.append(*parse(line, place, len(columns)))
            at += len(together)
        if not len(columns):
            raise InvalidReading.at("", "the body must hold at least one line")
        return ReadingBatch(columns.freeze(), "/{}".format)

    def encode(self, answered: Answered) -> Response:
        """Encode one answer per line."""
        return Pieces(lines(answered.bodies()), NDJSON)


class ManyNDJSONCodec(NDJSONCodec):
    """NDJSON whose readings name their streams."""

    body = Lines(StreamReadingBody)


def _append_all_plain(columns: ReadingColumns, together: list[bytes], context: DecodeContext) -> bool:
    try:
        bodies = [*map(orjson.loads, together)]
    except orjson.JSONDecodeError:
        return False
    return append_all_plain(columns, bodies, context.caller, context.stream_id)


def _some_lines(data: bytes) -> Iterator[list[bytes]]:
    """Split a text at its newlines, slice by slice, into lists of lines."""
    for some in slices(data):
        lines = some.split(b"\n")
        for start in range(0, len(lines), AT_ONCE):
            yield lines[start : start + AT_ONCE]


def slices(data: bytes) -> Iterator[bytes]:
    """Cut a text at newlines, which are left out, into slices."""
    start = 0
    while start <= len(data):
        end = data.find(b"\n", start + SLICE)
        end = len(data) if end < 0 else end
        yield bytes(data[start:end])
        start = end + 1
