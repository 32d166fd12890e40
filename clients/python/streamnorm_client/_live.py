"""Live connections: readings over a WebSocket, with the numbers, retries and errors that they have over HTTP.

A live connection is another way to carry the same calls (`_over_socket`), so `_numbering` and `_retry` do for it what
they do for HTTP: a reading whose answer got lost is sent again, over a new connection, under its own number, which the
service applies once. This needs websockets (the extra `live`).
"""

from __future__ import annotations

import asyncio
import importlib
import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from streamnorm_client._calls import Call, Reply
from streamnorm_client._errors import ConnectionFailed, TimedOut, TransportError
from streamnorm_client._retry import Pause

if TYPE_CHECKING:
    from types import TracebackType

    import httpx
    from typing_extensions import Self

    from streamnorm_client._answers import Normalized
    from streamnorm_client._async_client import AsyncStream
    from streamnorm_client._client import Stream
    from streamnorm_client._retry import Outcome, Step

OK = 200


class Live:
    """A live connection of one stream, made by `Stream.live`; for one thread at a time.

    It connects when it is needed, and again where the connection is lost.
    """

    def __init__(self, stream: Stream) -> None:
        self._sockets = sockets()
        self._stream = stream
        self._http: httpx.Client = stream._client._http  # noqa: SLF001 - one thing with its client
        self._connection: Any = None
        self._open = ExitStack()

    def observe(
        self, values: Any, *, timestamp: Any = None, seq: int | None = None, numbered: bool = True
    ) -> Normalized:
        """Normalize a reading and learn from it; as `Stream.observe` does."""
        steps = self._stream._steps.observe(values, timestamp, stats=False, seq=seq, numbered=numbered)  # noqa: SLF001
        return self._stream._in_turn(steps, self._take)  # noqa: SLF001

    def close(self) -> None:
        """Close the connection."""
        self._connection = None
        self._open.close()

    def __enter__(self) -> Self:
        """Use the connection in a `with` statement, which closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def _take(self, step: Step) -> Outcome:
        if isinstance(step, Pause) or not is_reading(step):
            return self._stream._client._take(step)  # noqa: SLF001
        return self._over_socket(step)

    def _over_socket(self, call: Call[Any]) -> Reply | TransportError:
        sent = False
        try:
            if self._connection is None:
                self._connection = self._open.enter_context(self._sockets.connect(**options(self._http, call)))
            sent = True
            self._connection.send(text_of(call))
            return reply(self._connection.recv(self._http.timeout.read))
        except self._sockets.InvalidStatus as error:
            return refused(error)
        except (OSError, self._sockets.WebSocketException) as error:  # TimeoutError is an OSError
            self.close()
            return failure(error, self._http, maybe_applied=sent)


class AsyncLive:
    """Like `Live`, for asyncio."""

    def __init__(self, stream: AsyncStream) -> None:
        self._sockets = sockets()
        self._stream = stream
        self._http: httpx.AsyncClient = stream._client._http  # noqa: SLF001
        self._connection: Any = None

    async def observe(
        self, values: Any, *, timestamp: Any = None, seq: int | None = None, numbered: bool = True
    ) -> Normalized:
        """Like `Live.observe`."""
        steps = self._stream._steps.observe(values, timestamp, stats=False, seq=seq, numbered=numbered)  # noqa: SLF001
        return await self._stream._in_turn(steps, self._take)  # noqa: SLF001

    async def close(self) -> None:
        """Like `Live.close`."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def __aenter__(self) -> Self:
        """Use the connection in an `async with` statement, which closes it."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        await self.close()

    async def _take(self, step: Step) -> Outcome:
        if isinstance(step, Pause) or not is_reading(step):
            return await self._stream._client._take(step)  # noqa: SLF001
        return await self._over_socket(step)

    async def _over_socket(self, call: Call[Any]) -> Reply | TransportError:
        sent = False
        try:
            if self._connection is None:
                self._connection = await self._sockets.connect_async(**options(self._http, call))
            sent = True
            await self._connection.send(text_of(call))
            return reply(await asyncio.wait_for(self._connection.recv(), self._http.timeout.read))
        except self._sockets.InvalidStatus as error:
            return refused(error)
        except (OSError, asyncio.TimeoutError, self._sockets.WebSocketException) as error:
            await self.close()
            return failure(error, self._http, maybe_applied=sent)


def is_reading(call: Call[Any]) -> bool:
    """Tell whether a call can go over the connection: one that observes a reading and asks for nothing else."""
    return call.method == "POST" and call.path.endswith("/readings") and not call.params


def options(http: httpx.Client | httpx.AsyncClient, call: Call[Any]) -> dict[str, Any]:
    """Make the options of a connection: the address, the key and the patience of the client."""
    address = urlsplit(str(http.base_url))
    scheme = "wss" if address.scheme == "https" else "ws"
    path = address.path.rstrip("/") + call.path[: -len("readings")] + "live"
    headers = {name: http.headers[name] for name in ("authorization",) if name in http.headers}
    return {
        "uri": urlunsplit((scheme, address.netloc, path, "", "")),
        "additional_headers": headers,
        "open_timeout": http.timeout.connect,
        "compression": None,  # a reading is shorter than what packing it would save
    }


def text_of(call: Call[Any]) -> str:
    """Give a call's body as the text of a message."""
    return (call.body or b"").decode()


def reply(text: str | bytes) -> Reply:
    """Take an answer over; a problem says its status itself."""
    body = text.encode() if isinstance(text, str) else text
    answer = json.loads(body)
    problem = isinstance(answer, dict) and "type" in answer and "stream" not in answer
    return Reply(int(answer["status"]) if problem else OK, {}, body)


def refused(error: Any) -> Reply:
    """Take over the answer to a handshake that was refused: the key is wrong, the service starts."""
    response = error.response
    headers = {name.lower(): value for name, value in response.headers.raw_items()}
    return Reply(response.status_code, headers, response.body or b"")


def failure(error: Exception, http: httpx.Client | httpx.AsyncClient, *, maybe_applied: bool) -> TransportError:
    """Make the error of a reading that no answer came to."""
    kind = TimedOut if "timed out" in str(error) or "Timeout" in type(error).__name__ else ConnectionFailed
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
