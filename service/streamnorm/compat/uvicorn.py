"""uvicorn, and all that is used of its inside: connections whose requests are answered early, the signals, the ticks.

Other modules use uvicorn only through this one, and of the classes here only what they define themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any, Final

from httptools import HttpRequestParser
from uvicorn import Config
from uvicorn import Server as UvicornServer
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import apply_mask  # type: ignore[attr-defined]  # in C where that is installed
from websockets.http11 import Response
from websockets.protocol import OPEN

__all__ = ["Config", "HTTPProtocol", "Head", "ProxyHeadersMiddleware", "Server", "WebSocketProtocol", "receive_into"]

Head = list[tuple[bytes, bytes]]

TICKS: Final = 10  # uvicorn's ticks per second
UNREADABLE: Final = "the handshake of the WebSocket cannot be read"
#: bytes of a body's rest from which on it is received where it is wanted, past the parser
LEAST_REST: Final = 1 << 20
#: bytes of a body that are discarded at once
DISCARDED_AT_ONCE: Final = 1 << 16
#: the first byte of a whole message of text, and the bit of the second one that says that a frame is masked
TEXT: Final = 0x81
MASKED: Final = 0x80
#: sizes below are in a frame's second byte, one less than the next size is in two more bytes, otherwise in eight
SHORT: Final = 126


class DiscardedTrailers(Head):
    """A list that discards trailers."""

    def append(self, _: tuple[bytes, bytes], /) -> None:
        """Discard a trailer."""


DISCARDED: Final = DiscardedTrailers()


class HTTPProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 connection, which learns of a request when a subclass calls `forward_head`.

    A request that is not forwarded is answered by `answer_inline`.
    """

    transport: asyncio.Transport
    parser: HttpRequestParser
    #: the request target
    url: bytes
    #: the head of the current request, once it is complete
    head: Head
    #: whether the next byte begins a request; a subclass says so where a message is complete
    between = True
    #: when the last request was answered by `answer_unparsed`, in the event loop's time
    _answered_at = -math.inf

    def on_message_begin(self) -> None:
        """Start parsing a head; uvicorn's own callback is deferred until the head is complete."""
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self.scope = None  # type: ignore[assignment]
        self.between = False

    def on_headers_complete(self) -> None:
        """Take the complete head."""
        self.head = self.headers

    def forward_head(self) -> None:
        """Let uvicorn start the request, as if its head had just been parsed."""
        url, expected = self.url, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, self.head, expected
        self.scope["headers"] = self.head
        super().on_headers_complete()
        if self.parser.should_upgrade() and not self.upgrades():
            self.cycle.keep_alive = False  # the parser has discarded what follows

    def discard_trailers(self) -> None:
        """Discard what is parsed as headers after the head: trailers."""
        self.headers = DISCARDED

    def on_body(self, body: bytes) -> None:
        """Take a part of a body; one that comes alone is handed on as it is, where uvicorn would copy it twice."""
        if not self.cycle.body:
            self.cycle.body = b""  # type: ignore[assignment]  # the sum of this and a part is the part
        elif isinstance(self.cycle.body, bytes):
            self.cycle.body = bytearray(self.cycle.body)
        super().on_body(body)

    def receive_with(self, protocol: asyncio.BaseProtocol) -> None:
        """Let a `protocol` have what is received from now on: a receiver of a body, or the connection itself again."""
        self.flow.resume_reading()
        self.transport.pause_reading()  # uvloop asks how a protocol wants its data when reading begins
        self.transport.set_protocol(protocol)
        self.transport.resume_reading()

    def on_body_received(self) -> None:
        """Go on after a body that the parser has not seen to its end: with another parser."""
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.receive_with(self)
        self.on_message_complete()

    def answer_inline(self, answer: bytes) -> None:
        """Send the complete response to a request that was not forwarded, and go on to the next one."""
        self.transport.write(answer)
        self.on_response_complete()

    def is_idle(self) -> bool:
        """Return whether no request is pending and the client reads responses."""
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )

    def answer_unparsed(self, answer: bytes) -> None:
        """Send the complete response to a request that the parser has not seen."""
        self.transport.write(answer)
        self.server_state.total_requests += 1
        self._answered_at = self.loop.time()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has been idle; `answer_unparsed` does not restart the timer, to save time."""
        rest = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if rest > 0.0:
            self.timeout_keep_alive_task = self.loop.call_later(rest, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """Reject a request that the parser cannot parse."""
        del msg
        self.refuse_malformed()

    def refuse_malformed(self) -> None:
        """Reject a request that the parser cannot parse, and close the connection."""
        raise NotImplementedError

    def is_plain_post(self) -> bool:
        """Return whether a request is a plain POST, none before it is pending, and the client reads responses."""
        parser = self.parser
        return (
            parser.get_method() == b"POST"
            and (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and not self.expect_100_continue
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
        )

    def upgrades(self) -> bool:
        """Return whether uvicorn would turn the connection into a WebSocket."""
        return self._should_upgrade()

    def may_refuse(self) -> bool:
        """Return whether a response to the current request can be sent now: none is in progress, or expected before."""
        cycle = self.cycle
        idle = cycle is None or cycle.response_complete
        return idle or (cycle.scope is self.scope and not cycle.response_started and not self.pipeline)

    @property
    def default_headers(self) -> Head:
        """The headers of every response: a new list every second, since it has the date."""
        return self.server_state.default_headers

    @property
    def stalled(self) -> bool:
        """Whether the connection waits for a head, or for the client to read a response."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            return self.flow.write_paused
        return self.timeout_keep_alive_task is None  # set while uvicorn itself waits for another request


