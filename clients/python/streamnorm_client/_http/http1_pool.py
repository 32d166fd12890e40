"""Connection pools for `http1`: one class for threads, one for asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Union

import httpcore

from streamnorm_client._http.http1 import CHUNK, NETWORK_ERRORS, Exchange, Origin, PooledConnection

if TYPE_CHECKING:
    import httpx

    from streamnorm_client._calls.call import Call, Response
    from streamnorm_client._http.httpx_adapter import Connection

SyncConnection = PooledConnection[httpcore.NetworkStream]
AsyncConnection = PooledConnection[httpcore.AsyncNetworkStream]
Received = Union[bytes, Exception]


class Http1:
    """A pool for several threads; a call has exclusive use of its connection.

    Its errors, and those of `AsyncHttp1`, are httpcore's.
    """

    def __init__(self, connection: Connection) -> None:
        self._origin = Origin(connection)
        self._backend = httpcore.SyncBackend()
        self._idle: list[SyncConnection] = []

    def send(self, call: Call[Any], timeout: httpx.Timeout) -> Response:
        """Send a call, and return its response."""
        conn = self._reuse() or self._connect(timeout)
        try:
            response = _carry(conn.exchange(self._origin.request(call), call.body), conn.stream, timeout)
        except BaseException:
            conn.stream.close()
            raise
        if conn.is_reusable:
            self._idle.append(conn)
        else:
            conn.stream.close()
        return response

    def close(self) -> None:
        """Close the idle connections."""
        while (conn := self._pop()) is not None:
            conn.stream.close()

    def _reuse(self) -> SyncConnection | None:
        while (conn := self._pop()) is not None:
            if not conn.is_stale:
                return conn
            conn.stream.close()
        return None

    def _pop(self) -> SyncConnection | None:
        try:
            return self._idle.pop()
        except IndexError:  # another thread may have taken the last one
            return None

    def _connect(self, timeout: httpx.Timeout) -> SyncConnection:
        origin = self._origin
        stream = self._backend.connect_tcp(origin.host, origin.port, timeout.connect)
        if origin.ssl_context is not None:
            stream = stream.start_tls(origin.ssl_context, origin.host, timeout.connect)
        return PooledConnection(stream)


def _carry(exchange: Exchange, stream: httpcore.NetworkStream, timeout: httpx.Timeout) -> Response:
    received: Received = b""
    try:
        data = next(exchange)
        while True:
            try:
                if data is None:
                    received = stream.read(CHUNK, timeout.read)
                else:
                    stream.write(data, timeout.write)
            except NETWORK_ERRORS as error:
                received = error
            data = exchange.send(received)
    except StopIteration as end:
        response: Response = end.value
        return response


class AsyncHttp1:
    """Like `Http1`, for the tasks of an event loop."""

    def __init__(self, connection: Connection) -> None:
        self._origin = Origin(connection)
        self._backend = httpcore.AnyIOBackend()
        self._idle: list[AsyncConnection] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(self, call: Call[Any], timeout: httpx.Timeout) -> Response:
        """Send a call, and return its response."""
        conn = await self._reuse() or await self._connect(timeout)
        try:
            response = await _carry_async(conn.exchange(self._origin.request(call), call.body), conn.stream, timeout)
        except BaseException:
            await conn.stream.aclose()
            raise
        if conn.is_reusable:
            self._idle.append(conn)
        else:
            await conn.stream.aclose()
        return response

    async def close(self) -> None:
        """Close the idle connections."""
        idle, self._idle = self._idle, []
        for conn in idle:
            await conn.stream.aclose()

    async def _reuse(self) -> AsyncConnection | None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # connections belong to their loop, which may have ended
            self._loop, self._idle = loop, []
        while self._idle:
            conn = self._idle.pop()
            if not conn.is_stale:
                return conn
            await conn.stream.aclose()
        return None

    async def _connect(self, timeout: httpx.Timeout) -> AsyncConnection:
        origin = self._origin
        stream = await self._backend.connect_tcp(origin.host, origin.port, timeout.connect)
        if origin.ssl_context is not None:
            stream = await stream.start_tls(origin.ssl_context, origin.host, timeout.connect)
        return PooledConnection(stream)


async def _carry_async(exchange: Exchange, stream: httpcore.AsyncNetworkStream, timeout: httpx.Timeout) -> Response:
    received: Received = b""
    try:
        data = next(exchange)
        while True:
            try:
                if data is None:
                    received = await stream.read(CHUNK, timeout.read)
                else:
                    await stream.write(data, timeout.write)
            except NETWORK_ERRORS as error:
                received = error
            data = exchange.send(received)
    except StopIteration as end:
        response: Response = end.value
        return response
