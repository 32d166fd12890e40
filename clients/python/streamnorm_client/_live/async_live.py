"""A live connection for asyncio; the counterpart of `sync_live`."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from streamnorm_client._errors import TransportError
from streamnorm_client._http import forks
from streamnorm_client._http.async_driver import drive
from streamnorm_client._http.http1 import CHUNK
from streamnorm_client._http.httpx_adapter import NO_ANSWER, response_of
from streamnorm_client._http.ws_adapter import SWITCHING_PROTOCOLS
from streamnorm_client._live.core import Connect, Disconnect, LiveCore, Read, Times, Write
from streamnorm_client._live.window import WINDOW
from streamnorm_client._problems import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from types import TracebackType

    from typing_extensions import Self

    from streamnorm_client._calls.call import Call, Response
    from streamnorm_client._http.async_driver import AsyncTransport
    from streamnorm_client._live.window import AsyncInTurn, LiveProcedure
    from streamnorm_client._models import Normalized
    from streamnorm_client._procedures import StreamProcedures

T = TypeVar("T")


class AsyncLive:
    """A live connection of one stream, created by `AsyncStream.live`.

    It connects on first use, and reconnects when the connection is lost. While `observe_many` has readings in flight,
    numbered calls of the stream's handle raise StreamInUse.
    """

    def __init__(self, procedures: StreamProcedures, transport: AsyncTransport, in_turn: AsyncInTurn) -> None:
        self._core = LiveCore(procedures, transport.connection)
        self._transport = transport
        self._run_in_turn = in_turn
        self._stream: Any = None
        self._reading: asyncio.Task[bytes] | None = None
        self._open = AsyncExitStack()  # holds the connection
        forks.register(self)

    async def observe(
        self, values: Any, *, timestamp: Any = None, seq: int | None = None, numbered: bool = True
    ) -> Normalized:
        """Normalize a reading and learn from it, like `AsyncStream.observe`."""
        procedure = self._core.procedures.observe(values, timestamp, stats=False, seq=seq, numbered=numbered)
        return await self._in_turn(self._core.window.after_drain(procedure))

    async def observe_many(
        self, rows: Any, *, timestamps: Iterable[Any] | None = None, window: int = WINDOW
    ) -> AsyncIterator[Normalized]:
        """Observe readings with an in-flight window of `window` readings, and yield their answers in order.

        `rows` yields what `observe` takes as `values`; it may be slow, and endless. `timestamps` has one for each.
        Available answers are yielded after each reading sent. A rejected reading raises its error, with its number in
        `seq`; later readings that were already sent are observed nevertheless. An answer that the service no longer has
        after a lost connection is `recomputed`.
        """
        await self._in_turn(self._core.window.drain())
        in_flight = self._core.new_window()
        times = Times(timestamps)
        async for values in each(rows):
            for answer in await self._in_turn(in_flight.observe(values, times.next(), window)):
                yield answer
        while not in_flight.over:
            for answer in await self._in_turn(in_flight.answers()):
                yield answer

    async def close(self) -> None:
        """Close the connection; readings in flight were sent, and their answers are discarded."""
        await drive(self._core.close(), self._io)

    async def __aenter__(self) -> Self:
        """Use the connection in an `async with` statement, which closes it."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        await self.close()

    def after_fork(self) -> None:
        """Leave the connection to the parent process."""
        self._core.abort()
        self._stream = self._reading = None
        self._open = AsyncExitStack()

    async def _in_turn(self, procedure: LiveProcedure[T]) -> T:
        return await self._run_in_turn(procedure, self._perform)

    async def _perform(self, step: Any) -> Any:
        try:
            return await drive(self._core.perform(step), self._io)
        except BaseException:  # an unread answer must not be taken for that of the next reading
            self._core.abort()
            await self._disconnect()
            raise

    async def _io(self, step: Any) -> Any:
        try:
            if isinstance(step, Write):
                return await self._stream.write(step.data, self._timeout.write)
            if isinstance(step, Read):
                return await self._read(step)
        except NO_ANSWER as error:
            return self._transport.connection.failure(error)
        if isinstance(step, Connect):
            return await self._connect(step.handshake)
        if isinstance(step, Disconnect):
            return await self._disconnect()
        return await self._transport.perform(step)

    async def _read(self, step: Read) -> bytes | None:
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._stream.read(CHUNK))
        timeout = (step.timeout or self._timeout.read) if step.wait else 0
        await asyncio.wait({self._reading}, timeout=timeout)
        if self._reading.done():
            reading, self._reading = self._reading, None
            return reading.result()
        if step.wait:
            raise httpx.ReadTimeout(f"nothing came for {timeout} seconds")
        return None

    async def _connect(self, handshake: Call[None]) -> Response | TransportError | None:
        try:
            response = await self._open.enter_async_context(self._transport.open(handshake))
            if response.status_code == SWITCHING_PROTOCOLS:
                self._stream = response.extensions["network_stream"]
                return None
            await response.aread()
            raise handshake.unexpected(response_of(response))
        except TransportError as error:
            error.maybe_applied = False  # no reading was sent yet
            return error
        except Problem as error:
            return error.response

    async def _disconnect(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait({reading})
            if not reading.cancelled():
                reading.exception()  # retrieved, or asyncio logs it
        self._stream = None
        await self._open.aclose()

    @property
    def _timeout(self) -> httpx.Timeout:
        return self._transport.connection.timeout


async def each(rows: Any) -> AsyncIterator[Any]:
    """Yield the rows of a synchronous or asynchronous iterable."""
    if hasattr(rows, "__aiter__"):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row
