"""JSON of one stream's table: `{"features": […], "values": [[…], …], "timestamps": […], "first_seq": n}`."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
from fastapi import Response
from pydantic import TypeAdapter, ValidationError

from streamnorm.api.codecs.batches import BlockBatch
from streamnorm.api.codecs.codec import Answered, DecodeContext, Described
from streamnorm.api.codecs.json.slices import loads_sliced
from streamnorm.api.codecs.serialize import of_block, table_rows
from streamnorm.api.http.body import validate
from streamnorm.api.http.negotiation import JSON
from streamnorm.api.http.responses import Pieces, dumps
from streamnorm.api.schemas import BlockAnswerBody, BlockBody, Timestamp
from streamnorm.engine.blocks.block import Block
from streamnorm.engine.blocks.parse import TableReader
from streamnorm.engine.reading import ordinal_names
from streamnorm.engine.validation import to_faults
from streamnorm.errors import Fault, InvalidReading, LimitExceeded

_TIMES: TypeAdapter[list[float]] = TypeAdapter(list[Timestamp])
#: Invalid times that are reported.
MOST_FAULTS = 100


class TableJSONCodec:
    """A table of one stream."""

    media_type = JSON
    binary = False
    general = True
    body: Described | None = BlockBody
    answer: Described | None = BlockAnswerBody

    def decode(self, data: bytes, context: DecodeContext) -> BlockBatch:
        """Decode the table.

        Raises:
            InvalidReading: the body or its values are invalid; the error names every invalid member.

        """
        document = loads_sliced(data, context.max_reading_bytes)
        members = document.outline if isinstance(document.outline, dict) else {}
        table, times = TableReader(limits=context.limits), _Times()
        wrong = _read(document.elements(members.get("values")), table)
        late = document.is_large(members.get("timestamps"))
        names: list[Any] | None = None
        if late:
            _read(document.elements(members["timestamps"]), times)
        if document.is_large(members.get("features")):
            names = _names(document.elements(members["features"]), context.limits.max_features)
        outline = document.finish()
        if isinstance(outline, list):
            detail = "must be an object with features and values, not an array; readings go as NDJSON, one a line"
            raise InvalidReading.at("", detail)
        if names is not None:
            outline["features"] = names
        body = times.checked(outline)
        if wrong is not None:
            raise wrong
        values = table.table()
        columns = ordinal_names(values.shape[1]) if body.features is None else tuple(body.features)
        timestamps = times.seconds() if late else body.timestamps
        instants = None if timestamps is None else np.array(timestamps, dtype=np.float64)
        return BlockBatch(context.stream_id or "", Block(columns, values, instants, body.first_seq))

    def encode(self, answered: Answered) -> Response:
        """Encode an object with the table."""
        stream_id, names, answer, last_seq = answered.table()
        body = of_block(stream_id, names, answer, last_seq)
        values = body["values"]
        place = list(body).index("values")
        before, behind = dict(list(body.items())[:place]), dict(list(body.items())[place + 1 :])
        end = b"]," + dumps(behind)[1:] if behind else b"]}"
        return Pieces([dumps(before)[:-1] + b',"values":[', *table_rows(values), end], JSON)


class _Times:
    """Collects timestamps slice by slice."""

    def __init__(self) -> None:
        self._seconds = array("d")
        self._faults: list[Fault] = []
        self._seen = 0

    def extend(self, items: list[Any]) -> None:
        try:
            self._seconds.extend(_TIMES.validate_python(items))
        except ValidationError as error:
            if len(self._faults) < MOST_FAULTS:
                details = [
                    item | {"loc": (self._seen + int(item["loc"][0]),)} for item in error.errors(include_url=False)
                ]
                self._faults += to_faults(details, "/timestamps")
        self._seen += len(items)

    def seconds(self) -> array[float]:
        return self._seconds

    def checked(self, outline: object) -> BlockBody:
        """Validate the rest of the body; raise its faults together with those of the timestamps."""
        try:
            body = validate(BlockBody, outline)
        except InvalidReading as error:
            raise InvalidReading.of([*error.faults, *self._faults]) from None
        if self._faults:
            raise InvalidReading.of(self._faults)
        return body


def _read(slices: Iterator[list[Any]] | None, reader: TableReader | _Times) -> InvalidReading | None:
    """Read all slices, since any may be malformed JSON; return the first invalid reading's error."""
    wrong: InvalidReading | None = None
    for items in slices or ():
        if wrong is None:
            try:
                reader.extend(items)
            except InvalidReading as error:
                wrong = error
    return wrong


def _names(slices: Iterator[list[Any]] | None, most: int) -> list[Any]:
    names: list[Any] = []
    for items in slices or ():
        names += items
        if len(names) > most:
            raise LimitExceeded("max_features", f"there are more than {most} features, the limit (max_features)")
    return names
