"""uvicorn's HTTP protocol with bounds on all that is no body, and with the inline fast path.

uvicorn creates a task, a scope and messages for every request, and sends an answer in two writes. For one reading a
request that is most of the work: what `streamnorm.api.fastpath.inline` answers needs none of it, and leaves in one
write. Where it does not answer, the buffered callbacks are replayed to uvicorn's own protocol class.

Rules:

1. What is no body (heads, trailers, the extensions of chunks) is bounded by `max_head_bytes`, and the lines of a head
   by `MAX_HEADERS`; past a bound the connection is refused and closed.
2. A head is complete before its body: a trailer is never a header. Trailers are read, and thrown away.
3. A request of HTTP/1.1 names one host (RFC 9112, section 3.2); a body is sent as it is, or in chunks.
4. A request that asks for another protocol has no body: whose bytes they would be, two parsers may see differently.
5. Nothing behind a request that was refused is looked at.
"""

from __future__ import annotations

import socket
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from streamnorm.api.fastpath.inline import END, InlineResponder
from streamnorm.api.http.problems import HTTPProblem

#: Lines of a head: proxies add a dozen. What takes over a WebSocket's handshake reads no more.
MAX_HEADERS: Final = 128
#: Bytes of a line in a WebSocket's handshake; what takes it over reads no more.
MAX_UPGRADE_LINE: Final = 8190
#: Bytes of a chunk's frame that cost nothing: its size, and the ends of its lines.
CHUNK_FRAME: Final = 16
#: A byte of a body makes up for so many others, so that small chunks are no offence.
CREDIT: Final = 2
EVENTS: Final = b"/v1/events"
#: Bytes that the system, and then the event loop, hold for one who follows events: some seconds of a busy stream.
EVENT_SEND_BUFFER: Final = 32 * 1024
EVENT_WRITE_BUFFER: Final = 8 * 1024
OLD_VERSIONS: Final = frozenset({"0.9", "1.0"})
#: Bytes of a header line beside its name and its value.
PUNCTUATION: Final = 4


class DiscardedTrailers(list[tuple[bytes, bytes]]):
    """Where trailers go."""

    def append(self, _: tuple[bytes, bytes], /) -> None:
        """Discard a trailer."""


DISCARDED: Final = DiscardedTrailers()


