"""Live connections: readings over a WebSocket, with the numbers, retries and errors that they have over HTTP.

A live connection is another way to carry the same calls, so `_numbering` and `_retry` do for it what they do for HTTP:
a reading whose answer got lost is sent again, over a new connection, under its own number, which the service applies
once. `_flight` has many of them on their way at once. All of this needs websockets (the extra `live`).
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar, Union

from streamnorm_client import _ws
from streamnorm_client._flight import WINDOW, Flight, Hear, Say
from streamnorm_client._retry import Pause, Step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
    from types import TracebackType

    import httpx
    from typing_extensions import Self

    from streamnorm_client._answers import Normalized
    from streamnorm_client._calls import Call, Reply
    from streamnorm_client._errors import TransportError
    from streamnorm_client._flight import AsyncInTurn, InTurn, LiveSteps
    from streamnorm_client._retry import Outcome
    from streamnorm_client._steps import StreamSteps

T = TypeVar("T")
LiveStep = Union[Step, Say, Hear]


class Live:
    """A live connection of one stream, made by `Stream.live`.

    It connects when it is needed, and again where the connection is lost. While `observe_many` has readings on their
    way, numbered calls of the stream's handle are refused.
    """

    def __init__(
        self, steps: StreamSteps, http: httpx.Client, take: Callable[[Step], Outcome], in_turn: InTurn
    ) -> None:
        self._sockets = _ws.sockets()
        self._steps = steps
        self._http = http
        self._take_over_http = take
        self._run_in_turn = in_turn
        self._flight = Flight(steps)
        self._connection: Any = None
        self._open = ExitStack()  # holds the connection
        self._closed = False

    def observe(
        self, values: Any, *, timestamp: Any = None, seq: int | None = None, numbered: bool = True
    ) -> Normalized:
        """Normalize a reading and learn from it; as `Stream.observe` does."""
        steps = self._steps.observe(values, timestamp, stats=False, seq=seq, numbered=numbered)
        return self._in_turn(self._flight.landed(steps))

    def observe_many(
        self, rows: Any, *, timestamps: Iterable[Any] | None = None, window: int = WINDOW
    ) -> Iterator[Normalized]:
        """Observe readings as they come, up to `window` of them on their way at once, and give their answers in order.

        `rows` are what `observe` takes as `values`; they may come slowly, and without end. `timestamps` has one for
        each. Answers that came are given whenever a reading was sent. A reading that is refused raises its error, whose
        `seq` tells its number; those behind it that were sent already are observed all the same. An answer that the
        service no longer has after a lost connection is `recomputed`.
        """
        self._in_turn(self._flight.land())
        flight = self._flight = Flight(self._steps)
        times = Times(timestamps)
        for values in rows:
            yield from self._in_turn(flight.observe(values, times.next(), window))
        while not flight.over:
            yield from self._in_turn(flight.answers())

    def close(self) -> None:
        """Close the connection; what is on its way was sent, and its answers are passed over."""
        self._closed = True
        self._flight.abandon()
        self._part()

    def __enter__(self) -> Self:
        """Use the connection in a `with` statement, which closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def _in_turn(self, steps: LiveSteps[T]) -> T:
        return self._run_in_turn(steps, self._take)

    def _take(self, step: LiveStep) -> Outcome:
        check_open(closed=self._closed)
        try:
            if isinstance(step, Say):
                return self._say(step.call)
            if isinstance(step, Hear):
                return self._hear(wait=step.wait)
            if isinstance(step, Pause) or not _ws.is_reading(step):
                return self._take_over_http(step)
            return self._say(step) or self._hear()
        except BaseException:  # an answer that nobody waits for any more must not be taken for the next reading's
            self._flight.abandon()
            self._part()
            raise

    def _say(self, call: Call[Any]) -> Reply | TransportError | None:
        sent = False
        try:
            if self._flight.unanswered == 0 and _ws.is_lost(self._connection):
                self._part()  # while nothing was said
            if self._connection is None:
                self._connection = self._open.enter_context(self._sockets.connect(**_ws.options(self._http, call)))
            sent = True
            self._connection.send(_ws.text_of(call))
        except self._sockets.InvalidStatus as error:
            return _ws.refused(error)
        except (OSError, self._sockets.WebSocketException) as error:
            return self._lost(error, maybe_applied=sent)
        return None

    def _hear(self, *, wait: bool = True) -> Reply | TransportError | None:
        try:
            return _ws.reply(self._connection.recv(self._http.timeout.read if wait else 0))
        except (OSError, self._sockets.WebSocketException) as error:
            if not wait and isinstance(error, _ws.TIMED_OUT):
                return None
            return self._lost(error, maybe_applied=True)

    def _lost(self, error: Exception, *, maybe_applied: bool) -> TransportError:
        self._part()
        return _ws.failure(error, self._http, maybe_applied=maybe_applied)

    def _part(self) -> None:
        self._connection = None
        self._open.close()


