"""uvicorn's HTTP protocol with bounds on everything but bodies, and with the inline fast path.

uvicorn creates a task, a scope and messages for every request, and sends a response in two writes. For requests of one
reading that is most of the work: a response from `streamnorm.api.fastpath.inline` needs none of it, and is sent in one
write. If the fast path declines, the buffered callbacks are replayed to uvicorn's own protocol class.

A request whose head has come before, on any connection, is not parsed again (`streamnorm.api.fastpath.kept_heads`).

Rules:

1. Heads, trailers and chunk extensions are bounded by `max_head_bytes`, and the lines of a head by `MAX_HEADERS`; on
   excess the request is rejected and the connection closed.
2. A head is complete before its body: a trailer is never a header. Trailers are read and discarded.
3. An HTTP/1.1 request has exactly one Host header (RFC 9112, section 3.2); a body is sent as it is, or chunked.
4. An upgrade request has no body: two parsers might disagree about where it ends.
5. Nothing after a rejected request is parsed.
"""

from __future__ import annotations

import socket
from time import perf_counter
from typing import Final

from streamnorm.api.fastpath.inline import END, InlineResponder
from streamnorm.api.fastpath.kept_heads import KeptHeads
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.compat.uvicorn import Head, HTTPProtocol

#: Lines of a head: proxies add a dozen. The WebSocket library's handshake parser has the same limit.
MAX_HEADERS: Final = 128
#: Bytes of a line in a WebSocket handshake, the limit of the library that parses it.
MAX_UPGRADE_LINE: Final = 8190
#: Bytes of a chunk's framing that are not counted as overhead: its size and line ends.
CHUNK_FRAME: Final = 16
#: Bytes of overhead that each byte of a body compensates, so that small chunks are accepted.
CREDIT: Final = 2
EVENTS: Final = b"/v1/events"
#: Bytes that the socket, and then the event loop, buffer for a subscriber to events: some seconds of a busy stream.
EVENT_SEND_BUFFER: Final = 32 * 1024
EVENT_WRITE_BUFFER: Final = 8 * 1024
OLD_VERSIONS: Final = frozenset({"0.9", "1.0"})
#: Bytes of a header line besides its name and its value.
PUNCTUATION: Final = 4


class EncodedHeaders:
    """The server's default headers in wire format, encoded anew when uvicorn replaces them, every second."""

    def __init__(self) -> None:
        self._headers: Head | None = None
        self._wire = b""

    def of(self, headers: Head) -> bytes:
        """Return these headers in wire format."""
        if self._headers is not headers:
            self._headers, self._wire = headers, b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._wire


