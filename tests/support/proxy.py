"""A TCP proxy that can swallow answers, and cut connections anywhere: who sent something knows not what arrived."""

from __future__ import annotations

import random
import socket
import socketserver
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK = 65536


class Proxy:
    """Stands before a port of this machine; `cut(n)` makes it swallow the next n answers, each with its connection.

    A `share` of all pieces, either way, arrive half, or not at all, and their connections break.
    """

    def __init__(self, port: int, share: float = 0.0, seed: int = 0) -> None:
        self._target = ("127.0.0.1", port)
        self._cuts = 0
        self._share = share
        self._random = random.Random(seed)
        #: how often a connection broke by chance
        self.broken = 0
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                proxy.carry(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def cut(self, answers: int) -> None:
        """Swallow the next answers, each with its connection."""
        self._cuts = answers

    def carry(self, client: socket.socket) -> None:
        """Carry requests to the service and answers back."""
        with socket.create_connection(self._target) as service, client:
            forth = threading.Thread(target=self._pump, args=(client, service))
            forth.start()
            while answer := receive(service):
                if self._cuts:
                    self._cuts -= 1
                    break
                if not self._pass(answer, client):
                    break
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            forth.join()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        """Carry bytes one way until the end, and pass the end on."""
        while (data := receive(source)) and self._pass(data, sink):
            pass
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _pass(self, data: bytes, sink: socket.socket) -> bool:
        """Pass a piece on, or by chance a part of it; returns whether all of it went."""
        whole = self._random.random() >= self._share
        if not whole:
            self.broken += 1
            data = data[: self._random.choice([0, 1, len(data) // 2, len(data)])]
        try:
            sink.sendall(data)
        except OSError:
            return False
        return whole

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def receive(source: socket.socket) -> bytes:
    """Receive some bytes; none at the end, however it came."""
    try:
        return source.recv(CHUNK)
    except OSError:
        return b""
