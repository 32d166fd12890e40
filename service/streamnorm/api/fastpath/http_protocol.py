"""uvicorn's HTTP protocol with a bound on the size of a head, and with the inline fast path.

uvicorn creates a task, a scope and messages for every request, and sends an answer in two writes. For one reading a
request that is most of the work: what `streamnorm.api.fastpath.inline` answers needs none of it, and leaves in one
write. Where it does not answer, the buffered callbacks are replayed to uvicorn's own protocol class.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from streamnorm.api.fastpath.inline import END, InlineResponder


class FastPathProtocol(HttpToolsProtocol):
    """A connection."""

    at_once: InlineResponder
    max_head_bytes: int
    _head = 0
    #: the body of a request that may be answered at once, as far as it came; None where there is no such request
    _held: bytes | None = None
    #: the headers that uvicorn gives every answer, made anew every second, and what they are on the wire
    _given: tuple[Any, bytes] = ([], b"")

    def data_received(self, data: bytes) -> None:
        """Take data in."""
        super().data_received(data)
        if self._held is not None:
            held, self._held = self._held, None
            if self.transport.is_closing():
                return
            self._replay_to_uvicorn(held)
        if self.scope is None or (self.cycle is not None and self.cycle.scope is self.scope):
            self._head = 0
            return
        self._head += len(data)
        if self._head > self.max_head_bytes and not self.transport.is_closing():
            self.send_400_response(f"The head is larger than {self.max_head_bytes} bytes (max_head_bytes).")

    def on_headers_complete(self) -> None:
        """Start to work on a request, or wait for the body of one that may be answered at once."""
        if self.url.endswith(END) and self._is_simple_request():
            self._held = b""
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body in."""
        if self._held is None:
            super().on_body(body)
        else:
            self._held += body

    def on_message_complete(self) -> None:
        """Answer a request at once, where that is possible."""
        if self._held is None:
            super().on_message_complete()
            return
        held, self._held = self._held, None
        answer = self.at_once.answer(self.url, self.headers, held, self._headers_given())
        if answer is None:
            self._replay_to_uvicorn(held)
            super().on_message_complete()
            return
        self.scope = None  # type: ignore[assignment]
        self.transport.write(answer)
        self.on_response_complete()

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

    def _replay_to_uvicorn(self, held: bytes) -> None:
        """Tell uvicorn of a request that was held back."""
        super().on_headers_complete()
        if held:
            super().on_body(held)

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
