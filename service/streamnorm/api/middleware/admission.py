"""ASGI middleware that every request and WebSocket passes: authorization, limits, timeouts, request ids, metrics.

It authorizes the caller (`streamnorm.api.middleware.authorization`), bounds the requests that are worked on and the
memory of their bodies, times out slow senders, and gives every answer its request id and its security headers. It is
in front of the fast path too, so it does little, and nothing twice.
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

from streamnorm.api.http import problems
from streamnorm.api.http.metrics import Metrics
from streamnorm.api.http.request_state import NOSNIFF, BodyMemoryBudget, RequestState
from streamnorm.api.middleware.authorization import PROBES, Authorizer, Headers
from streamnorm.errors import Overloaded, StreamnormError, TooManyRequests
from streamnorm.logs import request_id

log = logging.getLogger(__name__)

#: Seconds between two looks for slow requests.
TIMEOUT_CHECK_INTERVAL = 0.5
EVENTS: Final = "/v1/events"
_ID = re.compile(rb"[\x21-\x7e]{1,128}")


class RequestIds:
    """Names requests: as the caller does where that name is fit, else by a number."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._process = secrets.token_hex(4).encode()

    def of(self, headers: Headers) -> bytes:
        """Name a request."""
        given = headers.get(b"x-request-id")
        if given is not None and _ID.fullmatch(given):
            return given
        return b"%s-%x" % (self._process, next(self._numbers))


@dataclass(frozen=True)
class AdmissionLimits:
    """How much may be worked on at once; see the settings of the same names."""

    max_requests: int
    max_requests_per_client: int
    max_live: int
    max_pending_bytes: int
    body_timeout: float
    body_rate: float


class AdmissionMiddleware:
    """Stands in front of `app`."""

    def __init__(
        self, app: ASGIApp, access: Authorizer, names: RequestIds, capacity: AdmissionLimits, metrics: Metrics
    ) -> None:
        self._app = app
        self._access = access
        self._capacity = capacity
        self._metrics = metrics
        self._open: set[RequestState] = set()
        self._live = 0
        self._clients: dict[str, int] = {}
        self._pending = BodyMemoryBudget(capacity.max_pending_bytes)
        self._names = names
        metrics.open = lambda: len(self._open)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] == "lifespan":
            await self._handle_websocket(scope, receive, send)
            return
        exchange = RequestState(receive, send, self._pending, perf_counter())
        headers: Headers = dict(scope["headers"])
        path: str = scope["path"]
        name = self._names.of(headers)
        exchange.headers.append((b"x-request-id", name))
        token = request_id.set(name.decode())
        exchange.page = not path.startswith("/v1/")
        if not exchange.page:
            exchange.headers.append(NOSNIFF)
        scope["exchange"] = exchange
        try:
            await self._handle_http(exchange, scope, headers)
        finally:
            seconds = perf_counter() - exchange.began
            self._release(exchange)
            if not exchange.live:
                self._metrics.latencies.add(path, seconds)
            if log.isEnabledFor(logging.DEBUG):
                self._log_request(scope, exchange, seconds)
            request_id.reset(token)

    async def _handle_http(self, exchange: RequestState, scope: Scope, headers: Headers) -> None:
        path: str = scope["path"]
        try:
            scope["caller"] = exchange.caller = self._access.authorize(scope, headers)
            if path not in PROBES:
                self._admit(exchange, scope, live=scope["type"] == "websocket" or path == EVENTS)
            await self._app(scope, exchange.receive, exchange.send)
        except (StreamnormError, problems.HTTPProblem) as error:
            await self._refuse(error, scope, exchange)
        except asyncio.CancelledError:
            if not exchange.late:
                raise
            exchange.task.uncancel()
            late = problems.HTTPProblem("request-timeout", "the body did not arrive in time (body_timeout, body_rate)")
            await self._refuse(late, scope, exchange)
        except Exception:  # a defect of ours; one that was met in the application has its answer
            if exchange.status or scope["type"] != "http":
                raise
            log.exception("%s %s failed", scope["method"], path)
            await problems.problem_response(problems.FAILED)(scope, exchange.receive, exchange.send)

    def _admit(self, exchange: RequestState, scope: Scope, *, live: bool) -> None:
        capacity = self._capacity
        if live:
            if self._live >= capacity.max_live:
                raise Overloaded(f"{self._live} live connections are open, the limit (max_live)")
            self._live += 1
            exchange.live = True
            return
        if len(self._open) >= capacity.max_requests:
            raise Overloaded(f"{len(self._open)} requests are being worked on, the limit (max_requests)")
        key = exchange.caller.id if exchange.caller else ""
        client = key or (scope["client"][0] if scope.get("client") else "-")
        count = self._clients.get(client, 0)
        if count >= capacity.max_requests_per_client:
            raise TooManyRequests(
                f"{count} requests of this caller are being worked on, the limit (max_requests_per_client)"
            )
        self._clients[client] = count + 1
        exchange.client = client
        self._open.add(exchange)

    def _release(self, exchange: RequestState) -> None:
        exchange.end()
        if exchange.live:
            self._live -= 1
        elif exchange.client:
            self._open.discard(exchange)
            left = self._clients[exchange.client] - 1
            if left:
                self._clients[exchange.client] = left
            else:
                del self._clients[exchange.client]

    async def _refuse(
        self, error: StreamnormError | problems.HTTPProblem, scope: Scope, exchange: RequestState
    ) -> None:
        kind, body = problems.to_problem(error)
        self._metrics.refused(kind.slug)
        response: Response | None = problems.problem_response(body)
        if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            response = None
        if response is None:
            await exchange.send({"type": "websocket.close", "code": 1008, "reason": kind.slug})
        else:
            await response(scope, exchange.receive, exchange.send)

    async def _handle_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        watch = asyncio.create_task(self._enforce_timeouts(), name="streamnorm guard")
        try:
            await self._app(scope, receive, send)
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    async def _enforce_timeouts(self) -> None:
        """End requests whose bodies come too slowly."""
        capacity = self._capacity
        while True:
            await asyncio.sleep(TIMEOUT_CHECK_INTERVAL)
            now = perf_counter()
            for exchange in list(self._open):
                due = exchange.began + capacity.body_timeout + exchange.arrived / capacity.body_rate
                if exchange.receiving and now > due:
                    exchange.time_out()

    def _log_request(self, scope: Scope, exchange: RequestState, seconds: float) -> None:
        told: dict[str, Any] = {
            "method": scope.get("method", "WEBSOCKET"),
            "path": scope["path"],
            "status": exchange.status,
            "milliseconds": round(seconds * 1e3, 3),
        }
        if exchange.caller is not None and exchange.caller.id:
            told["key"] = exchange.caller.id
        log.debug("%(method)s %(path)s: %(status)s, %(milliseconds)s ms", told, extra=told)
