"""An in-process WebSocket between a client and an ASGI application: bytes on one side, messages on the other."""

from __future__ import annotations

import asyncio
import queue
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

from streamnorm_client._http import ws_adapter

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    Message = MutableMapping[str, Any]

GOING_AWAY = 1001
NO_STATUS = 1005


def is_upgrade(request: httpx.Request) -> bool:
    """Return whether a request is the handshake of a WebSocket."""
    return "websocket" in request.headers.get_list("upgrade")


class MemorySocket(httpcore.NetworkStream):
    """The client's end, a network stream of httpcore; the application's end are ASGI messages."""

    def __init__(self, app: Any, scope: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        protocol = ws_adapter.imports()
        self._protocol = protocol.Protocol(protocol.SERVER, state=protocol.OPEN, max_size=None)
        self._loop = loop
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._handshake: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._to_client: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._rest = b""
        self._to_app.put_nowait({"type": "websocket.connect"})
        socket = {**scope, "type": "websocket", "scheme": "ws", "subprotocols": []}
        socket["extensions"] = {"websocket.http.response": {}}
        self._task = asyncio.run_coroutine_threadsafe(app(socket, self._to_app.get, self._send), loop)
        self._task.add_done_callback(self._end)

    def response(self) -> httpx.Response:
        """Return the answer to the handshake."""
        message = self._handshake.get()
        if message["type"] == "websocket.accept":
            return httpx.Response(ws_adapter.SWITCHING_PROTOCOLS, extensions={"network_stream": self})
        if message["type"] != "websocket.http.response.start":
            return httpx.Response(403 if message["type"] == "websocket.close" else 500)
        body = self._handshake.get().get("body", b"")
        return httpx.Response(message["status"], headers=message["headers"], content=body)

    def _end(self, _: object) -> None:
        self._handshake.put({"type": "end"})
        self._to_client.put(b"")

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind in {"websocket.accept", "websocket.http.response.start", "websocket.http.response.body"}:
            self._handshake.put(message)
        elif kind == "websocket.send":
            text = message.get("text")
            self._protocol.send_text(message["bytes"] if text is None else text.encode())
        elif not self._closed:
            self._handshake.put(message)
            self._protocol.send_close(message.get("code", GOING_AWAY), message.get("reason") or "")
        self._flush()

    @property
    def _closed(self) -> bool:
        return self._protocol.state is not ws_adapter.imports().OPEN

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._to_client.put(data)

    def _receive(self, data: bytes) -> None:
        """Process the client's bytes, in the application's event loop."""
        if self._closed:
            return
        self._protocol.receive_data(data)
        for frame in self._protocol.events_received():
            if frame.opcode.name in {"TEXT", "BINARY"}:
                self._to_app.put_nowait({"type": "websocket.receive", "text": bytes(frame.data).decode()})
            elif frame.opcode.name == "CLOSE":
                self._to_app.put_nowait({"type": "websocket.disconnect", "code": NO_STATUS})
        self._flush()

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes."""
        del timeout
        self._loop.call_soon_threadsafe(self._receive, buffer)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Receive bytes."""
        if not self._rest:
            try:
                self._rest = self._to_client.get(timeout=timeout)
            except queue.Empty:
                raise httpcore.ReadTimeout(f"nothing came for {timeout} seconds") from None
        data, self._rest = self._rest[:max_bytes], self._rest[max_bytes:]
        return data

    def get_extra_info(self, info: str) -> Any:
        """Return whether there is something to read; no other information is available."""
        return bool(self._rest) or not self._to_client.empty() if info == "is_readable" else None

    def close(self) -> None:
        """End the application's side too."""
        self._loop.call_soon_threadsafe(self._to_app.put_nowait, {"type": "websocket.disconnect", "code": NO_STATUS})

    def asynchronous(self) -> AsyncMemorySocket:
        """Return the asyncio counterpart."""
        return AsyncMemorySocket(self)


class AsyncMemorySocket(httpcore.AsyncNetworkStream):
    """Like `MemorySocket`, for asyncio."""

    def __init__(self, socket: MemorySocket) -> None:
        self._socket = socket

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes."""
        self._socket.write(buffer, timeout)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Receive bytes."""
        return await asyncio.to_thread(self._socket.read, max_bytes, timeout)

    async def aclose(self) -> None:
        """End the application's side too."""
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        """Return whether there is something to read; no other information is available."""
        return self._socket.get_extra_info(info)
