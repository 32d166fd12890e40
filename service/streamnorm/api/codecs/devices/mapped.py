"""Bodies in the form that devices send, decoded by a mapping."""

from __future__ import annotations

from streamnorm.api.codecs.batches import ReadingBatch
from streamnorm.api.middleware.authorization import check_streams
from streamnorm.auth.api_keys import ApiKey
from streamnorm.engine.blocks.columns import ReadingColumns
from streamnorm.engine.limits import Limits
from streamnorm.mappings import Mapping, Message


def decode_mapped(mapping: Mapping, message: Message, limits: Limits, caller: ApiKey) -> ReadingBatch:
    """Decode a `message` by a `mapping` to readings within `limits`, of streams that the `caller` may observe.

    Raises:
        InvalidReading: the message holds no reading; the error says what would help.
        Forbidden: the caller has no access to one of the streams.
        LimitExceeded: there are too many readings, or features.

    """
    readings = mapping.readings(message, limits)
    check_streams(caller, {each.stream for each in readings})
    columns = ReadingColumns(limits)
    for stream, reading, _ in readings:
        columns.append(stream, reading)
    return ReadingBatch(columns.freeze(), lambda row: readings[row].pointer)
