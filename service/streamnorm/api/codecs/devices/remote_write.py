"""What a mapping makes of Prometheus's remote write: valid readings are observed; only faults are answered."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi import Response

from streamnorm.api.codecs.batches import observe_valid
from streamnorm.api.codecs.devices.mapped import decode_mapped
from streamnorm.auth.api_keys import ApiKey
from streamnorm.engine.blocks.columns import ReadingColumns
from streamnorm.engine.limits import Limits
from streamnorm.errors import Fault, InvalidReading, StreamnormError
from streamnorm.ingest import IngestService
from streamnorm.mappings import Mapping, Message

#: the coding of its bodies, which the mapping unpacks
SNAPPY = "snappy"
#: the parameter of the media type of another version, whose message is another one
LATER_VERSION = "io.prometheus.write.v2"
#: Faults that are told.
TOLD = 10


@dataclass
class WriteBatch:
    """Readings of a request; one that is refused does not keep the others out, for Prometheus sends none again."""

    columns: ReadingColumns
    faults: list[Fault] = field(default_factory=list)
    refused: int = 0
    is_table = False
    bytes = 0

    async def observe(self, service: IngestService, *, learn: bool) -> WriteBatch:
        """Observe the valid readings, in order within each stream; the others' faults are told."""
        assert learn  # noqa: S101 - a write only learns
        await observe_valid(service, self.columns, self._refuse)
        return self

    def _refuse(self, row: int, error: StreamnormError) -> None:
        self.refused += 1
        if len(self.faults) < TOLD:
            stream = self.columns.stream_ids[self.columns.stream_of[row]]
            self.faults.append(Fault("", f"{stream}: {error}"))


class RemoteWriteCodec:
    """Requests of remote write: answered by 204, or by what was refused."""

    def decode(self, mapping: Mapping, message: Message, limits: Limits, caller: ApiKey) -> WriteBatch:
        """Decode the request `message` by `mapping` within `limits`, for `caller`; it fails as `decode_mapped` does."""
        return WriteBatch(decode_mapped(mapping, message, limits, caller).columns)

    def encode(self, answered: WriteBatch) -> Response:
        """Respond 204 if all readings were taken.

        Raises:
            InvalidReading: some were refused.

        """
        if not answered.refused:
            return Response(status_code=204)
        total = len(answered.columns)
        raise InvalidReading.of(
            [Fault("", f"partial write: {answered.refused} of {total} readings were refused"), *answered.faults]
        )
