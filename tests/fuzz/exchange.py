"""Sends bytes, whatever they are, and takes the answers apart."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass, field

import httptools

#: Seconds after which nothing more is waited for.
LONGEST_WAIT = 20.0
#: Seconds of silence after which a WebSocket that was not closed is left.
QUIET = 0.1


@dataclass
class Answer:
    """One answer."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Exchange:
    """What was answered to bytes; `expected` is how many answers there had to be, `seconds` how long they took."""

    expected: int = 0
    answers: list[Answer] = field(default_factory=list)
    messages: bytes = b""
    seconds: float = 0.0
    ended: bool = False

    @property
    def unanswered(self) -> bool:
        """Whether the service neither answered nor hung up."""
        return not self.ended and len(self.answers) < max(1, self.expected)

    @property
    def refused(self) -> bool:
        """Whether all of it was refused, or never was whole."""
        if self.expected == 0 and not self.answers:
            return True
        return bool(self.answers) and len(self.answers) >= self.expected and all(a.status >= 400 for a in self.answers)


class _Requests:
    """Counts the requests that bytes hold, as the service's own parser sees them."""

    def __init__(self, data: bytes) -> None:
        self.whole = 0
        self.upgrade = False
        self.methods: list[bytes] = []
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.upgrade = True
        except httptools.HttpParserError:
            self.whole += 1  # answered by a refusal

    def on_message_complete(self) -> None:
        self.whole += 1


class _Responses:
    """Takes answers apart."""

    def __init__(self, *, head_only: bool) -> None:
        self.found: list[Answer] = []
        self.following = False
        self._head_only = head_only
        self._now = Answer()
        self.parser = httptools.HttpResponseParser(self)

    def on_message_begin(self) -> None:
        self._now = Answer()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._now.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._now.status = self.parser.get_status_code()
        if self._head_only or self._now.headers.get("content-type", "").startswith("text/event-stream"):
            self.following = True
            self.found.append(self._now)

    def on_body(self, body: bytes) -> None:
        self._now.body += body

    def on_message_complete(self) -> None:
        if not self.following and self._now.status >= 200:
            self.found.append(self._now)


def exchange(port: int, data: bytes) -> Exchange:
    """Send bytes, and wait for all answers to them, or for the end of the connection."""
    sent = _Requests(data)
    found = Exchange(expected=sent.whole)
    responses = _Responses(head_only=data[:5] == b"HEAD ")
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), LONGEST_WAIT) as connection:
        try:
            connection.sendall(data)
            if not sent.whole:
                connection.shutdown(socket.SHUT_WR)  # the rest does not come
            _receive(connection, responses, found)
        except (ConnectionError, BrokenPipeError):
            found.ended = True
            _drain(connection, responses)
        except TimeoutError:
            pass
    found.answers = responses.found
    found.seconds = time.monotonic() - began
    return found


def _receive(connection: socket.socket, responses: _Responses, found: Exchange) -> None:
    while not responses.following and (not found.expected or len(responses.found) < found.expected):
        data = connection.recv(1 << 20)
        if not data:
            found.ended = True
            return
        try:
            responses.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            responses.found.append(Answer(101))
            _follow(connection, found, data[upgrade.args[0] :])
            return


def _drain(connection: socket.socket, responses: _Responses) -> None:
    """Read what was answered before the connection was cut."""
    with contextlib.suppress(OSError, httptools.HttpParserError, httptools.HttpParserUpgrade):
        while data := connection.recv(1 << 20):
            responses.parser.feed_data(data)


def _follow(connection: socket.socket, found: Exchange, begun: bytes) -> None:
    """Read a WebSocket's frames until it is closed."""
    found.messages = begun
    connection.settimeout(QUIET)
    while True:
        try:
            data = connection.recv(1 << 20)
        except TimeoutError:
            if connection.gettimeout() != QUIET:
                return
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(LONGEST_WAIT)
            continue
        if not data:
            found.ended = True
            return
        found.messages += data


def messages(data: bytes) -> list[bytes]:
    """Return the payloads of a WebSocket's text frames."""
    found = []
    while len(data) >= 2:
        size, at = data[1], 2
        if size >= 126:
            at = 4 if size == 126 else 10
            size = int.from_bytes(data[2:at], "big")
        if data[0] & 15 == 1:
            found.append(data[at : at + size])
        data = data[at + size :]
    return found