class FastPathProtocol(HTTPProtocol):
    """A connection that answers simple readings inline."""

    at_once: InlineResponder
    #: shared by all connections
    given: EncodedHeaders
    max_head_bytes: int
    #: bytes of the data being parsed
    _piece = 0
    #: bytes of earlier data that no body and no end of a message has compensated
    _overhead = 0
    #: bytes of overhead that the bodies in this data compensate
    _credit = 0
    #: whether a message ended in this data
    _complete = False
    #: the body received so far of a request that the fast path may answer; None if there is no such request
    _held: bytes | None = None
    #: the data that is being parsed, if it began with a request
    _data: bytes | None = None
    #: shared by all connections
    heads: KeptHeads
    #: `heads`, once the connection has been answered inline: its first request is always parsed
    _kept: KeptHeads | None = None

    def data_received(self, data: bytes) -> None:
        """Parse received data, unless it is a request with a kept head."""
        self._data = None
        if self.between:
            if self._kept is not None and self._answer_repeated(self._kept, data):
                return
            self._data = data
        self._piece = len(data)
        super().data_received(data)
        if self._held is not None:
            held, self._held = self._held, None
            if self.transport.is_closing():
                return
            try:
                self._replay_to_uvicorn(held)
            except HTTPProblem:  # already sent to the client
                return
        if self._complete:
            self._overhead, self._complete = 0, False
        else:
            self._overhead = max(0, self._overhead + self._piece - self._credit)
            if self._overhead > self.max_head_bytes:
                self._tell(self._too_large("The head, the trailers or the extensions of chunks"))
        self._credit = 0

    def on_headers_complete(self) -> None:
        """Start processing a request, or buffer its body if the fast path may answer it."""
        super().on_headers_complete()
        if self.url.endswith(END) and self.is_plain_post():
            self._held = b""
        else:
            self._begin()
            if self.parser.should_upgrade():
                return  # uvicorn reads the headers again; there are no trailers
        self.discard_trailers()

    def on_body(self, body: bytes) -> None:
        """Receive a part of a body."""
        if self._held is None:
            self._credit += (1 + CREDIT) * len(body) + CHUNK_FRAME
            super().on_body(body)
        else:
            self._held += body

    def on_message_complete(self) -> None:
        """Answer a request inline if possible, otherwise pass it on."""
        self._complete = self.between = True
        if self._held is None:
            super().on_message_complete()
            return
        held, self._held = self._held, None
        answer = None
        if self._overhead + self._piece <= self.max_head_bytes or self._head_bytes() <= self.max_head_bytes:
            began = perf_counter()
            admitted = self.at_once.admit(self.url, self.head, began)
            if admitted is not None:
                answer = self.at_once.answer(admitted, held, self.given.of(self.default_headers), began)
                if answer is not None and self._data is not None:
                    self._kept = self.heads
                    self.heads.keep(self._data, len(held), admitted)
        if answer is None:
            self._replay_to_uvicorn(held)
            super().on_message_complete()
            return
        self.answer_inline(answer)

    def on_body_received(self) -> None:
        """Go on after a body that was not parsed; what follows begins a head."""
        super().on_body_received()
        self._overhead, self._complete = 0, False

    def refuse_malformed(self) -> None:
        """Reject a request that the parser cannot parse."""
        self._tell(HTTPProblem("malformed-request", "the request is not HTTP/1.1 as RFC 9112 has it"))

    def _answer_repeated(self, kept_heads: KeptHeads, data: bytes) -> bool:
        """Answer data that is one request with a kept head; return whether it is, and was answered."""
        found = kept_heads.find(data)
        if found is None or not self.is_idle():
            return False
        answer = self.at_once.answer_again(*found, self.given.of(self.default_headers), perf_counter())
        if answer is None:
            return False
        self.answer_unparsed(answer)
        return True

    def _begin(self) -> None:
        """Replay a head to uvicorn.

        Raises:
            HTTPProblem: the request is rejected; the response was sent.

        """
        refusal = self._refusal()
        if refusal is not None:
            self._tell(refusal)
            raise refusal
        self.forward_head()
        if self.url.startswith(EVENTS):
            self._bound_buffers()

    def _replay_to_uvicorn(self, held: bytes) -> None:
        """Replay a buffered request to uvicorn.

        Raises:
            HTTPProblem: the request is rejected; the response was sent.

        """
        self._begin()
        self.discard_trailers()
        if held:
            self.on_body(held)

    def _refusal(self) -> HTTPProblem | None:
        """Return the problem of an unacceptable head, if there is one."""
        if len(self.url) > self.max_head_bytes:
            return HTTPProblem(
                "uri-too-long", f"the address is larger than {self.max_head_bytes} bytes (max_head_bytes)"
            )
        if len(self.head) > MAX_HEADERS:
            return HTTPProblem("head-too-large", f"there are {len(self.head)} headers, the limit is {MAX_HEADERS}")
        if self._head_bytes() > self.max_head_bytes:
            return self._too_large("The head")
        hosts = sum(name == b"host" for name, _ in self.head)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() not in OLD_VERSIONS):
            return HTTPProblem("malformed-request", f"a request has one Host header, not {hosts}")
        named = dict(self.head)
        if named.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            return HTTPProblem("not-implemented", "of transfer codings this service takes chunked, and no other")
        return self._upgrade_refusal(named) if self.parser.should_upgrade() else None

    def _upgrade_refusal(self, named: dict[bytes, bytes]) -> HTTPProblem | None:
        """Return the problem of an unacceptable upgrade request, if there is one."""
        if b"transfer-encoding" in named or named.get(b"content-length", b"0").strip(b"0"):
            return HTTPProblem("malformed-request", "a request for another protocol (Upgrade) has no body")
        if not self.upgrades():
            return None
        if self.parser.get_method() != b"GET" or self.parser.get_http_version() != "1.1":
            return HTTPProblem("malformed-request", "a WebSocket begins with a GET of HTTP/1.1 (RFC 6455)")
        lines = max(len(self.url), *(len(name) + len(value) for name, value in self.head))
        if lines + PUNCTUATION > MAX_UPGRADE_LINE:
            return HTTPProblem(
                "head-too-large", f"a line of a WebSocket's head is larger than {MAX_UPGRADE_LINE} bytes"
            )
        return None

    def _too_large(self, what: str) -> HTTPProblem:
        return HTTPProblem("head-too-large", f"{what} is larger than {self.max_head_bytes} bytes (max_head_bytes).")

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + PUNCTUATION for name, value in self.head)

    def _tell(self, refusal: HTTPProblem) -> None:
        """Send a problem and close the connection; a response in progress is truncated."""
        if self.transport.is_closing():
            return
        if self.may_refuse():
            self.transport.write(self.at_once.refusal(refusal, self.given.of(self.default_headers)))
        self.transport.close()

    def _bound_buffers(self) -> None:
        """Bound the buffers of an event subscriber: the system would buffer megabytes of old events."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, EVENT_SEND_BUFFER)
        self.transport.set_write_buffer_limits(EVENT_WRITE_BUFFER)


def protocol_class(at_once: InlineResponder, max_head_bytes: int) -> type[FastPathProtocol]:
    """Build the protocol class of a service."""
    shared = {"at_once": at_once, "given": EncodedHeaders(), "heads": KeptHeads(), "max_head_bytes": max_head_bytes}
    return type("Protocol", (FastPathProtocol,), shared)
