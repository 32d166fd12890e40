"""The errors of the client; the subclasses of Problem are named after the service's problem types.

StreamnormError
├── InvalidArgument              rejected by the client, before sending; also a ValueError
│   └── WrongType                also a TypeError
├── StreamInUse                  an outbox or a live connection numbers the stream's readings; also a RuntimeError
├── Closed                       the client, or the live connection, was closed; also a RuntimeError
├── NotSupported                 not possible with this client; also a RuntimeError
├── MissingDependency            an extra is not installed; also an ImportError
├── OutboxError                  also a RuntimeError
│   ├── OutboxInUse              another process, or another client, uses the file
│   ├── OutboxCorrupt            the file cannot be read
│   ├── OutboxUnwritable         the disk is full, or the file cannot be written
│   └── OutboxForked             the outbox belongs to the process that opened it
├── TransportError               there was no answer
│   ├── ConnectionFailed         also a ConnectionError
│   └── TimedOut                 also a TimeoutError
├── UnexpectedAnswer             the answer is not from a streamnorm service
└── Problem                      the service answered with a problem (RFC 9457)
    ├── InvalidInput             the input is invalid; `errors` says where
    │   ├── InvalidReading
    │   ├── InvalidConfiguration
    │   ├── InvalidSnapshot
    │   ├── InvalidRequest
    │   ├── MalformedJson
    │   ├── MalformedGzip
    │   ├── CannotInvert
    │   └── LimitExceeded        `limit` names the setting
    ├── StreamNotFound
    ├── StaleSequence            `last_seq` is the last number applied
    ├── CannotMerge
    ├── BodyTooLarge
    ├── UnsupportedMediaType
    ├── NotAcceptable
    ├── NotFound
    ├── MethodNotAllowed
    ├── Unauthorized
    ├── Forbidden
    ├── RequestTimeout
    ├── TooManyRequests
    ├── TooManyStreams
    ├── Overloaded
    ├── StoreUnavailable
    └── InternalError
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamnorm_client._requests import Response

SERVER_ERROR = 500


class Fault(NamedTuple):
    """One invalid place in the input: a JSON pointer (RFC 6901) and what is wrong there."""

    pointer: str
    detail: str


class StreamnormError(Exception):
    """The root of every error of this package.

    `seq` is the number of the reading, or of the block's first reading, that was being sent: sending it again with
    this `seq` is safe. `maybe_applied`: it may have been applied although there was no answer. `rows_done` rows of a
    bulk call were applied before this error: resume from there. `response` is the answer, if there was one, with its
    `status` and the `request_id` that identifies it in the service's log. Errors can be copied and pickled.
    """

    seq: int | None = None
    rows_done: int = 0
    maybe_applied: bool = False
    response: Response | None = None

    @property
    def status(self) -> int | None:
        """The HTTP status of the answer; None without an answer."""
        return None if self.response is None else self.response.status

    @property
    def request_id(self) -> str | None:
        """The id of the request in the service's log; None without an answer that has one."""
        return None if self.response is None else self.response.request_id

    def __str__(self) -> str:
        """Return the message, and how much of a bulk call was applied before."""
        text = super().__str__()
        return f"{text} (the {self.rows_done} rows before this block were applied)" if self.rows_done else text

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle all attributes, independently of the constructor's signature."""
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[StreamnormError], args: tuple[Any, ...], attributes: dict[str, Any]) -> StreamnormError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class InvalidArgument(StreamnormError, ValueError):
    """An argument is invalid; nothing was sent."""


class WrongType(InvalidArgument, TypeError):
    """An argument has the wrong type; nothing was sent."""


class StreamInUse(StreamnormError, RuntimeError):
    """An outbox, or a live connection with unanswered readings, numbers the stream's readings."""


class Closed(StreamnormError, RuntimeError):
    """The client, or the live connection, was closed."""


class NotSupported(StreamnormError, RuntimeError):
    """The call is not possible with this client's configuration."""


class MissingDependency(StreamnormError, ImportError):
    """An extra is not installed; the message says which."""


class OutboxError(StreamnormError, RuntimeError):
    """The outbox cannot be used."""


class OutboxInUse(OutboxError):
    """Another process, or another client in this process, uses the file."""


class OutboxCorrupt(OutboxError):
    """The file is not an outbox, or is damaged."""


class OutboxUnwritable(OutboxError):
    """The disk is full, or the file cannot be written; the reading was not saved."""


class OutboxForked(OutboxError):
    """The outbox belongs to the process that opened it; open another one, on another file, in the child."""


class TransportError(StreamnormError):
    """There was no answer; `maybe_applied` is False if the request cannot have reached the service."""

    def __init__(self, detail: str, *, maybe_applied: bool = True) -> None:
        super().__init__(detail)
        self.maybe_applied = maybe_applied


class ConnectionFailed(TransportError, ConnectionError):
    """The service could not be reached, or the connection broke before the answer."""


class TimedOut(TransportError, TimeoutError):
    """The service did not answer in time."""


class UnexpectedAnswer(StreamnormError):
    """The answer is not from a streamnorm service; the URL may be wrong."""

    maybe_applied = True

    def __init__(self, detail: str, *, response: Response | None = None) -> None:
        super().__init__(detail)
        self.response = response


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


class InternalError(Problem):
    """The service failed; its log says why."""


PROBLEMS: Mapping[str, type[Problem]] = {
    "invalid-reading": InvalidReading,
    "invalid-configuration": InvalidConfiguration,
    "invalid-snapshot": InvalidSnapshot,
    "invalid-request": InvalidRequest,
    "malformed-json": MalformedJson,
    "malformed-gzip": MalformedGzip,
    "cannot-invert": CannotInvert,
    "limit-exceeded": LimitExceeded,
    "stream-not-found": StreamNotFound,
    "stale-sequence": StaleSequence,
    "cannot-merge": CannotMerge,
    "body-too-large": BodyTooLarge,
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