class AsyncLive:
    """Like `Live`, for asyncio."""

    def __init__(
        self,
        steps: StreamSteps,
        http: httpx.AsyncClient,
        take: Callable[[Step], Awaitable[Outcome]],
        in_turn: AsyncInTurn,
    ) -> None:
        self._sockets = _ws.sockets()
        self._steps = steps
        self._http = http
        self._take_over_http = take
        self._run_in_turn = in_turn
        self._flight = Flight(steps)
        self._connection: Any = None
        self._closed = False
        self._hearing: asyncio.Task[Any] | None = None

    async def observe(
        self, values: Any, *, timestamp: Any = None, seq: int | None = None, numbered: bool = True
    ) -> Normalized:
        """Like `Live.observe`."""
        steps = self._steps.observe(values, timestamp, stats=False, seq=seq, numbered=numbered)
        return await self._in_turn(self._flight.landed(steps))

    async def observe_many(
        self, rows: Any, *, timestamps: Iterable[Any] | None = None, window: int = WINDOW
    ) -> AsyncIterator[Normalized]:
        """Like `Live.observe_many`; `rows` may be an asynchronous iterable too."""
        await self._in_turn(self._flight.land())
        flight = self._flight = Flight(self._steps)
        times = Times(timestamps)
        async for values in each(rows):
            for answer in await self._in_turn(flight.observe(values, times.next(), window)):
                yield answer
        while not flight.over:
            for answer in await self._in_turn(flight.answers()):
                yield answer

    async def close(self) -> None:
        """Like `Live.close`."""
        self._closed = True
        self._flight.abandon()
        await self._part()

    async def __aenter__(self) -> Self:
        """Use the connection in an `async with` statement, which closes it."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        await self.close()

    async def _in_turn(self, steps: LiveSteps[T]) -> T:
        return await self._run_in_turn(steps, self._take)

    async def _take(self, step: LiveStep) -> Outcome:
        check_open(closed=self._closed)
        try:
            if isinstance(step, Say):
                return await self._say(step.call)
            if isinstance(step, Hear):
                return await self._hear(wait=step.wait)
            if isinstance(step, Pause) or not _ws.is_reading(step):
                return await self._take_over_http(step)
            return await self._say(step) or await self._hear()
        except BaseException:  # as in Live, and where the task is cancelled
            self._flight.abandon()
            await self._part()
            raise

    async def _say(self, call: Call[Any]) -> Reply | TransportError | None:
        sent = False
        try:
            if self._flight.unanswered == 0 and _ws.is_lost(self._connection):
                await self._part()
            if self._connection is None:
                self._connection = await self._sockets.connect_async(**_ws.options(self._http, call))
            sent = True
            await self._connection.send(_ws.text_of(call))
        except self._sockets.InvalidStatus as error:
            return _ws.refused(error)
        except (OSError, asyncio.TimeoutError, self._sockets.WebSocketException) as error:
            return await self._lost(error, maybe_applied=sent)
        return None

    async def _hear(self, *, wait: bool = True) -> Reply | TransportError | None:
        if self._hearing is None:
            self._hearing = asyncio.ensure_future(self._connection.recv())
        await asyncio.wait({self._hearing}, timeout=self._http.timeout.read if wait else 0)
        if not self._hearing.done():
            return await self._lost(asyncio.TimeoutError(), maybe_applied=True) if wait else None
        hearing, self._hearing = self._hearing, None
        try:
            return _ws.reply(hearing.result())
        except (OSError, self._sockets.WebSocketException) as error:
            return await self._lost(error, maybe_applied=True)

    async def _lost(self, error: Exception, *, maybe_applied: bool) -> TransportError:
        await self._part()
        return _ws.failure(error, self._http, maybe_applied=maybe_applied)

    async def _part(self) -> None:
        hearing, self._hearing = self._hearing, None
        connection, self._connection = self._connection, None
        if hearing is not None:
            hearing.cancel()
            await asyncio.wait({hearing})
            if not hearing.cancelled():
                hearing.exception()  # looked at, or asyncio complains
        if connection is not None:
            await connection.close()


class Times:
    """The readings' times, one after the other, where there are any."""

    def __init__(self, given: Iterable[Any] | None) -> None:
        self._given = None if given is None else iter(given)

    def next(self) -> Any:
        """Return the next one.

        Raises:
            ValueError: there are fewer than readings.

        """
        if self._given is None:
            return None
        try:
            return next(self._given)
        except StopIteration:
            raise ValueError("there are fewer timestamps than rows") from None


async def each(rows: Any) -> AsyncIterator[Any]:
    """Yield one after the other, whichever kind of iterable they are."""
    if hasattr(rows, "__aiter__"):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row


def check_open(*, closed: bool) -> None:
    """Refuse to go on with a connection that its user closed."""
    if closed:
        raise RuntimeError("the live connection is closed; Stream.live makes another one")
