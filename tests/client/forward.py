"""A forward proxy that tunnels by CONNECT (RFC 9110, 9.3.6), and remembers where to."""

from __future__ import annotations

import socket
import socketserver
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.support.proxy import receive


class ForwardProxy:
    """Listens on a port of its own while it is entered."""

    def __init__(self) -> None:
        #: the addresses that tunnels were asked to
        self.asked: list[str] = []
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                proxy.tunnel(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def tunnel(self, client: socket.socket) -> None:
        """Carry bytes both ways, once asked to."""
        head = b""
        while b"\r\n\r\n" not in head:
            head += receive(client)
        method, address, _ = head.split(b"\r\n")[0].decode().split()
        assert method == "CONNECT"
        self.asked.append(address)
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port))) as service, client:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            forth = threading.Thread(target=_pump, args=(client, service))
            forth.start()
            _pump(service, client)
            forth.join()

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


def _pump(source: socket.socket, sink: socket.socket) -> None:
    while data := receive(source):
        with suppress(OSError):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