class BodyReceiver(asyncio.BufferedProtocol):
    """Receives the rest of a body into memory of the application's, in place of the `connection`.

    The parser and uvicorn would copy it three times. `room` is as long as the rest; once it is full, the connection
    goes on. None of it is there for others to see, so what is no longer wanted is received all the same.
    """

    def __init__(self, connection: HTTPProtocol, room: memoryview) -> None:
        self.received = 0
        self._connection = connection
        self._room: memoryview | None = room
        self._size = len(room)

    def discard(self) -> None:
        """Discard what is still to come."""
        self._room = None

    def get_buffer(self, _hint: int) -> memoryview:
        """Return where the next bytes belong."""
        if self._room is None:
            return memoryview(bytearray(min(self._size - self.received, DISCARDED_AT_ONCE)))
        return self._room[self.received :]

    def buffer_updated(self, nbytes: int) -> None:
        """Count received bytes."""
        self.received += nbytes
        self._connection._unset_keepalive_if_required()  # noqa: SLF001 - as uvicorn does with all data
        if self.received < self._size:
            self._connection.cycle.message_event.set()
        else:
            self._connection.on_body_received()

    def eof_received(self) -> None:
        """Hand on that the client sends no more."""
        self._connection.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        """Hand on that the client is gone."""
        self._connection.connection_lost(error)

    def pause_writing(self) -> None:
        """Hand on that the client reads too slowly."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Hand on that it has caught up."""
        self._connection.resume_writing()


