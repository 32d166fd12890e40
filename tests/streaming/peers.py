"""The other side of a live connection, byte by byte: for what a well-behaved client would never do."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any, Self

from tests.support.processes import PATIENCE, Service

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(message: bytes, opcode: int = TEXT, *, final: bool = True, mask: bytes = bytes(4)) -> bytes:
    """Write a frame as a client does, masked by zeros or by another `mask`."""
    first = bytes([(0x80 if final else 0) | opcode])
    size = len(message)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65536:
        length = b"\xfe" + struct.pack("!H", size)
    else:
        length = b"\xff" + struct.pack("!Q", size)
    return first + length + mask + bytes(letter ^ mask[place % 4] for place, letter in enumerate(message))


def send_until_stuck(connection: socket.socket, data: bytes) -> int:
    """Send until nobody listens any more, or the connection is cut; returns how many bytes were taken."""
    rest = memoryview(data)
    connection.settimeout(1.0)
    try:
        while rest:
            rest = rest[connection.send(rest[:65536]) :]
    except (TimeoutError, ConnectionError):
        pass
    connection.settimeout(PATIENCE)
    return len(data) - len(rest)


class Peer:
    """A WebSocket by hand, with so small a receive buffer that what is not read is soon noticed."""

    def __init__(self, service: Service, path: str, key: str = "") -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", service.port))
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
        lines += [f"Authorization: Bearer {key}"] if key else []
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._file = self.socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        while self._file.readline() not in {b"\r\n", b""}:
            pass

    def send(self, *messages: bytes, opcode: int = TEXT) -> None:
        """Send messages, in one piece."""
        self.socket.sendall(b"".join(frame(message, opcode) for message in messages))

    def receive(self) -> tuple[int, bytes]:
        """Receive a frame; returns its opcode and what it says."""
        head = self._file.read(2)
        if len(head) < 2:
            raise EOFError
        size = head[1] & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self._file.read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._file.read(8))
        return head[0] & 0xF, self._file.read(size)

    def answer(self) -> Any:
        """Receive an answer; before it, on a busy machine, the service may ask whether anyone is there."""
        opcode, said = self.receive()
        while opcode == PING:
            opcode, said = self.receive()
        assert opcode == TEXT, (opcode, said)
        return json.loads(said)

    def vanish(self) -> None:
        """Be gone without a word, what was received unread."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._file.close()
        self.socket.close()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._file.close()
        self.socket.close()
