"""Minimal HTTP/1.1: most calls are one small request to one address, for which httpx takes three times as long.

The rules:

1. It is used only where it behaves like httpx: without a proxy, and without the caller's own transport or client.
2. h11 writes requests and reads responses; httpcore's network streams connect, verify and time out.
3. A connection is reused only after a complete exchange, within `KEEP_IDLE` seconds, and only if it is not readable:
   then the service has closed it.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Generic, Optional, TypeVar, Union
from urllib.parse import urlsplit

import h11
import httpcore
import httpx

from streamnorm_client._calls.call import Response

if TYPE_CHECKING:
    from streamnorm_client._calls.call import Call
    from streamnorm_client._http.httpx_adapter import Connection

KEEP_IDLE = 4.0  # seconds; uvicorn closes idle connections after five
MAX_HEAD = 100 * 1024  # of a response; httpcore's limit
CHUNK = 64 * 1024
NETWORK_ERRORS = (httpcore.NetworkError, httpcore.ProtocolError)

StreamT = TypeVar("StreamT", httpcore.NetworkStream, httpcore.AsyncNetworkStream)


# An exchange yields bytes to send, or None to receive; it is resumed with the received bytes, or the error.
Exchange = Generator[Optional[bytes], Union[bytes, Exception], Response]


class Origin:
    """The destination of requests, and their common headers."""

    def __init__(self, connection: Connection) -> None:
        parts = urlsplit(connection.url)
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.ssl_context = None if isinstance(connection.verify, bool) else connection.verify
        self._path = httpx.URL(connection.url).raw_path.rstrip(b"/")
        agent = f"streamnorm-client (python-httpx/{httpx.__version__})"
        host = httpx.URL(connection.url).netloc
        common = {b"host": host, b"user-agent": agent.encode()}
        self._headers = {**common, **_encoded(connection.headers)}
        #: complete headers by the values of the calls' own headers, which are a few media types
        self._known: dict[tuple[str, ...], list[tuple[bytes, bytes]]] = {}

    def request(self, call: Call[Any]) -> h11.Request:
        """Build the head of a call's request."""
        own = call.headers
        key = tuple(own.values())
        headers = self._known.get(key)
        if headers is None:
            headers = self._known[key] = list({**self._headers, **_encoded(own)}.items())
        if call.body is not None or call.method not in {"GET", "HEAD"}:
            headers = [*headers, (b"content-length", b"%d" % len(call.body or b""))]
        return h11.Request(method=call.method, target=self._path + call.target.encode("ascii"), headers=headers)


def _encoded(headers: Any) -> dict[bytes, bytes]:
    return {name.lower().encode("ascii"): value.encode("latin-1") for name, value in headers.items()}


class PooledConnection(Generic[StreamT]):
    """A pooled connection, with the time since which it is idle."""

    def __init__(self, stream: StreamT) -> None:
        self.stream: StreamT = stream
        self.state = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self.idle_since = 0.0

    def exchange(self, request: h11.Request, body: bytes | None) -> Exchange:
        """Send a request and receive its response.

        Raises:
            httpcore.NetworkError, httpcore.RemoteProtocolError: there was no complete response.

        """
        state = self.state
        data = [state.send(request), state.send(h11.Data(data=body)) if body else b"", state.send(h11.EndOfMessage())]
        sent = yield b"".join(filter(None, data))
        unsent = sent if isinstance(sent, Exception) else None
        try:
            response = yield from self._receive()
        except (*NETWORK_ERRORS, h11.RemoteProtocolError) as error:
            # a service may reject a body before reading all of it, so the answer takes precedence over the write error
            raise unsent or _network_error(error) from error
        if unsent is None and state.our_state is h11.DONE and state.their_state is h11.DONE:
            state.start_next_cycle()
            self.idle_since = time.monotonic()
        return response

    def _receive(self) -> Exchange:
        state, parts = self.state, []
        status, headers = 0, {}
        while True:
            event = state.next_event()
            if event is h11.NEED_DATA:
                data = yield None
                if isinstance(data, Exception):
                    raise data
                if not data and state.their_state is h11.SEND_RESPONSE:
                    raise httpcore.RemoteProtocolError("the service closed the connection without a response")
                state.receive_data(data)
            elif isinstance(event, h11.Response):
                status = event.status_code
                headers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
            elif isinstance(event, h11.Data):
                parts.append(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return Response(status, headers, b"".join(parts))

    @property
    def is_reusable(self) -> bool:
        """Whether the connection can be reused."""
        return self.state.our_state is h11.IDLE

    @property
    def is_stale(self) -> bool:
        """Whether it was idle for too long, or was closed by the service."""
        return time.monotonic() - self.idle_since > KEEP_IDLE or bool(self.stream.get_extra_info("is_readable"))


def _network_error(error: Exception) -> Exception:
    return httpcore.RemoteProtocolError(str(error)) if isinstance(error, h11.RemoteProtocolError) else error
