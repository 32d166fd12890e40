"""The guard: an ASGI application in front of all others, which every request and WebSocket passes.

It knows who calls and what they may (`streamnorm.api.access`), how much is being worked on, and who is too slow; it
gives every answer its request id and its security headers, and measures it. Being in front of the hot path too, it
does little, and nothing twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import re
import secrets
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

from fastapi import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from streamnorm.api import problems
from streamnorm.api.access import PROBES, Access, Headers
from streamnorm.api.exchange import Exchange, Pending
from streamnorm.api.metrics import Metrics
from streamnorm.errors import Overloaded, StreamnormError, TooManyRequests
from streamnorm.logs import request_id

log = logging.getLogger(__name__)

#: Seconds between two looks for slow requests.
LOOK_EVERY = 0.5
EVENTS: Final = "/v1/events"
#: Who calls over a socket without addresses.
NOBODY: Final = ("nobody", 0)
_ID = re.compile(rb"[\x21-\x7e]{1,128}")


@dataclass(frozen=True)
class Capacity:
    """How much may be worked on at once; see the settings of the same names."""

    max_requests: int
    max_requests_per_client: int
    max_live: int
    max_pending_bytes: int
    body_timeout: float
    body_rate: float


class Guard:
    """Stands in front of `app`."""

    def __init__(self, app: ASGIApp, access: Access, capacity: Capacity, metrics: Metrics) -> None:
        self._app = app
        self._access = access
        self._capacity = capacity
        self._metrics = metrics
        self._open: set[Exchange] = set()
        self._live = 0
        self._clients: dict[str, int] = {}
        self._pending = Pending(capacity.max_pending_bytes)
        self._numbers = itertools.count()
        self._name = secrets.token_hex(4).encode()
        metrics.open = lambda: len(self._open)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] == "lifespan":
            await self._live_through(scope, receive, send)
            return
        headers: Headers = dict(scope["headers"])
        path: str = scope["path"]
        exchange = Exchange(receive, send, self._pending, self._named(headers))
        exchange.page = not path.startswith("/v1/")
        request_id.set(exchange.id)
        scope["exchange"] = exchange
        try:
            scope["caller"] = exchange.caller = caller = self._access.caller(scope, headers)
            if path == EVENTS or scope["type"] == "websocket":
                self._enter_live(exchange)
            elif path not in PROBES:
                self._enter(exchange, caller.id or (scope["client"] or NOBODY)[0])
            await self._app(scope, exchange.receive, exchange.send)
        except (StreamnormError, problems.Refused) as error:
            await self._refuse(error, scope, exchange)
        except asyncio.CancelledError:
            if not exchange.late:
                raise
            exchange.task.uncancel()
            late = problems.Refused("request-timeout", "the body did not arrive in time (body_timeout, body_rate)")
            await self._refuse(late, scope, exchange)
        finally:
            self._leave(exchange, path)
            if log.isEnabledFor(logging.DEBUG):
                self._log(scope, exchange)

    def _named(self, headers: Headers) -> bytes:
        """Give the request its id: the caller's where there is a fit one."""
        given = headers.get(b"x-request-id")
        if given is not None and _ID.fullmatch(given):
            return given
        return b"%b-%x" % (self._name, next(self._numbers))

    def _enter_live(self, exchange: Exchange) -> None:
        if self._live >= self._capacity.max_live:
            raise Overloaded(f"{self._live} live connections are open, the limit (max_live)")
        self._live += 1
        exchange.live = True

    def _enter(self, exchange: Exchange, client: str) -> None:
        among, count = self._open, self._clients.get(client, 0)
        if len(among) >= self._capacity.max_requests:
            raise Overloaded(f"{len(among)} requests are being worked on, the limit (max_requests)")
        if count >= self._capacity.max_requests_per_client:
            raise TooManyRequests(
                f"{count} requests of this caller are being worked on, the limit (max_requests_per_client)"
            )
        self._clients[client] = count + 1
        exchange.client = client
        among.add(exchange)

    def _leave(self, exchange: Exchange, path: str) -> None:
        if exchange.held:
            exchange.end()
        if exchange.live:
            self._live -= 1
            return
        self._metrics.latencies.add(path, perf_counter() - exchange.began)
        client = exchange.client
        if client is not None:
            self._open.discard(exchange)
            count = self._clients[client]
            if count > 1:
                self._clients[client] = count - 1
            else:
                del self._clients[client]

    async def _refuse(self, error: StreamnormError | problems.Refused, scope: Scope, exchange: Exchange) -> None:
        kind, body = problems.of(error)
        self._metrics.refused(kind.slug)
        response: Response | None = problems.answer(body)
        if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            response = None
        if response is None:
            await exchange.send({"type": "websocket.close", "code": 1008, "reason": kind.slug})
        else:
            await response(scope, exchange.receive, exchange.send)

    async def _live_through(self, scope: Scope, receive: Receive, send: Send) -> None:
        watch = asyncio.create_task(self._watch(), name="streamnorm guard")
        try:
            await self._app(scope, receive, send)
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    async def _watch(self) -> None:
        """End requests whose bodies come too slowly."""
        capacity = self._capacity
        while True:
            await asyncio.sleep(LOOK_EVERY)
            now = perf_counter()
            for exchange in list(self._open):
                due = exchange.began + capacity.body_timeout + exchange.arrived / capacity.body_rate
                if exchange.receiving and now > due:
                    exchange.cut_off()

    def _log(self, scope: Scope, exchange: Exchange) -> None:
        told: dict[str, Any] = {
            "method": scope.get("method", "WEBSOCKET"),
            "path": scope["path"],
            "status": exchange.status,
            "milliseconds": round((perf_counter() - exchange.began) * 1e3, 3),
        }
        if exchange.caller is not None and exchange.caller.id:
            told["key"] = exchange.caller.id
        log.debug("%(method)s %(path)s: %(status)s, %(milliseconds)s ms", told, extra=told)
