"""The errors that the service answers with, named after its problem types.

Problem
├── InvalidInput             the input is invalid; `errors` says where
│   ├── InvalidReading
│   ├── InvalidConfiguration
│   ├── InvalidSnapshot
│   ├── InvalidRequest
│   ├── MalformedRequest
│   ├── MalformedJson
│   ├── MalformedGzip
│   ├── CannotInvert
│   └── LimitExceeded        `limit` names the setting
├── StreamNotFound
├── StaleSequence            `last_seq` is the last number applied
├── CannotMerge
├── BodyTooLarge
├── HeadTooLarge
├── UriTooLong
├── UnsupportedMediaType
├── NotAcceptable
├── MappingNotFound
├── NotFound
├── MethodNotAllowed
├── Unauthorized
├── Forbidden
├── RequestTimeout
├── TooManyRequests
├── TooManyStreams
├── Overloaded
├── StoreUnavailable
├── BridgeUnavailable
├── NotReady
├── Unimplemented
└── InternalError
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from streamnorm_client._errors import StreamnormError

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVER_ERROR = 500


class Fault(NamedTuple):
    """One invalid place in the input: a JSON pointer (RFC 6901) and what is wrong there."""

    pointer: str
    detail: str


class Problem(StreamnormError):
    """The service answered with a problem; problem types that this version does not know are plain `Problem`.

    `members` holds the raw problem, `retry_after` the seconds that the service asked to wait.
    """

    never_applied: bool = False

    def __init__(self, status: int, members: Mapping[str, Any], retry_after: float | None = None) -> None:
        self._status = status
        self.type = str(members.get("type", "about:blank"))
        self.title = str(members.get("title", ""))
        self.detail = str(members.get("detail", "")) or self.title or f"HTTP status {status}"
        self.errors = tuple(
            Fault(str(fault.get("pointer", "")), str(fault.get("detail", "")))
            for fault in members.get("errors") or ()
            if isinstance(fault, dict)  # other services' problems may have errors of another structure
        )
        self.members = members
        self.retry_after = retry_after
        self.maybe_applied = status >= SERVER_ERROR and not self.never_applied
        super().__init__("; ".join([self.detail, *(f"{pointer}: {detail}" for pointer, detail in self._places())]))

    @property
    def status(self) -> int:
        """The HTTP status of the problem, also over a live connection."""
        return self._status

    def _places(self) -> list[Fault]:
        """Return the faults that the detail does not mention yet."""
        return [fault for fault in self.errors if fault.detail not in self.detail]


class InvalidInput(Problem):
    """The input is invalid; `errors` lists every invalid place."""


class InvalidReading(InvalidInput):
    """A reading, or a row of a block, is invalid."""


class InvalidConfiguration(InvalidInput):
    """A configuration has an unknown parameter, or a value out of range."""


class InvalidSnapshot(InvalidInput):
    """A snapshot has another version, or does not match its own configuration."""


class InvalidRequest(InvalidInput):
    """The request's parameters or members are invalid."""


class MalformedRequest(InvalidInput):
    """The request is not valid HTTP, or something between client and service changed it."""


class MalformedJson(InvalidInput):
    """The body is not valid JSON."""


class MalformedGzip(InvalidInput):
    """The body is declared as gzip, and is not valid gzip."""


class CannotInvert(InvalidInput):
    """A normalized value has no original: an unknown feature, or gamma 0."""


class LimitExceeded(InvalidInput):
    """A limit is exceeded; `limit` is the name of its setting."""

    @property
    def limit(self) -> str:
        """The name of the setting that sets the limit."""
        return str(self.members.get("limit", ""))


class StreamNotFound(Problem):
    """No stream of this id exists."""


class MappingNotFound(Problem):
    """No mapping or preset of this name exists."""


class StaleSequence(Problem):
    """The number was used before; `last_seq` is the last one applied."""

    @property
    def last_seq(self) -> int:
        """The number of the last reading that the service applied."""
        return int(self.members["last_seq"])


class CannotMerge(Problem):
    """The two states cannot be merged: another method, other parameters, or a method without a merge."""


class BodyTooLarge(Problem):
    """The body exceeds the service's limit."""


class HeadTooLarge(Problem):
    """The request's headers exceed the service's limit."""


class UriTooLong(Problem):
    """The request's path and query exceed the service's limit."""


class UnsupportedMediaType(Problem):
    """The service does not read this content type."""


class NotAcceptable(Problem):
    """The service cannot answer in the requested media type."""


class NotFound(Problem):
    """The service has no such path."""


class MethodNotAllowed(Problem):
    """The path does not take this method."""


class Unauthorized(Problem):
    """The service requires a key, or does not know this one."""


class Forbidden(Problem):
    """The key does not allow this call."""


class RequestTimeout(Problem):
    """The request did not arrive within the service's timeout."""


class TooManyRequests(Problem):
    """This caller has too many concurrent requests."""


class TooManyStreams(Problem):
    """The service has no room for another stream."""


class Overloaded(Problem):
    """The service is overloaded; nothing of the request was applied."""

    never_applied = True


class StoreUnavailable(Problem):
    """The service's store cannot be reached or written at the moment."""


class BridgeUnavailable(Problem):
    """The service accepts readings, but one of its bridges (MQTT, forwarding) does not work."""


class NotReady(Problem):
    """The service is still preparing."""

    never_applied = True


class Unimplemented(Problem):
    """The request needs a part of HTTP that the service does not have; nothing of it was applied."""

    never_applied = True


class InternalError(Problem):
    """The service failed; its log says why."""


PROBLEMS: Mapping[str, type[Problem]] = {
    "invalid-reading": InvalidReading,
    "invalid-configuration": InvalidConfiguration,
    "invalid-snapshot": InvalidSnapshot,
    "invalid-request": InvalidRequest,
    "malformed-request": MalformedRequest,
    "malformed-json": MalformedJson,
    "malformed-gzip": MalformedGzip,
    "cannot-invert": CannotInvert,
    "limit-exceeded": LimitExceeded,
    "stream-not-found": StreamNotFound,
    "mapping-not-found": MappingNotFound,
    "stale-sequence": StaleSequence,
    "cannot-merge": CannotMerge,
    "body-too-large": BodyTooLarge,
    "head-too-large": HeadTooLarge,
    "uri-too-long": UriTooLong,
    "unsupported-media-type": UnsupportedMediaType,
    "not-acceptable": NotAcceptable,
    "not-found": NotFound,
    "method-not-allowed": MethodNotAllowed,
    "unauthorized": Unauthorized,
    "forbidden": Forbidden,
    "request-timeout": RequestTimeout,
    "too-many-requests": TooManyRequests,
    "too-many-streams": TooManyStreams,
    "overloaded": Overloaded,
    "store-unavailable": StoreUnavailable,
    "bridge-unavailable": BridgeUnavailable,
    "not-ready": NotReady,
    "not-implemented": Unimplemented,
    "internal-error": InternalError,
}


def problem(status: int, members: Mapping[str, Any], retry_after: float | None = None) -> Problem:
    """Build the error of a problem answer, by the last segment of its `type`.

    >>> problem(409, {"type": "/problems/stale-sequence", "detail": "seq 3 is stale", "last_seq": 9}).last_seq
    9
    """
    kind = PROBLEMS.get(str(members.get("type", "")).rpartition("/")[2], Problem)
    if kind is StaleSequence and not isinstance(members.get("last_seq"), int):
        kind = Problem  # from another service
    return kind(status, members, retry_after)
