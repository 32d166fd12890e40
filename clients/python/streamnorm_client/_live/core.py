"""A live connection without I/O: readings over a WebSocket, with the numbers, retries and errors they have over HTTP.

A live connection is another transport for the same calls, so `sequencing` and `retry` apply to it as to HTTP:
a reading whose answer got lost is sent again, over a new connection, under its own number, and the service applies it
once. `window` keeps many of them in flight. `Live` and `AsyncLive` perform the steps that are yielded here.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, Union

from streamnorm_client._calls.call import Call, Response
from streamnorm_client._calls.retry import Outcome, Pause, Step
from streamnorm_client._errors import Closed, ConnectionFailed, InvalidArgument, TransportError
from streamnorm_client._http import ws_adapter
from streamnorm_client._live.window import InFlightWindow, ReceiveAnswer, SendReading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamnorm_client._http.httpx_adapter import Connection
    from streamnorm_client._procedures import StreamProcedures

T = TypeVar("T")

CLOSE_TIMEOUT = 1.0  # seconds; short, because the peer may be gone


class Connect(NamedTuple):
    """A step that opens a connection by a handshake; its outcome is None, or the failure."""

    handshake: Call[None]


class Write(NamedTuple):
    """A step that sends bytes; its outcome is None or an error."""

    data: bytes


class Read(NamedTuple):
    """A step that receives bytes, b"" at the end of the connection; without `wait`, None if there are none."""

    wait: bool
    #: seconds; None: the client's timeout
    timeout: float | None = None


class Disconnect(NamedTuple):
    """A step that closes the connection."""


IO = Union[Step, Connect, Write, Read, Disconnect]
Steps = Generator[IO, Any, T]


class LiveCore:
    """The state of a live connection: its frames, and its in-flight window."""

    def __init__(self, procedures: StreamProcedures, connection: Connection) -> None:
        ws_adapter.imports()
        self.procedures = procedures
        self.window = InFlightWindow(procedures)
        self._connection = connection
        self._frames: ws_adapter.Frames | None = None
        self._closed = False

    def new_window(self) -> InFlightWindow:
        """Start a new, empty window; the previous one was drained."""
        self.window = InFlightWindow(self.procedures)
        return self.window

    def perform(self, step: Step | SendReading | ReceiveAnswer) -> Steps[Outcome]:
        """Perform a step of a procedure: readings over the connection, everything else over HTTP."""
        if self._closed:
            raise Closed("the live connection is closed; Stream.live opens another one")
        if isinstance(step, SendReading):
            return (yield from self._send(step.call))
        if isinstance(step, ReceiveAnswer):
            return (yield from self._receive(wait=step.wait))
        if isinstance(step, Pause) or not ws_adapter.is_reading(step):
            outcome: Outcome = yield step
            return outcome
        return (yield from self._send(step)) or (yield from self._receive(wait=True))

    def abort(self) -> None:
        """Discard the readings in flight; close the connection, or their answers would be taken for later ones."""
        self.window.abort()
        self._frames = None

    def close(self) -> Steps[None]:
        """Close the connection; the service reads what was sent before."""
        self._closed = True
        self.window.abort()
        frames, self._frames = self._frames, None
        if frames is not None and (yield Write(frames.close())) is None:
            # unread answers would reset the connection, and the service would lose readings still in transit
            while True:
                data = yield Read(wait=True, timeout=CLOSE_TIMEOUT)
                if not data or isinstance(data, TransportError):
                    break
                frames.receive(data)
        yield Disconnect()

    def _send(self, call: Call[Any]) -> Steps[Response | TransportError | None]:
        if self._frames is not None and not self.window.unanswered:
            yield from self._notice_end()
        if self._frames is None:
            refused: Response | TransportError | None = yield Connect(ws_adapter.handshake(call))
            if refused is not None:
                return refused
            self._frames = ws_adapter.Frames()
        error: TransportError | None = yield Write(self._frames.text(call.body or b""))
        return None if error is None else (yield from self._lost(error))

    def _notice_end(self) -> Steps[None]:
        """Detect a connection that ended while idle, so that the next reading goes over a new one."""
        data = yield Read(wait=False)
        if data is None:
            return
        if not isinstance(data, TransportError):
            yield from self._read(data)
        if self._frames is None or self._frames.is_closing or isinstance(data, TransportError):
            self._frames = None
            yield Disconnect()

    def _receive(self, *, wait: bool) -> Steps[Response | TransportError | None]:
        while self._frames is not None and not self._frames.messages:
            if self._frames.is_closing:
                return (yield from self._lost(self._ended(self._frames)))
            data: bytes | TransportError | None = yield Read(wait)
            if data is None:
                return None
            if isinstance(data, TransportError):
                return (yield from self._lost(data))
            yield from self._read(data)
        if self._frames is None:
            return ConnectionFailed(f"no answer from {self._connection.url}: the connection is closed")
        return ws_adapter.response_of(self._frames.messages.popleft())

    def _read(self, data: bytes) -> Steps[None]:
        """Process received bytes, and send the protocol's own replies."""
        if self._frames is not None:
            self._frames.receive(data)
            reply = self._frames.to_send()
            if reply:
                yield Write(reply)

    def _ended(self, frames: ws_adapter.Frames) -> TransportError:
        return ConnectionFailed(f"no answer from {self._connection.url}: {frames.reason}")

    def _lost(self, error: TransportError) -> Steps[TransportError]:
        self._frames = None
        yield Disconnect()
        error.maybe_applied = True
        return error


class Times:
    """An iterator over the readings' timestamps, if there are any."""

    def __init__(self, timestamps: Iterable[Any] | None) -> None:
        self._timestamps = None if timestamps is None else iter(timestamps)

    def next(self) -> Any:
        """Return the next timestamp, None without timestamps.

        Raises:
            InvalidArgument: there are fewer than readings.

        """
        if self._timestamps is None:
            return None
        try:
            return next(self._timestamps)
        except StopIteration:
            raise InvalidArgument("there are fewer timestamps than rows") from None
