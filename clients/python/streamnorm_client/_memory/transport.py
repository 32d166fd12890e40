"""httpx transports for an in-process ASGI application: requests, event streams and live connections.

httpx's own `ASGITransport` supports only asyncio, buffers the whole response, and lacks WebSockets.
"""

from __future__ import annotations

import asyncio
import queue
from typing import TYPE_CHECKING, Any

import httpx

from streamnorm_client._memory.socket import MemorySocket, is_upgrade

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, MutableMapping

    Message = MutableMapping[str, Any]


class InMemoryTransport(httpx.BaseTransport):
    """Sends requests from any thread to an application that runs in a separate event loop."""

    def __init__(self, app: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._loop = loop

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response as soon as the application has started it."""
        request.read()
        scope = scope_of(request)
        if is_upgrade(request):
            socket = MemorySocket(self._app, scope, self._loop)
            return socket.response()
        exchange = Exchange(request.content)
        task = asyncio.run_coroutine_threadsafe(self._app(scope, exchange.receive, exchange.send), self._loop)
        task.add_done_callback(lambda _: exchange.messages.put(None))
        started = exchange.messages.get()
        if started is None:
            raise httpx.RemoteProtocolError(f"the application failed: {task.exception()}", request=request)
        return httpx.Response(
            started["status"], headers=started["headers"], stream=Body(exchange, task), request=request
        )


def scope_of(request: httpx.Request) -> dict[str, Any]:
    """Return the ASGI scope of a request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.partition(b"?")[0],
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (request.url.host, request.url.port or 80),
        "client": ("127.0.0.1", 0),
        "state": {},
    }


class Exchange:
    """One request to the application, and its response messages."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._gone = asyncio.Event()
        #: response messages; None at the end
        self.messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()

    async def receive(self) -> Message:
        """Return the request's body, then wait until the client disconnects."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Queue a message of the application."""
        self.messages.put(message)

    def leave(self) -> None:
        """Signal to the application that the client has disconnected."""
        self._gone.set()


class Body(httpx.SyncByteStream):
    """The streaming body of a response."""

    def __init__(self, exchange: Exchange, task: Any) -> None:
        self._exchange = exchange
        self._task = task

    def __iter__(self) -> Iterator[bytes]:
        """Yield the parts."""
        while (message := self._exchange.messages.get()) is not None:
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body", False):
                break

    def close(self) -> None:
        """Cancel a response that is not read to its end."""
        self._task.cancel()


class AsyncInMemoryTransport(httpx.AsyncBaseTransport):
    """Like `InMemoryTransport`, for asyncio; it does not block the caller's event loop."""

    def __init__(self, transport: InMemoryTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response as soon as the application has started it."""
        await request.aread()
        response = await asyncio.to_thread(self._transport.handle_request, request)
        if "network_stream" in response.extensions:
            response.extensions["network_stream"] = response.extensions["network_stream"].asynchronous()
            return response
        response.stream = AsyncBody(response.stream)
        return response


class AsyncBody(httpx.AsyncByteStream):
    """Like `Body`, for asyncio."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self._parts = iter(body)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the parts."""
        while (part := await asyncio.to_thread(next, self._parts, None)) is not None:
            yield part

    async def aclose(self) -> None:
        """Cancel a response that is not read to its end."""
        self._body.close()
