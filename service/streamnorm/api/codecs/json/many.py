"""JSON of many streams' readings: `{"readings": [{"stream": …, "values": …}, …]}`."""

from __future__ import annotations

from fastapi import Response

from streamnorm.api.codecs.batches import ReadingBatch
from streamnorm.api.codecs.codec import Answered, DecodeContext, Described
from streamnorm.api.codecs.json.readings import JSONReadings
from streamnorm.api.codecs.json.slices import loads_sliced
from streamnorm.api.codecs.serialize import elements
from streamnorm.api.http.body import validate
from streamnorm.api.http.negotiation import JSON
from streamnorm.api.http.responses import Pieces
from streamnorm.api.schemas import ReadingsAnswer, ReadingsBody
from streamnorm.errors import InvalidReading

#: placeholder for the readings while the rest of the body is validated
_READING = {"stream": "-", "values": []}


class ManyJSONCodec:
    """Readings of many streams."""

    media_type = JSON
    binary = False
    general = True
    body: Described | None = ReadingsBody
    answer: Described | None = ReadingsAnswer

    def decode(self, data: bytes, context: DecodeContext) -> ReadingBatch:
        """Decode the readings."""
        document = loads_sliced(data, context.max_reading_bytes)
        members = document.outline if isinstance(document.outline, dict) else {}
        slices = document.elements(members.get("readings"))
        readings = JSONReadings(context.limits, context.caller)
        for items in slices or ():
            readings.extend(items)
        outline = document.finish()
        if isinstance(outline, list):
            raise InvalidReading.at("", 'must be an object, {"readings": […]}, not an array')
        if slices is not None:
            outline["readings"] = [_READING] if readings.seen else []
        readings.check(lambda: validate(ReadingsBody, outline))
        return ReadingBatch(readings.columns.freeze(), "/readings/{}".format)

    def encode(self, answered: Answered) -> Response:
        """Write an object with the answers."""
        return Pieces([b'{"readings":[', *elements(answered.bodies()), b"]}"], JSON)
