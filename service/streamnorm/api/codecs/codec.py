"""The codec protocol: decodes request bodies of one media type to batches, and encodes their answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from fastapi import Response
from pydantic import BaseModel

from streamnorm.auth.api_keys import ANYONE, ApiKey
from streamnorm.engine.blocks.block import BlockAnswer
from streamnorm.engine.limits import Limits
from streamnorm.formats.ids import DEFAULT_TEMPLATE
from streamnorm.ingest import IngestService


@dataclass(frozen=True)
class DecodeContext:
    """What a request tells the codec of its body."""

    limits: Limits
    #: seconds since 1970
    now: float
    #: limit of one reading, in bytes
    max_reading_bytes: int
    caller: ApiKey = ANYONE
    #: None where the readings name their streams
    stream_id: str | None = None
    #: for arrays: the names of the columns, and the sequence number of the first row
    features: str | None = None
    first_seq: int | None = None
    #: for line protocol: how points name their streams, and nanoseconds per tick (None: by the magnitude of each time)
    template: str = DEFAULT_TEMPLATE
    tick: int | None = 1


class Table(NamedTuple):
    """One stream's answers as a table."""

    stream_id: str
    names: tuple[str, ...]
    answer: BlockAnswer
    last_seq: int | None


class Outcome(Protocol):
    """The result of a batch, for its codec to encode."""

    @property
    def bytes(self) -> int:
        """Approximate size of the answers as text."""


class Answered(Outcome, Protocol):
    """Observed readings, which any general codec can encode."""

    def bodies(self) -> Iterator[dict[str, Any]]:
        """Return the answer to each reading, in request order."""

    def table(self) -> Table:
        """Return the answers to one stream's readings as a table."""


class Batch(Protocol):
    """Many readings, ready to be observed."""

    @property
    def is_table(self) -> bool:
        """Whether the answers form a table."""

    async def observe(self, service: IngestService, *, learn: bool) -> Outcome:
        """Observe the readings atomically; without `learn`, only normalize them.

        Raises:
            StreamnormError: a reading is invalid; nothing was observed.

        """


class Lines(NamedTuple):
    """NDJSON in the OpenAPI document: each line is described by the model."""

    model: type[BaseModel]


class Literal(NamedTuple):
    """A body that the OpenAPI document describes by an inline schema, or by an example only."""

    schema: dict[str, Any] | None
    example: Any = None


BINARY = Literal({"type": "string", "format": "binary"})

#: The description of a body or an answer in the OpenAPI document.
Described = type[BaseModel] | Lines | Literal


class ReadingCodec(Protocol):
    """A bulk codec; to add one, write a file and register it in `streamnorm.api.codecs.registry`."""

    media_type: str
    #: whether bodies are arrays in memory layout: these have a separate limit, and are not copied
    binary: bool
    #: whether any request can accept its answers; otherwise only requests of the same media type get them
    general: bool
    #: descriptions of bodies and answers; None: not in the OpenAPI document
    body: Described | None
    answer: Described | None

    def decode(self, data: Any, context: DecodeContext) -> Batch:
        """Decode a body, within the context's limits, in memory proportional to its numbers.

        Raises:
            StreamnormError, HTTPProblem: the body is invalid; the error names the place.

        """

    def encode(self, answered: Any) -> Response:
        """Encode answers as a response."""
