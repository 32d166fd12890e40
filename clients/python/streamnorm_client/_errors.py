"""The errors of the client.

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
└── Problem                      the service answered with a problem (RFC 9457): `_problems`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamnorm_client._calls.call import Response


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
