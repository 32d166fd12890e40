"""A blocking live connection; `async_live` has the same for asyncio."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from streamnorm_client._errors import TransportError
from streamnorm_client._http import forks
from streamnorm_client._http.http1 import CHUNK
from streamnorm_client._http.httpx_adapter import NO_ANSWER, response_of
from streamnorm_client._http.sync_driver import drive
from streamnorm_client._http.upgraded import upgraded
from streamnorm_client._http.ws_adapter import SWITCHING_PROTOCOLS
from streamnorm_client._live.core import Connect, Disconnect, LiveCore, Read, Times, Write
from streamnorm_client._live.window import WINDOW
from streamnorm_client._problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    import httpx
    from typing_extensions import Self

    from streamnorm_client._calls.call import Call, Response
    from streamnorm_client._http.sync_driver import Transport
    from streamnorm_client._live.window import InTurn, LiveProcedure
    from streamnorm_client._models import Normalized
    from streamnorm_client._procedures import StreamProcedures

T = TypeVar("T")


class Live:
    """A live connection of one stream, created by `Stream.live`.

    It connects on first use, and reconnects when the connection is lost. While `observe_many` has readings in flight,
    numbered calls of the stream's handle raise StreamInUse.
    """

    def __init__(self, procedures: StreamProcedures, transport: Transport, in_turn: InTurn) -> None:
        self._core = LiveCore(procedures, transport.connection)
        self._transport = transport
        self._run_in_turn = in_turn
        self._stream: Any = None
        self._open = ExitStack()  # holds the connection
        forks.register(self)

    def observe(
        self, values: Any, *, timestamp: Any = None, seq: int | None = None, numbered: bool = True
    ) -> Normalized:
        """Normalize a reading and learn from it, like `Stream.observe`."""
        procedure = self._core.procedures.observe(values, timestamp, stats=False, seq=seq, numbered=numbered)
        return self._in_turn(self._core.window.after_drain(procedure))

    def observe_many(
        self, rows: Any, *, timestamps: Iterable[Any] | None = None, window: int = WINDOW
    ) -> Iterator[Normalized]:
        """Observe readings with an in-flight window of `window` readings, and yield their answers in order.

        `rows` yields what `observe` takes as `values`; it may be slow, and endless. `timestamps` has one for each.
        Available answers are yielded after each reading sent. A rejected reading raises its error, with its number in
        `seq`; later readings that were already sent are observed nevertheless. An answer that the service no longer has
        after a lost connection is `recomputed`.
        """
        self._in_turn(self._core.window.drain())
        in_flight = self._core.new_window()
        times = Times(timestamps)
        for values in rows:
            yield from self._in_turn(in_flight.observe(values, times.next(), window))
        while not in_flight.over:
            yield from self._in_turn(in_flight.answers())

    def close(self) -> None:
        """Close the connection; readings in flight were sent, and their answers are discarded."""
        drive(self._core.close(), self._io)

    def __enter__(self) -> Self:
        """Use the connection in a `with` statement, which closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def after_fork(self) -> None:
        """Leave the connection to the parent process."""
        self._core.abort()
        self._stream, self._open = None, ExitStack()

    def _in_turn(self, procedure: LiveProcedure[T]) -> T:
        return self._run_in_turn(procedure, self._perform)

    def _perform(self, step: Any) -> Any:
        try:
            return drive(self._core.perform(step), self._io)
        except BaseException:  # an unread answer must not be taken for that of the next reading
            self._core.abort()
            self._disconnect()
            raise

    def _io(self, step: Any) -> Any:
        try:
            if isinstance(step, Write):
                return self._stream.write(step.data, self._timeout.write)
            if isinstance(step, Read):
                return self._read(step)
        except NO_ANSWER as error:
            return self._transport.connection.failure(error)
        if isinstance(step, Connect):
            return self._connect(step.handshake)
        if isinstance(step, Disconnect):
            return self._disconnect()
        return self._transport.perform(step)

    def _read(self, step: Read) -> bytes | None:
        if not step.wait and not self._stream.is_readable:
            return None
        data: bytes = self._stream.read(CHUNK, step.timeout or self._timeout.read)
        return data

    def _connect(self, handshake: Call[None]) -> Response | TransportError | None:
        try:
            response = self._open.enter_context(self._transport.open(handshake))
            if response.status_code == SWITCHING_PROTOCOLS:
                self._stream = upgraded(response.extensions["network_stream"])
                return None
            response.read()
            raise handshake.unexpected(response_of(response))
        except TransportError as error:
            error.maybe_applied = False  # no reading was sent yet
            return error
        except Problem as error:
            return error.response

    def _disconnect(self) -> None:
        self._stream = None
        self._open.close()

    @property
    def _timeout(self) -> httpx.Timeout:
        return self._transport.connection.timeout
