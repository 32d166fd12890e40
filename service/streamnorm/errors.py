"""The domain errors of streamnorm, independent of HTTP.

StreamnormError
├── InvalidInput                 the input is invalid; names the places
│   ├── InvalidReading
│   │   └── ShapeMismatch
│   ├── InvalidConfiguration
│   │   └── InvalidConfigFile
│   ├── InvalidSnapshot
│   └── CannotInvert
├── StreamNotFound
├── MappingNotFound
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
    """A fault in an input: a JSON pointer (RFC 6901) and a description."""

    pointer: str
    detail: str


class StreamnormError(Exception):
    """The base class of all domain errors."""


class InvalidInput(StreamnormError):
    """The input is invalid; `faults` locates every fault."""

    def __init__(self, detail: str, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(detail)
        self.faults = faults

    @classmethod
    def at(cls, pointer: str, detail: str) -> Self:
        """Build an error with one fault."""
        return cls(f"{pointer}: {detail}" if pointer else detail, (Fault(pointer, detail),))

    @classmethod
    def of(cls, faults: Sequence[Fault]) -> Self:
        """Build an error with several faults."""
        return cls("; ".join(f"{at}: {detail}" if at else detail for at, detail in faults), tuple(faults))

    def within(self, pointer: str) -> Self:
        """Return the same error for an enclosing document: `pointer` is prepended to every fault's."""
        return type(self).of([Fault(pointer + at, detail) for at, detail in self.faults])


class InvalidReading(InvalidInput):
    """A reading, or a row of a block, is invalid."""


class InvalidConfiguration(InvalidInput):
    """A configuration names an unknown parameter or a value out of its limits."""


class InvalidConfigFile(InvalidConfiguration):
    """A configuration file cannot be read or is invalid.

    `lines` are (line, pointer, detail) of every fault of the file `name`; line 0 is the file as a whole.
    """

    def __init__(self, name: str, lines: Sequence[tuple[int, str, str]]) -> None:
        self.name = name
        self.lines = tuple(lines)
        told = [f"{name}:{line}: {at}: {what}" if at else f"{name}:{line}: {what}" for line, at, what in self.lines]
        faults = tuple(Fault(at, f"line {line}: {what}" if line else what) for line, at, what in self.lines)
        super().__init__("\n".join(told).replace(":0: ", ": "), faults)


class InvalidSnapshot(InvalidInput):
    """A snapshot is of another version, or does not fit its own configuration."""


class StreamNotFound(StreamnormError):
    """No stream of this id exists."""

    def __init__(self, stream_id: str) -> None:
        super().__init__(f"there is no stream {stream_id!r}")
        self.stream_id = stream_id


class MappingNotFound(StreamnormError):
    """No mapping and no preset of this name exists."""


class StaleSequence(StreamnormError):
    """The sequence number was applied before; `last_seq` is the last one applied."""

    def __init__(self, seq: int, last_seq: int, stream_id: str = "") -> None:
        where = f" of stream {stream_id!r}" if stream_id else ""
        super().__init__(f"seq {seq} is not after the last applied seq {last_seq}{where}")
        self.seq = seq
        self.last_seq = last_seq


class ShapeMismatch(InvalidReading):
    """A feature's shape differs from that of its first reading."""


class CannotMerge(StreamnormError):
    """The two states cannot be merged: another method, other parameters, or a method without a merge."""


class CannotInvert(InvalidInput):
    """A normalized value has no original: unknown feature, or gamma 0."""


class LimitExceeded(StreamnormError):
    """A limit is exceeded; `limit` is the name of its setting."""

    def __init__(self, limit: str, detail: str) -> None:
        super().__init__(detail)
        self.limit = limit


class TooManyStreams(LimitExceeded):
    """The limit of streams is reached; the request is valid, and may be retried later."""

    def __init__(self, count: int, most: int) -> None:
        super().__init__("max_streams", f"there would be {count} streams, the limit (max_streams) is {most}")


class Unauthorized(StreamnormError):
    """The caller presents no key, or an unknown one."""


class Forbidden(StreamnormError):
    """The caller may not do this."""


class TooManyRequests(StreamnormError):
    """One caller has too many requests in progress."""


class Overloaded(StreamnormError):
    """The service has too many requests in progress."""


class BridgeUnavailable(StreamnormError):
    """A bridge failed, or a required one is not connected."""


class NotReady(StreamnormError):
    """The service answers, but is not ready for traffic yet."""


class StoreError(StreamnormError):
    """The store of the state failed.

    `public` is the message for remote callers, without the machine's paths.
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
