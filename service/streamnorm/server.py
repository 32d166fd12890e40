"""The uvicorn server, with a graceful shutdown that open event streams do not delay, and with timeouts of slow clients.

uvicorn waits indefinitely for a request's head, and for a client that does not read its response. Both are checked
every second, without a cost per request.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from starlette.types import ASGIApp

from streamnorm.api.fastpath.http_protocol import protocol_class
from streamnorm.api.fastpath.inline import InlineResponder
from streamnorm.api.fastpath.ws_protocol import WebSockets
from streamnorm.compat import uvicorn
from streamnorm.errors import InvalidConfiguration
from streamnorm.settings import Settings
from streamnorm.warmup import Warmup

if TYPE_CHECKING:
    import socket

log = logging.getLogger(__name__)

#: Seconds that open requests have to finish on shutdown; the rest of five seconds is for the final commit.
GRACE: Final = 3
#: Seconds that live connections have to send the reason of their end before uvicorn closes them.
GOODBYE: Final = 0.2
#: Seconds that threads have to finish after everything is saved.
THREADS_GRACE: Final = 0.5


class Server(uvicorn.Server):
    """Serves until it is stopped; then calls `drain` before it waits for open requests.

    `warmup` compiles kernels in the background; stalled connections are closed after `idle_timeout` seconds. `config`
    is uvicorn's.
    """

    def __init__(self, config: uvicorn.Config, warmup: Warmup, drain: Callable[[], None], idle_timeout: float) -> None:
        super().__init__(config)
        self._warmup = warmup
        self._drain = drain
        self._idle_timeout = idle_timeout
        #: connections stalled by the client, and since when
        self._waiting: dict[Any, float] = {}

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until stopped, without waiting for worker threads afterwards: nothing awaits their results."""
        executor = ThreadPoolExecutor(thread_name_prefix="streamnorm")
        asyncio.get_running_loop().set_default_executor(executor)
        try:
            await super().serve(sockets)
        finally:
            self._leave(executor)

    def _leave(self, executor: ThreadPoolExecutor) -> None:
        """Exit immediately if threads are still running: Python would wait for them indefinitely."""
        last = threading.Thread(target=executor.shutdown, kwargs={"cancel_futures": True}, daemon=True)
        last.start()
        last.join(THREADS_GRACE)
        if last.is_alive() or self._warmup.busy:
            logging.shutdown()
            sys.stdout.flush()
            os._exit(0 if self.stopped_cleanly else 1)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start serving, while the kernels are compiled or loaded in the background."""
        self._warmup.start()
        await super().startup(sockets)
        gc.freeze()  # what was imported is not looked at again

    def each_second(self) -> None:
        """Check the connections."""
        self.close_stalled(time.monotonic())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End live connections first, because uvicorn waits for them; then shut down."""
        log.info("stopping")
        self._drain()
        await self._warmup.stop()
        await asyncio.sleep(GOODBYE)
        for connection in self.open_connections:
            if isinstance(connection, WebSockets) and connection.stalled:
                connection.transport.abort()  # the client would not read a close frame
        await super().shutdown(sockets)

    def close_stalled(self, now: float) -> None:
        """Abort the connections that have been stalled for longer than the idle timeout; `now` is monotonic (s)."""
        before, self._waiting = self._waiting, {}
        for connection in self.open_connections:
            if connection.stalled:
                since = self._waiting[connection] = before.get(connection, now)
                if now - since > self._idle_timeout:
                    connection.transport.abort()


def configuration(app: ASGIApp, at_once: InlineResponder, settings: Settings) -> uvicorn.Config:
    """Return uvicorn's loaded configuration for an `app` with `settings`, and the fast path `at_once`.

    Raises:
        InvalidConfiguration: the TLS certificate cannot be used.

    """
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        # uvloop does not report a socket reset by its peer, and an MQTT connection would then hang for many seconds
        loop="asyncio" if settings.mqtt else "auto",
        http=protocol_class(at_once, settings.max_head_bytes),
        ws=WebSockets,
        ws_max_size=2 * settings.max_reading_bytes,  # larger messages up to this get a problem instead of a close
        ws_per_message_deflate=False,  # compressing a reading costs more than normalizing it
        proxy_headers=False,  # handled by the application, behind the fast path
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
