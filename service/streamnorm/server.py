"""uvicorn, with what it leaves to others: an end that open event streams do not hold up, and an eye on slow clients.

uvicorn waits without end for a request's head, and for a client that does not read its answer. Both are looked for
every second, at no cost to a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from streamnorm.api.fastpath.http_protocol import protocol_class
from streamnorm.api.fastpath.inline import InlineResponder
from streamnorm.api.fastpath.ws_protocol import WebSockets
from streamnorm.errors import InvalidConfiguration
from streamnorm.settings import Settings
from streamnorm.warmup import Warmup

if TYPE_CHECKING:
    import socket

log = logging.getLogger(__name__)

#: Seconds that open requests have to come to their end; the rest of the five is for the last commit.
GRACE: Final = 3
#: Objects made before garbage is looked for. A request makes dozens and no cycles; with Python's 700, and with all that
#: was imported looked at again and again, a third of the time of streaming goes there.
GARBAGE: Final = (20_000, 20, 20)
#: Seconds that live connections have to say why they end; uvicorn ends them without a word.
GOODBYE: Final = 0.2
#: Seconds that threads have to come to their end, after all is saved.
THREADS_GRACE: Final = 0.5
TICKS: Final = 10  # uvicorn's, a second


class Server(uvicorn.Server):
    """Serves until told to stop; then calls `drain` before it waits for open requests."""

    def __init__(self, config: uvicorn.Config, warmup: Warmup, drain: Callable[[], None], idle_timeout: float) -> None:
        super().__init__(config)
        self._warmup = warmup
        self._drain = drain
        self._idle_timeout = idle_timeout
        #: connections that a client holds up, and since when
        self._waiting: dict[Any, float] = {}

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Discard the signal to stop: uvicorn would die of it in the end, and supervisors take that for a failure."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve to the end, and then wait for no thread: what one does now is answered to nobody."""
        executor = ThreadPoolExecutor(thread_name_prefix="streamnorm")
        asyncio.get_running_loop().set_default_executor(executor)
        try:
            await super().serve(sockets)
        finally:
            self._leave(executor)

    def _leave(self, executor: ThreadPoolExecutor) -> None:
        """End the process where threads would hold it up: Python waits for them, without end."""
        last = threading.Thread(target=executor.shutdown, kwargs={"cancel_futures": True}, daemon=True)
        last.start()
        last.join(THREADS_GRACE)
        if last.is_alive() or self._warmup.busy:
            logging.shutdown()
            sys.stdout.flush()
            os._exit(0 if self.stopped_cleanly else 1)

    @property
    def stopped_cleanly(self) -> bool:
        """Whether it has served, and all that was to be kept is."""
        return self.started and not self.force_exit and not self.lifespan.should_exit

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer, and have the kernels ready meanwhile."""
        self._warmup.start()
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GARBAGE)

    async def on_tick(self, counter: int) -> bool:
        """Look after the connections, every second."""
        if counter % TICKS == 0:
            self.close_stalled(time.monotonic())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End live connections first: uvicorn waits for them."""
        log.info("stopping")
        self._drain()
        await self._warmup.stop()
        await asyncio.sleep(GOODBYE)
        for connection in list(self.server_state.connections):
            if isinstance(connection, WebSockets) and is_stalled(connection):
                connection.transport.abort()  # nobody reads there why it ends
        await super().shutdown(sockets)

    def close_stalled(self, now: float) -> None:
        """Cut the connections that have been held up for too long."""
        before, self._waiting = self._waiting, {}
        for connection in self.server_state.connections:
            if is_stalled(connection):
                since = self._waiting[connection] = before.get(connection, now)
                if now - since > self._idle_timeout:
                    connection.transport.abort()


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """Let SIGTERM end the process with status 0 while there is nothing to be saved yet."""

    def end(*_: object) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def configuration(app: ASGIApp, at_once: InlineResponder, settings: Settings) -> uvicorn.Config:
    """Return uvicorn's configuration, loaded.

    Raises:
        InvalidConfiguration: the TLS certificate cannot be used.

    """
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        # uvloop forgets a socket that its peer resets, and an MQTT connection would then hang for many seconds
        loop="asyncio" if settings.mqtt else "auto",
        http=protocol_class(at_once, settings.max_head_bytes),
        ws=WebSockets,
        ws_max_size=2 * settings.max_reading_bytes,  # up to there, it is answered that a message is too large
        ws_per_message_deflate=False,  # packing a reading costs more than normalizing it
        proxy_headers=False,  # read by the application, behind the hot path
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=settings.ssl_certfile or None,
        ssl_keyfile=settings.ssl_keyfile or None,
        ssl_keyfile_password=settings.ssl_keyfile_password or None,
    )
    try:
        config.load()
    except OSError as error:
        files = " and ".join(filter(None, (settings.ssl_certfile, settings.ssl_keyfile)))
        raise InvalidConfiguration.at("/ssl_certfile", f"cannot use {files}: {error.strerror or error}") from None
    return config


def is_stalled(connection: asyncio.Protocol) -> bool:
    """Return whether a connection waits for a head or a handshake, or for its answer to be read."""
    if isinstance(connection, WebSockets):
        return not (connection.handshake_complete and connection.writable.is_set())
    if not isinstance(connection, HttpToolsProtocol):
        return False
    cycle = connection.cycle
    if cycle is not None and not cycle.response_complete:
        return connection.flow.write_paused
    return connection.timeout_keep_alive_task is None  # set while uvicorn itself waits for another request
