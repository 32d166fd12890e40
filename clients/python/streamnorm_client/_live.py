"""Live connections: readings over a WebSocket, with the numbers, retries and errors that they have over HTTP.

A live connection is another way to carry the same calls, so `_numbering` and `_retry` do for it what they do for HTTP:
a reading whose answer got lost is sent again, over a new connection, under its own number, which the service applies
once. `_flight` has many of them on their way at once. All of this needs websockets (the extra `live`).
"""

from __future__ import annotations

import asyncio
import importlib
import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar, Union
from urllib.parse import urlsplit, urlunsplit

import httpx

from streamnorm_client._calls import Call, Reply
from streamnorm_client._errors import ConnectionFailed, TimedOut, TransportError
from streamnorm_client._flight import WINDOW, Flight, Hear, LiveSteps, Say
from streamnorm_client._retry import Pause, Step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from types import TracebackType

    from typing_extensions import Self

    from streamnorm_client._answers import Normalized
    from streamnorm_client._async_client import AsyncStream
    from streamnorm_client._client import Stream
    from streamnorm_client._retry import Outcome

T = TypeVar("T")
LiveStep = Union[Step, Say, Hear]

OK = 200
CLOSE_TIMEOUT = 1.0  # seconds; who is gone is not waited for
TIMED_OUT = (TimeoutError, asyncio.TimeoutError)  # one and the same from Python 3.11 on


class Live:
    """A live connection of one stream, made by `Stream.live`.

    It connects when it is needed, and again where the connection is lost. While `observe_many` has readings on their
    way, numbered calls of the stream's handle are refused.
    """

    def __init__(self, stream: Stream) -> None:
        self._sockets = sockets()
        self._stream = stream
        self._steps = stream._steps  # noqa: SLF001 - one thing with its stream
        self._http: httpx.Client = stream._client._http  # noqa: SLF001 - and with its client
        self._flight = Flight(self._steps)
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
        return self._stream._in_turn(steps, self._take)  # noqa: SLF001

    def _take(self, step: LiveStep) -> Outcome:
        check_open(closed=self._closed)
        try:
            if isinstance(step, Say):
                return self._say(step.call)
            if isinstance(step, Hear):
                return self._hear(wait=step.wait)
            if isinstance(step, Pause) or not is_reading(step):
                return self._stream._client._take(step)  # noqa: SLF001
            return self._say(step) or self._hear()
        except BaseException:  # an answer that nobody waits for any more must not be taken for the next reading's
            self._flight.abandon()
            self._part()
            raise

    def _say(self, call: Call[Any]) -> Reply | TransportError | None:
        sent = False
        try:
            if self._connection is None or self._connection.close_code is not None:  # it was lost meanwhile
                self._part()
                self._connection = self._open.enter_context(self._sockets.connect(**options(self._http, call)))
            sent = True
            self._connection.send(text_of(call))
        except self._sockets.InvalidStatus as error:
            return refused(error)
        except (OSError, self._sockets.WebSocketException) as error:
            return self._lost(error, maybe_applied=sent)
        return None

    def _hear(self, *, wait: bool = True) -> Reply | TransportError | None:
        try:
            return reply(self._connection.recv(self._http.timeout.read if wait else 0))
        except (OSError, self._sockets.WebSocketException) as error:
            if not wait and isinstance(error, TIMED_OUT):
                return None
            return self._lost(error, maybe_applied=True)

    def _lost(self, error: Exception, *, maybe_applied: bool) -> TransportError:
        self._part()
        return failure(error, self._http, maybe_applied=maybe_applied)

    def _part(self) -> None:
        self._connection = None
        self._open.close()


