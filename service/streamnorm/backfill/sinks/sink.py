"""What a place where readings go must do."""

from __future__ import annotations

from typing import Protocol

from streamnorm.backfill.reading.readings import Part
from streamnorm.engine.reading import Array


class Sink(Protocol):
    """Takes blocks."""

    #: whether a block is a request
    remote: bool

    def last_seq(self, stream: str) -> int:
        """Return a stream's last number, creating the stream where there is none; 0 if it has no number."""

    def observe(self, part: Part, first_seq: int) -> tuple[Array, int]:
        """Observe a block under its numbers; return the normalized values, and how many numbers before it lack."""

    def commit(self) -> None:
        """Bring what was observed to rest."""

    def kinds(self, stream: str) -> dict[str, str]:
        """Return what kind of sensor each feature of a stream looks like."""
