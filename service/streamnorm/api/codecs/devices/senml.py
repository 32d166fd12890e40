"""SenML (RFC 8428): a pack of records, as JSON or CBOR; answered by a pack in the same form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import Response

from streamnorm.api.codecs.batches import AnsweredReadings, ReadingBatch
from streamnorm.api.codecs.codec import DecodeContext, Described, Literal
from streamnorm.api.codecs.json.slices import loads_sliced
from streamnorm.api.codecs.serialize import batched, elements
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.api.http.responses import Pieces
from streamnorm.errors import InvalidReading
from streamnorm.formats import cbor, senml
from streamnorm.formats.senml_pack import Pack

EXAMPLE = [{"bn": "urn:dev:ow:10e2073a01080063:", "n": "temp", "u": "Cel", "v": 23.1}, {"n": "open", "vb": False}]
ANSWER = [{"n": "urn:dev:ow:10e2073a01080063:temp", "t": 1795338000.0, "v": 0.0}]
SCHEMA = {"type": "array", "items": {"type": "object"}, "description": "a pack of SenML (RFC 8428); or as CBOR"}
NOT_CBOR = "the body is not CBOR"


@dataclass
class PackBatch(ReadingBatch):
    """A pack: a reading for each of its times, in order."""

    pack: Pack


class SenMLCodec:
    """Packs as JSON."""

    media_type = senml.JSON
    binary = False
    general = False
    # without a schema: where two bodies are JSON, openapi-python-client generates a check that fails for both
    body: Described | None = Literal(None, EXAMPLE)
    answer: Described | None = Literal(SCHEMA, ANSWER)

    def decode(self, data: bytes, context: DecodeContext) -> PackBatch:
        """Read a pack."""
        document = loads_sliced(data, context.max_reading_bytes)
        batch = _read(document.elements(document.outline), context)
        document.finish()
        return batch

    def encode(self, answered: AnsweredReadings) -> Response:
        """Write a pack."""
        return Pieces([b"[", *elements(_answered(answered)), b"]"], self.media_type)


class SenMLCBORCodec:
    """Packs as CBOR."""

    media_type = senml.CBOR
    binary = False
    general = False
    body: Described | None = None
    answer: Described | None = None

    def decode(self, data: bytes, context: DecodeContext) -> PackBatch:
        """Read a pack."""
        try:
            slices = cbor.elements(data, NOT_CBOR)
            if slices is None:
                cbor.loads(data, NOT_CBOR)
        except cbor.LibraryMissing as error:
            raise HTTPProblem(
                "unsupported-media-type", str(error).replace("cbor2:", "cbor2 beside the service:")
            ) from None
        return _read(slices, context)

    def encode(self, answered: AnsweredReadings) -> Response:
        """Write a pack."""
        dumps = cbor.library().dumps
        pieces, count = [b""], 0
        for some in batched(_answered(answered), 1000):
            count += len(some)
            pieces.append(b"".join(map(dumps, senml.numbered(some))))
        pieces[0] = cbor.array_head(count)
        return Pieces(pieces, self.media_type)


def _read(slices: Iterator[list[Any]] | None, context: DecodeContext) -> PackBatch:
    if slices is None:
        raise InvalidReading.at("", "a SenML pack must be an array of at least one record")
    pack = Pack(context.limits, context.now)
    for records in slices:
        pack.extend(records)
    columns = pack.readings(context.stream_id or "")
    return PackBatch(columns, pack.pointer, pack)


def _answered(answered: AnsweredReadings) -> Iterator[dict[str, Any]]:
    batch = answered.batch
    assert isinstance(batch, PackBatch)  # noqa: S101 - what this codec decodes
    return batch.pack.answered(answered.answers.values, answered.answers.renamed)