async def receive_into(receive: object, room: memoryview, note: Callable[[int], None]) -> int:
    """Receive the rest of a body into `room`, which is as long, without a copy; return how many bytes have arrived.

    `note` hears of the size of each part, and may raise. Fewer bytes arrive where the client goes away, none where they
    must come by the ASGI channel `receive`: it is not uvicorn's, more has been parsed, the rest is short or encrypted.
    """
    cycle = getattr(receive, "__self__", None)
    if not isinstance(cycle, RequestResponseCycle) or len(room) < LEAST_REST:
        return 0
    connection = cycle.transport.get_protocol()
    if not isinstance(connection, HTTPProtocol) or cycle.scope["scheme"] != "http":
        return 0
    if cycle.body or cycle.disconnected or not cycle.more_body:
        return 0
    receiver = BodyReceiver(connection, room)
    connection.receive_with(receiver)
    noted = 0
    try:
        while noted < len(room) and not cycle.disconnected:
            cycle.message_event.clear()
            await cycle.message_event.wait()
            note(receiver.received - noted)
            noted = receiver.received
    finally:
        receiver.discard()
    return noted


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket connection; what it cannot parse is rejected, where uvicorn would wait forever.

    Short messages of text are parsed and written here, in a quarter of the library's time; the library has the rest.
    """

    #: the beginning of a frame that is not parsed yet; None before the handshake's request
    partial: bytes | None = None
    #: bytes to come of a frame that the library parses
    left = 0.0

    def refuse(self, status: int, text: str) -> Response:
        """Return the response to a handshake that is rejected with a `status`, because of what `text` says."""
        raise NotImplementedError

    def wrap(self, transport: asyncio.BaseTransport, loop: asyncio.AbstractEventLoop) -> asyncio.Transport:
        """Return what to write to: the `transport` of the `loop`, or something around it."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.conn.reject = self.refuse  # type: ignore[method-assign] # uvicorn builds `conn` itself
        super().connection_made(self.wrap(transport, self.loop))

    def data_received(self, data: bytes) -> None:
        """Parse received data; reject a handshake that the parser cannot parse."""
        if self.partial is not None:
            self.partial = self._parse_frames(self.partial + data)
            return
        super().data_received(data)
        if self.handshake_initiated:  # its request comes alone
            self.partial = b""
        if self.handshake_initiated or self.conn.handshake_exc is None or self.transport.is_closing():
            return
        answer = b"".join(self.conn.data_to_send())
        self.transport.write(answer or self.refuse(400, UNREADABLE).serialize())
        self.transport.close()

    async def send(self, message: Any) -> None:
        """Send an ASGI message."""
        text = message.get("text")
        if text is None or not self.writable.is_set() or not self._is_plain():
            await super().send(message)
            # uvicorn takes a handshake that was refused by a whole response for a failure, and logs it
            self.handshake_complete = self.handshake_complete or self.close_sent
            return
        data = text.encode()
        if len(data) < SHORT:
            self.transport.write(bytes((TEXT, len(data))) + data)
        elif len(data) < 1 << 16:
            self.transport.write(bytes((TEXT, SHORT)) + len(data).to_bytes(2, "big") + data)
        else:
            await super().send(message)

    def send_receive_event_to_app(self) -> None:
        """Hand a message on; text that is not UTF-8 ends the connection, without uvicorn's traceback in the log."""
        data = b"".join(self.frames)
        try:
            if self.curr_msg_data_type == "text" and not data.isascii():
                data.decode()
        except UnicodeDecodeError:
            self.frames = []
            if not self.close_sent:
                self.conn.send_close(1007, "the message is no text (UTF-8)")
                self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    def _is_plain(self) -> bool:
        """Return whether the connection is open, without extensions, and between messages both ways."""
        conn = self.conn
        return (
            conn.state is OPEN
            and self.handshake_complete
            and not (self.close_sent or self.disconnected or self.frames)
            and not (conn.extensions or conn.expect_continuation_frame)
        )

    def _parse_frames(self, data: bytes) -> bytes:
        """Parse frames; return the rest that is too short to be one."""
        at, end, plain = 0, len(data), self._is_plain()
        while at < end:
            if self.left:
                part = data[at : at + int(min(self.left, end - at))]
                at += len(part)
                self.left -= len(part)
                super().data_received(part)
                plain = self._is_plain()
                continue
            if at + 1 == end:
                break
            size, start = data[at + 1] - MASKED, at + 6
            if plain and 0 <= size < SHORT and data[at] == TEXT:
                if start + size > end:
                    break
                self.curr_msg_data_type = "text"
                self.frames = [apply_mask(data[start : start + size], data[start - 4 : start])]
                self.send_receive_event_to_app()
                at, plain = start + size, not self.close_sent
                continue
            if size >= SHORT:
                start += 2 if size == SHORT else 8
                if start - 4 > end:
                    break
                size = int.from_bytes(data[at + 2 : start - 4], "big")
            self.left = math.inf if size < 0 else start + size - at  # nothing is parsed after what is not masked
        return data[at:]

    def shutdown(self) -> None:
        """Close the connection; before a handshake without a close frame."""
        if self.handshake_initiated:
            super().shutdown()
        else:
            self.transport.close()

    @property
    def stalled(self) -> bool:
        """Whether the connection waits for a handshake, or for the client to read."""
        return not (self.handshake_complete and self.writable.is_set())


class Server(UvicornServer):
    """uvicorn's server; `each_second` is called once a second."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Discard the stop signal: uvicorn would raise it again, and supervisors would take that for a failure."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    async def on_tick(self, counter: int) -> bool:
        """Call `each_second`; return whether to stop."""
        if counter % TICKS == 0:
            self.each_second()
        return await super().on_tick(counter)

    def each_second(self) -> None:
        """Do what is to be done once a second."""

    @property
    def stopped_cleanly(self) -> bool:
        """Whether the server has started, and has saved everything on shutdown."""
        return self.started and not self.force_exit and not self.lifespan.should_exit

    @property
    def open_connections(self) -> list[Any]:
        """The open connections, each of the class in the configuration."""
        return list(self.server_state.connections)
