"""The adapter to websockets: converts messages to bytes and back, without I/O.

The handshake is an ordinary request (`handshake`), so a live connection uses the TLS settings, the proxy and the
headers of its client. websockets (the extra `live`) is imported only when a connection is opened.
"""

from __future__ import annotations

import base64
import importlib
import json
import logging
import os
from collections import deque
from dataclasses import dataclass
from typing import Any

from streamnorm_client._calls.call import Call, Response
from streamnorm_client._errors import MissingDependency

# Broken connections raise, or are retried; what websockets logs about them is opt-in.
LOG = logging.getLogger(__name__)
LOG.addHandler(logging.NullHandler())

OK = 200
SWITCHING_PROTOCOLS = 101
NORMAL_CLOSURE = 1000


@dataclass
class Handshake(Call[None]):
    """The opening handshake of a live connection."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of RFC 6455."""
        return {
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": base64.b64encode(os.urandom(16)).decode(),
        }


def handshake(call: Call[Any]) -> Handshake:
    """Build the handshake of a connection for a reading's call."""
    return Handshake("GET", call.path[: -len("readings")] + "live", lambda _: None)


def is_reading(call: Call[Any]) -> bool:
    """Return whether a call can use the connection: it observes a reading, without parameters."""
    return call.method == "POST" and call.path.endswith("/readings") and not call.params


def response_of(body: bytes) -> Response:
    """Convert a message to a response; a problem contains its status."""
    if b'"type"' not in body:
        return Response(OK, {}, body)
    try:
        answer = json.loads(body)
    except ValueError:
        return Response(OK, {}, body)  # parsing it later raises UnexpectedAnswer
    problem = isinstance(answer, dict) and "type" in answer and "stream" not in answer
    return Response(int(answer["status"]) if problem else OK, {}, body)


class Frames:
    """The WebSocket protocol of one connection.

    Raises:
        MissingDependency: websockets is not installed.

    """

    def __init__(self) -> None:
        protocol = imports()
        # no limit: an answer to an image is larger than the image, and the service limits both
        self._protocol = protocol.Protocol(protocol.CLIENT, state=protocol.OPEN, max_size=None, logger=LOG)
        self._open = protocol.OPEN
        self._data_opcodes = importlib.import_module("websockets.frames").DATA_OPCODES
        self._parts: list[bytes] = []
        #: complete messages
        self.messages: deque[bytes] = deque()

    def text(self, body: bytes) -> bytes:
        """Encode a message."""
        self._protocol.send_text(body)
        return self.to_send()

    def to_send(self) -> bytes:
        """Return the protocol's own bytes to send: pongs, the closing handshake."""
        return b"".join(self._protocol.data_to_send())

    def close(self) -> bytes:
        """Return the closing frame."""
        if not self.is_closing:
            self._protocol.send_close(NORMAL_CLOSURE)
        return self.to_send()

    def receive(self, data: bytes) -> None:
        """Process received bytes; b"" is the end of the connection."""
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for frame in self._protocol.events_received():
            if frame.opcode in self._data_opcodes:
                self._parts.append(bytes(frame.data))
                if frame.fin:
                    self.messages.append(b"".join(self._parts))
                    self._parts.clear()

    @property
    def is_closing(self) -> bool:
        """Whether either side has started to close the connection."""
        return self._protocol.state is not self._open

    @property
    def reason(self) -> str:
        """The reason why the connection ended."""
        return str(self._protocol.close_exc)


def imports() -> Any:
    """Import websockets' protocol.

    Raises:
        MissingDependency: websockets is not installed.

    """
    try:
        return importlib.import_module("websockets.protocol")
    except ImportError as error:
        raise MissingDependency("a live connection needs websockets: pip install 'streamnorm-client[live]'") from error
