"""Everything that can go wrong in streamnorm's own terms; knows no HTTP.

StreamnormError
├── InvalidInput                 what was sent is wrong, and where
│   ├── InvalidReading
│   │   └── ShapeMismatch
│   ├── InvalidConfiguration
│   ├── InvalidSnapshot
│   └── CannotInvert
├── StreamNotFound
├── StaleSequence
├── CannotMerge
├── LimitExceeded
│   └── TooManyStreams
├── Unauthorized
├── Forbidden
├── TooManyRequests
├── Overloaded
├── BridgeUnavailable            a bridge to another protocol does not work
├── NotReady
└── StoreError                   the store failed
    ├── StoreInUse
    ├── StoreCorrupt
    └── StoreUnavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Sequence


class Fault(NamedTuple):
    """One wrong place in an input: a JSON pointer (RFC 6901) and what is wrong there."""

    pointer: str
    detail: str


class StreamnormError(Exception):
    """The root of every error that streamnorm raises on purpose."""


class InvalidInput(StreamnormError):
    """What was sent is wrong; `faults` names every place."""

    def __init__(self, detail: str, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(detail)
        self.faults = faults

    @classmethod
    def at(cls, pointer: str, detail: str) -> Self:
        """Build the error of one wrong place."""
        return cls(f"{pointer}: {detail}" if pointer else detail, (Fault(pointer, detail),))

    @classmethod
    def of(cls, faults: Sequence[Fault]) -> Self:
        """Build the error of several wrong places."""
        return cls("; ".join(f"{at}: {detail}" if at else detail for at, detail in faults), tuple(faults))

    def within(self, pointer: str) -> Self:
        """Return the same error for a place further out: `pointer` goes before every fault's."""
        return type(self).of([Fault(pointer + at, detail) for at, detail in self.faults])


class InvalidReading(InvalidInput):
    """A reading, or a row of a block, cannot be understood."""


class InvalidConfiguration(InvalidInput):
    """A configuration names an unknown parameter or a value out of its limits."""


class InvalidSnapshot(InvalidInput):
    """A snapshot is of another version, or does not fit its own configuration."""


class StreamNotFound(StreamnormError):
    """No stream of this id exists."""

    def __init__(self, stream_id: str) -> None:
        super().__init__(f"there is no stream {stream_id!r}")
        self.stream_id = stream_id


class StaleSequence(StreamnormError):
    """The sequence number was applied before; `last_seq` is the last one applied."""

    def __init__(self, seq: int, last_seq: int, stream_id: str = "") -> None:
        where = f" of stream {stream_id!r}" if stream_id else ""
        super().__init__(f"seq {seq} is not after the last applied seq {last_seq}{where}")
        self.seq = seq
        self.last_seq = last_seq


class ShapeMismatch(InvalidReading):
    """A feature arrived in another shape than its first reading's."""


class CannotMerge(StreamnormError):
    """The two states cannot be merged: another method, other parameters, or a method without a merge."""


class CannotInvert(InvalidInput):
    """A normalized value has no original: unknown feature, or gamma 0."""


class LimitExceeded(StreamnormError):
    """A named limit is passed; `limit` is the name of its setting."""

    def __init__(self, limit: str, detail: str) -> None:
        super().__init__(detail)
        self.limit = limit


class TooManyStreams(LimitExceeded):
    """There is no room for another stream; what came for it is not wrong, and may come again."""

    def __init__(self, count: int, most: int) -> None:
        super().__init__("max_streams", f"there would be {count} streams, the limit (max_streams) is {most}")


class Unauthorized(StreamnormError):
    """The caller shows no key, or none that is known here."""


class Forbidden(StreamnormError):
    """The caller may not do this."""


class TooManyRequests(StreamnormError):
    """One caller wants too much at once."""


class Overloaded(StreamnormError):
    """All callers together want too much at once."""


class BridgeUnavailable(StreamnormError):
    """A bridge died, or the other side of a required one cannot be reached."""


class NotReady(StreamnormError):
    """The service answers, but had better not be relied on yet."""


class StoreError(StreamnormError):
    """The place where state rests failed.

    `public` is what callers from elsewhere are told: the message without the paths of the machine.
    """

    def __init__(self, message: str, *, public: str | None = None) -> None:
        super().__init__(message)
        self.public = message if public is None else public


class StoreInUse(StoreError):
    """Another process uses the same data folder."""


class StoreCorrupt(StoreError):
    """The stored state cannot be read."""


class StoreUnavailable(StoreError):
    """The store cannot be reached or written now: a full disk, a lost connection."""
