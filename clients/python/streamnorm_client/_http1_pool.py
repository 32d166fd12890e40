"""Connections of `_http1` that are kept between calls: one class for threads, one for asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Union

import httpcore

from streamnorm_client._http1 import CHUNK, NETWORK_ERRORS, Exchange, Kept, Origin

if TYPE_CHECKING:
    import httpx

    from streamnorm_client._http_adapter import Connection
    from streamnorm_client._requests import Call, Response

SyncKept = Kept[httpcore.NetworkStream]
AsyncKept = Kept[httpcore.AsyncNetworkStream]
Came = Union[bytes, Exception]


class Http1:
    """Sends calls of several threads, each over a connection of its own while it lasts.

    Its errors, and those of `AsyncHttp1`, are httpcore's.
    """

    def __init__(self, connection: Connection) -> None:
        self._origin = Origin(connection)
        self._backend = httpcore.SyncBackend()
        self._idle: list[SyncKept] = []

    def send(self, call: Call[Any], timeout: httpx.Timeout) -> Response:
        """Send a call, and return its response."""
        kept = self._reuse() or self._connect(timeout)
        try:
            response = _carry(kept.exchange(self._origin.request(call), call.body), kept.stream, timeout)
        except BaseException:
            kept.stream.close()
            raise
        if kept.is_reusable:
            self._idle.append(kept)
        else:
            kept.stream.close()
        return response

    def close(self) -> None:
        """Close the connections that are kept."""
        while (kept := self._pop()) is not None:
            kept.stream.close()

    def _reuse(self) -> SyncKept | None:
        while (kept := self._pop()) is not None:
            if not kept.is_stale:
                return kept
            kept.stream.close()
        return None

    def _pop(self) -> SyncKept | None:
        try:
            return self._idle.pop()
        except IndexError:  # another thread may have taken the last one
            return None

    def _connect(self, timeout: httpx.Timeout) -> SyncKept:
        origin = self._origin
        stream = self._backend.connect_tcp(origin.host, origin.port, timeout.connect)
        if origin.ssl_context is not None:
            stream = stream.start_tls(origin.ssl_context, origin.host, timeout.connect)
        return Kept(stream)


def _carry(exchange: Exchange, stream: httpcore.NetworkStream, timeout: httpx.Timeout) -> Response:
    came: Came = b""
    try:
        data = next(exchange)
        while True:
            try:
                if data is None:
                    came = stream.read(CHUNK, timeout.read)
                else:
                    stream.write(data, timeout.write)
            except NETWORK_ERRORS as error:
                came = error
            data = exchange.send(came)
    except StopIteration as end:
        response: Response = end.value
        return response


class AsyncHttp1:
    """Like `Http1`, for the tasks of an event loop."""

    def __init__(self, connection: Connection) -> None:
        self._origin = Origin(connection)
        self._backend = httpcore.AnyIOBackend()
        self._idle: list[AsyncKept] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(self, call: Call[Any], timeout: httpx.Timeout) -> Response:
        """Send a call, and return its response."""
        kept = await self._reuse() or await self._connect(timeout)
        try:
            response = await _carry_async(kept.exchange(self._origin.request(call), call.body), kept.stream, timeout)
        except BaseException:
            await kept.stream.aclose()
            raise
        if kept.is_reusable:
            self._idle.append(kept)
        else:
            await kept.stream.aclose()
        return response

    async def close(self) -> None:
        """Close the connections that are kept."""
        idle, self._idle = self._idle, []
        for kept in idle:
            await kept.stream.aclose()

    async def _reuse(self) -> AsyncKept | None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # connections belong to their loop, which may have ended
            self._loop, self._idle = loop, []
        while self._idle:
            kept = self._idle.pop()
            if not kept.is_stale:
                return kept
            await kept.stream.aclose()
        return None

    async def _connect(self, timeout: httpx.Timeout) -> AsyncKept:
        origin = self._origin
        stream = await self._backend.connect_tcp(origin.host, origin.port, timeout.connect)
        if origin.ssl_context is not None:
            stream = await stream.start_tls(origin.ssl_context, origin.host, timeout.connect)
        return Kept(stream)


async def _carry_async(exchange: Exchange, stream: httpcore.AsyncNetworkStream, timeout: httpx.Timeout) -> Response:
    came: Came = b""
    try:
        data = next(exchange)
        while True:
            try:
                if data is None:
                    came = await stream.read(CHUNK, timeout.read)
                else:
                    await stream.write(data, timeout.write)
            except NETWORK_ERRORS as error:
                came = error
            data = exchange.send(came)
    except StopIteration as end:
        response: Response = end.value
        return response