class FastPathProtocol(HttpToolsProtocol):
    """A connection."""

    at_once: InlineResponder
    max_head_bytes: int
    #: bytes of the piece that is being looked at
    _piece = 0
    #: bytes before it that no body and no end of a message has made up for
    _overhead = 0
    #: what the bodies of this piece make up for
    _credit = 0
    #: whether a message came to its end in this piece
    _complete = False
    #: the head of the request at work
    _head: list[tuple[bytes, bytes]]
    #: the body of a request that may be answered at once, as far as it came; None where there is no such request
    _held: bytes | None = None
    #: the headers that uvicorn gives every answer, made anew every second, and what they are on the wire
    _given: tuple[Any, bytes] = ([], b"")

    def data_received(self, data: bytes) -> None:
        """Take data in."""
        self._piece = len(data)
        super().data_received(data)
        if self._held is not None:
            held, self._held = self._held, None
            if self.transport.is_closing():
                return
            try:
                self._replay_to_uvicorn(held)
            except HTTPProblem:  # told
                return
        if self._complete:
            self._overhead, self._complete = 0, False
        else:
            self._overhead = max(0, self._overhead + self._piece - self._credit)
            if self._overhead > self.max_head_bytes:
                self._tell(self._too_large("The head, the trailers or the extensions of chunks"))
        self._credit = 0

    def on_message_begin(self) -> None:
        """Begin with a head; uvicorn begins where it is told of one."""
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self.scope = None  # type: ignore[assignment]

    def on_headers_complete(self) -> None:
        """Start to work on a request, or wait for the body of one that may be answered at once."""
        self._head = self.headers
        if self.url.endswith(END) and self._is_simple_request():
            self._held = b""
        else:
            self._begin()
            if self.parser.should_upgrade():
                return  # uvicorn looks at the headers again; there are no trailers
        self.headers = DISCARDED

    def on_body(self, body: bytes) -> None:
        """Take a part of a body in."""
        if self._held is None:
            self._credit += (1 + CREDIT) * len(body) + CHUNK_FRAME
            super().on_body(body)
        else:
            self._held += body

    def on_message_complete(self) -> None:
        """Answer a request at once, where that is possible."""
        self._complete = True
        if self._held is None:
            super().on_message_complete()
            return
        held, self._held = self._held, None
        answer = None
        if self._overhead + self._piece <= self.max_head_bytes or self._head_bytes() <= self.max_head_bytes:
            answer = self.at_once.answer(self.url, self._head, held, self._headers_given())
        if answer is None:
            self._replay_to_uvicorn(held)
            super().on_message_complete()
            return
        self.transport.write(answer)
        self.on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser does not understand, or what was refused while it did."""
        del msg
        self._tell(HTTPProblem("malformed-request", "the request is not HTTP/1.1 as RFC 9112 has it"))

    def _is_simple_request(self) -> bool:
        """Return whether a request is a plain POST, nothing before it is unanswered, and the client reads answers."""
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

    def _begin(self) -> None:
        """Tell uvicorn of a head.

        Raises:
            Refused: the request cannot be taken; the client was told.

        """
        refusal = self._refusal()
        if refusal is not None:
            self._tell(refusal)
            raise refusal
        url, expected = self.url, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, self._head, expected
        self.scope["headers"] = self._head
        super().on_headers_complete()
        if self.parser.should_upgrade() and not self._should_upgrade():
            self.cycle.keep_alive = False  # the parser has lost what follows
        if self.url.startswith(EVENTS):
            self._bound_buffers()

    def _replay_to_uvicorn(self, held: bytes) -> None:
        """Tell uvicorn of a request that was held back.

        Raises:
            Refused: the request cannot be taken; the client was told.

        """
        self._begin()
        self.headers = DISCARDED
        if held:
            self.on_body(held)

    def _refusal(self) -> HTTPProblem | None:
        """Return why a head cannot be taken, if so."""
        if len(self.url) > self.max_head_bytes:
            return HTTPProblem(
                "uri-too-long", f"the address is larger than {self.max_head_bytes} bytes (max_head_bytes)"
            )
        if len(self._head) > MAX_HEADERS:
            return HTTPProblem("head-too-large", f"there are {len(self._head)} headers, the limit is {MAX_HEADERS}")
        if self._head_bytes() > self.max_head_bytes:
            return self._too_large("The head")
        hosts = sum(name == b"host" for name, _ in self._head)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() not in OLD_VERSIONS):
            return HTTPProblem("malformed-request", f"a request has one Host header, not {hosts}")
        named = dict(self._head)
        if named.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            return HTTPProblem("not-implemented", "of transfer codings this service takes chunked, and no other")
        return self._upgrade_refusal(named) if self.parser.should_upgrade() else None

    def _upgrade_refusal(self, named: dict[bytes, bytes]) -> HTTPProblem | None:
        """Return why a request for another protocol cannot be taken, if so."""
        if b"transfer-encoding" in named or named.get(b"content-length", b"0").strip(b"0"):
            return HTTPProblem("malformed-request", "a request for another protocol (Upgrade) has no body")
        if not self._should_upgrade():
            return None
        if self.parser.get_method() != b"GET" or self.parser.get_http_version() != "1.1":
            return HTTPProblem("malformed-request", "a WebSocket begins with a GET of HTTP/1.1 (RFC 6455)")
        lines = max(len(self.url), *(len(name) + len(value) for name, value in self._head))
        if lines + PUNCTUATION > MAX_UPGRADE_LINE:
            return HTTPProblem(
                "head-too-large", f"a line of a WebSocket's head is larger than {MAX_UPGRADE_LINE} bytes"
            )
        return None

    def _too_large(self, what: str) -> HTTPProblem:
        return HTTPProblem("head-too-large", f"{what} is larger than {self.max_head_bytes} bytes (max_head_bytes).")

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + PUNCTUATION for name, value in self._head)

    def _tell(self, refusal: HTTPProblem) -> None:
        """Refuse what came, and close the connection; an answer under way is cut short."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        idle = cycle is None or cycle.response_complete
        if idle or (cycle.scope is self.scope and not cycle.response_started and not self.pipeline):
            self.transport.write(self.at_once.refusal(refusal, self._headers_given()))
        self.transport.close()

    def _bound_buffers(self) -> None:
        """Bound what waits for one who follows events: the system would hold megabytes of the past."""
        taken = self.transport.get_extra_info("socket")
        if taken is not None:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, EVENT_SEND_BUFFER)
        self.transport.set_write_buffer_limits(EVENT_WRITE_BUFFER)

    def _headers_given(self) -> bytes:
        made, wire = self._given
        headers = self.server_state.default_headers
        if made is not headers:
            wire = b"".join(b"%b: %b\r\n" % header for header in headers)
            type(self)._given = headers, wire  # noqa: SLF001 - all connections share them
        return wire


def protocol_class(at_once: InlineResponder, max_head_bytes: int) -> type[FastPathProtocol]:
    """Return the protocol of a service."""
    return type("Protocol", (FastPathProtocol,), {"at_once": at_once, "max_head_bytes": max_head_bytes})
