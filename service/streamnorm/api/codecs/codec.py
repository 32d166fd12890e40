"""What a codec is: how many readings come in one form, and how their answers go out in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from fastapi import Response
from pydantic import BaseModel

from streamnorm.auth.api_keys import ANYONE, ApiKey
from streamnorm.engine.blocks.block import BlockAnswer
from streamnorm.engine.limits import Limits
from streamnorm.formats.line_protocol import DEFAULT_TEMPLATE
from streamnorm.ingest import IngestService


@dataclass(frozen=True)
class DecodeContext:
    """What a call tells the codec of its body."""

    limits: Limits
    #: seconds since 1970
    now: float
    #: of one reading, in bytes
    max_reading_bytes: int
    caller: ApiKey = ANYONE
    #: None where the readings name their streams
    stream_id: str | None = None
    #: of an array: the names of its columns, and the number of its first row
    features: str | None = None
    first_seq: int | None = None
    #: of line protocol: how points name their streams, and nanoseconds of its ticks; None: by the size of each time
    template: str = DEFAULT_TEMPLATE
    tick: int | None = 1


class Table(NamedTuple):
    """One stream's answers as a table."""

    stream_id: str
    names: tuple[str, ...]
    answer: BlockAnswer
    last_seq: int | None


class Outcome(Protocol):
    """What became of readings, for their codec to write."""

    @property
    def bytes(self) -> int:
        """Of the answers as text, about."""


class Answered(Outcome, Protocol):
    """Readings that were observed, for any codec of general use to write."""

    def bodies(self) -> Iterator[dict[str, Any]]:
        """Return the answer to each reading, in the order they came."""

    def table(self) -> Table:
        """Return the answers to one stream's readings as a table."""


class Batch(Protocol):
    """Many readings, ready to be observed."""

    @property
    def is_table(self) -> bool:
        """Whether the answers make a table."""

    async def observe(self, service: IngestService, *, learn: bool) -> Outcome:
        """Observe the readings as a whole or not at all, or only normalize them.

        Raises:
            StreamnormError: one is refused, and nothing was observed.

        """


class Lines(NamedTuple):
    """NDJSON in the OpenAPI document: a model a line."""

    model: type[BaseModel]


class Literal(NamedTuple):
    """A form that the OpenAPI document describes by a schema of its own."""

    schema: dict[str, Any]
    example: Any = None


BINARY = Literal({"type": "string", "format": "binary"})

#: What a body or an answer is, for the OpenAPI document.
Described = type[BaseModel] | Lines | Literal


class ReadingCodec(Protocol):
    """One form of many readings; adding one is a file, and a line in `streamnorm.api.codecs.registry`."""

    media_type: str
    #: whether its bodies are numbers as they are in memory: these have a limit of their own, and are not copied
    binary: bool
    #: whether its answers can be asked for whatever was sent; else they are given to those who send it, and only those
    general: bool
    #: what bodies and answers are; None: the document does not tell
    body: Described | None
    answer: Described | None

    def decode(self, data: Any, context: DecodeContext) -> Batch:
        """Read a body, within the context's limits, in memory proportional to its numbers.

        Raises:
            StreamnormError, Refused: what is wrong, and where.

        """

    def encode(self, answered: Any) -> Response:
        """Write answers."""
