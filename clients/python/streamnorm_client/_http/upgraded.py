"""The stream of an upgraded connection, by its own socket.

httpcore's stream translates errors with a context manager, and makes a poll object for each look: together that takes
as long as the round trip itself. Its errors and the socket's are all in `NO_ANSWER`.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    import socket

    import httpcore


class SocketStream:
    """A connected socket, plain or TLS."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)

    def write(self, data: bytes, timeout: float | None) -> None:
        """Send all of `data`; `timeout` is in seconds."""
        self._socket.settimeout(timeout)
        self._socket.sendall(data)

    def read(self, max_bytes: int, timeout: float | None) -> bytes:
        """Receive at most `max_bytes`, b"" at the end of the connection; `timeout` is in seconds."""
        self._socket.settimeout(timeout)
        return self._socket.recv(max_bytes)

    @property
    def is_readable(self) -> bool:
        """Whether there is something to read: the service has closed the connection, or sent something unasked."""
        return bool(self._poll.poll(0))


class CoreStream:
    """A stream of httpcore that has no socket, as one in memory, or none that can be polled, as on Windows."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self.write, self.read = stream.write, stream.read

    @property
    def is_readable(self) -> bool:
        """Whether there is something to read."""
        return bool(self._stream.get_extra_info("is_readable"))


UpgradedStream = Union[SocketStream, CoreStream]


def upgraded(stream: httpcore.NetworkStream) -> UpgradedStream:
    """Return what reads and writes the upgraded connection of `stream`."""
    connected = stream.get_extra_info("socket")
    return CoreStream(stream) if connected is None or not hasattr(select, "poll") else SocketStream(connected)