class AsyncLive:
    """Like `Live`, for asyncio."""

    def __init__(self, stream: AsyncStream) -> None:
        self._sockets = sockets()
        self._stream = stream
        self._steps = stream._steps  # noqa: SLF001 - one thing with its stream
        self._http: httpx.AsyncClient = stream._client._http  # noqa: SLF001 - and with its client
        self._flight = Flight(self._steps)
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
        return await self._stream._in_turn(steps, self._take)  # noqa: SLF001

    async def _take(self, step: LiveStep) -> Outcome:
        check_open(closed=self._closed)
        try:
            if isinstance(step, Say):
                return await self._say(step.call)
            if isinstance(step, Hear):
                return await self._hear(wait=step.wait)
            if isinstance(step, Pause) or not is_reading(step):
                return await self._stream._client._take(step)  # noqa: SLF001
            return await self._say(step) or await self._hear()
        except BaseException:  # as in Live, and where the task is cancelled
            self._flight.abandon()
            await self._part()
            raise

    async def _say(self, call: Call[Any]) -> Reply | TransportError | None:
        sent = False
        try:
            if self._connection is None or self._connection.close_code is not None:
                await self._part()
                self._connection = await self._sockets.connect_async(**options(self._http, call))
            sent = True
            await self._connection.send(text_of(call))
        except self._sockets.InvalidStatus as error:
            return refused(error)
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
            return reply(hearing.result())
        except (OSError, self._sockets.WebSocketException) as error:
            return await self._lost(error, maybe_applied=True)

    async def _lost(self, error: Exception, *, maybe_applied: bool) -> TransportError:
        await self._part()
        return failure(error, self._http, maybe_applied=maybe_applied)

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
        """Give the next one.

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
    """Give one after the other, whichever kind of iterable they are."""
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


def is_reading(call: Call[Any]) -> bool:
    """Tell whether a call can go over the connection: one that observes a reading and asks for nothing else."""
    return call.method == "POST" and call.path.endswith("/readings") and not call.params


def options(http: httpx.Client | httpx.AsyncClient, call: Call[Any]) -> dict[str, Any]:
    """Make the options of a connection: the address, the key, the certificates and the patience of the client."""
    address = urlsplit(str(http.base_url))
    secure = address.scheme == "https"
    path = address.path.rstrip("/") + call.path[: -len("readings")] + "live"
    return {
        "uri": urlunsplit(("wss" if secure else "ws", address.netloc, path, "", "")),
        "additional_headers": {name: http.headers[name] for name in ("authorization",) if name in http.headers},
        "open_timeout": http.timeout.connect,
        "close_timeout": CLOSE_TIMEOUT,
        "compression": None,  # a reading is shorter than what packing it would save
        "max_size": None,  # the answer to an image is larger than the image
        "max_queue": None,  # a window bounds it, and a service that cannot answer would not listen
        **({"ssl": httpx.create_ssl_context()} if secure else {}),  # those that the client's requests go by
    }


def text_of(call: Call[Any]) -> str:
    """Give a call's body as the text of a message."""
    return (call.body or b"").decode()


def reply(text: str | bytes) -> Reply:
    """Take an answer over; a problem says its status itself."""
    body = text.encode() if isinstance(text, str) else text
    try:
        answer = json.loads(body)
    except ValueError:
        return Reply(OK, {}, body)  # whoever reads it tells that it is no answer
    problem = isinstance(answer, dict) and "type" in answer and "stream" not in answer
    return Reply(int(answer["status"]) if problem else OK, {}, body)


def refused(error: Any) -> Reply:
    """Take over the answer to a handshake that was refused: the key is wrong, the service starts."""
    response = error.response
    headers = {name.lower(): value for name, value in response.headers.raw_items()}
    return Reply(response.status_code, headers, response.body or b"")


def failure(error: Exception, http: httpx.Client | httpx.AsyncClient, *, maybe_applied: bool) -> TransportError:
    """Make the error of a reading that no answer came to."""
    kind = TimedOut if isinstance(error, TIMED_OUT) else ConnectionFailed
    reason = str(error) or type(error).__name__
    return kind(f"no answer from {http.base_url}: {reason}", maybe_applied=maybe_applied)


def sockets() -> Any:
    """Give what is needed of websockets.

    Raises:
        ImportError: saying how to install it.

    """
    try:
        return importlib.import_module("streamnorm_client._sockets")
    except ImportError as error:
        raise ImportError("a live connection needs websockets: pip install 'streamnorm-client[live]'") from error
