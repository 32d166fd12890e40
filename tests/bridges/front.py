"""mosquitto behind a front that is as other brokers are: of MQTT 3.1.1 only, or saying why it ends a connection."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.broker import Broker

#: where CONNECT has the version, behind a fixed header of two bytes or three
LEVEL = b"\x00\x04MQTT"
MODERN = 5
REFUSED = b"\x20\x02\x00\x01"
#: DISCONNECT with the reason "session taken over", which mosquitto before 2.1 does not send
TAKEN_OVER = b"\xe0\x02\x8e\x00"


class Front(socketserver.ThreadingTCPServer):
    """Hands connections on; those of MQTT 5 only where it is `modern`: else they are refused by a code, or dropped."""

    daemon_threads = True

    def __init__(self, broker: Broker, *, modern: bool = False, politely: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.broker = broker
        self.modern = modern
        self.politely = politely
        self.open: list[socket.socket] = []
        self.refused = 0
        self.url = f"mqtt://127.0.0.1:{self.server_address[1]}"

    def take_over(self) -> None:
        """End the connections as if another client had come."""
        for each in self.open:
            each.sendall(TAKEN_OVER)
            with contextlib.suppress(OSError):  # the client may have been faster
                each.shutdown(socket.SHUT_RDWR)


class Connection(socketserver.BaseRequestHandler):
    """One connection."""

    def handle(self) -> None:
        """Inspect the version, and hand on."""
        assert isinstance(self.server, Front)
        first = self.request.recv(4096)
        if first[first.index(LEVEL) + len(LEVEL)] == MODERN and not self.server.modern:
            self.server.refused += 1
            if self.server.politely:
                self.request.sendall(REFUSED)
            return
        with socket.create_connection(("127.0.0.1", self.server.broker.port)) as broker:
            broker.sendall(first)
            self.server.open.append(self.request)
            back = threading.Thread(target=pipe, args=(broker, self.request), daemon=True)
            back.start()
            pipe(self.request, broker)
            back.join()


def pipe(source: Any, target: Any) -> None:
    """Copy what comes, until one of both ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def front_of(broker: Broker, *, modern: bool = False, politely: bool = True) -> Iterator[Front]:
    """Run the front of a broker."""
    with Front(broker, modern=modern, politely=politely) as front:
        thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield front
        finally:
            front.shutdown()
            thread.join()
