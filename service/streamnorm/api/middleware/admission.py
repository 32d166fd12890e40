"""ASGI middleware that every request and WebSocket passes: authorization, limits, timeouts, request ids, metrics.

It authorizes the caller (`streamnorm.api.middleware.authorization`), limits the requests in progress and the memory of
their bodies, times out slow senders, and adds the request id and the security headers to every response. The fast path
passes through it, too, so it must be cheap.
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

from starlette.types import ASGIApp, Receive, Scope, Send

from streamnorm.api.http import problems
from streamnorm.api.http.metrics import Metrics
from streamnorm.api.http.request_state import NOSNIFF, BodyMemoryBudget, RequestState
from streamnorm.api.middleware.authorization import Authorizer, Headers
from streamnorm.errors import Forbidden, Overloaded, StoreError, StreamnormError, TooManyRequests, Unauthorized
from streamnorm.logs import request_id

log = logging.getLogger(__name__)

#: Seconds between checks for slow requests.
TIMEOUT_CHECK_INTERVAL = 0.5
#: Seconds between checks that open connections are still authorized; with the keys' own interval, less than half a
#: second in all.
REVISE_EVERY = 0.1
EVENTS: Final = "/v1/events"
_ID = re.compile(rb"[\x21-\x7e]{1,128}")


class RequestIds:
    """Assigns request ids: the caller's X-Request-ID if it is valid, otherwise a sequential one."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._process = secrets.token_hex(4).encode()

    def of(self, headers: Headers) -> bytes:
        """Return the id of a request with these headers."""
        supplied = headers.get(b"x-request-id")
        if supplied is not None and _ID.fullmatch(supplied):
            return supplied
        return b"%s-%x" % (self._process, next(self._numbers))


@dataclass(frozen=True)
class AdmissionLimits:
    """The admission limits; see the settings of the same names."""

    max_requests: int
    max_requests_per_client: int
    max_live: int
    max_pending_bytes: int
    body_timeout: float
    body_rate: float


class AdmissionMiddleware:
    """ASGI middleware in front of `app`: authorization, concurrency limits, request ids, metrics.

    `access` authorizes calls, `names` assigns request ids, `capacity` holds the limits, `metrics` counts.
    """

    def __init__(
        self, app: ASGIApp, access: Authorizer, names: RequestIds, capacity: AdmissionLimits, metrics: Metrics
    ) -> None:
        self._app = app
        self._access = access
        self._capacity = capacity
        self._metrics = metrics
        #: requests in progress, and live connections, each with what its authorization was based on
        self._open: dict[RequestState, tuple[Scope, Headers]] = {}
        self._live: dict[RequestState, tuple[Scope, Headers]] = {}
        self._clients: dict[str, int] = {}
        self._pending = BodyMemoryBudget(capacity.max_pending_bytes)
        self._names = names

    @property
    def open_requests(self) -> int:
        """How many requests are being worked on."""
        return len(self._open)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit a request, or reject it."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(scope, receive, send)
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
            await self._handle(exchange, scope, headers)
        finally:
            seconds = perf_counter() - exchange.began
            self._release(exchange)
            # else the scope, the body in it, and the server's channels would refer to each other until collected
            del scope["exchange"]
            scope.pop("payload", None)
            if not exchange.live:
                self._metrics.latencies.add(path, seconds)
            if log.isEnabledFor(logging.DEBUG):
                self._log_request(scope, exchange, seconds)
            request_id.reset(token)

    async def _handle(self, exchange: RequestState, scope: Scope, headers: Headers) -> None:
        path: str = scope["path"]
        try:
            scope["caller"] = exchange.caller = self._access.authorize(scope, headers)
            if path not in problems.PROBES:
                self._admit(exchange, scope, headers, live=scope["type"] == "websocket" or path == EVENTS)
            await self._app(scope, exchange.receive, exchange.send)
        except (StreamnormError, problems.HTTPProblem) as error:
            await self._refuse(error, scope, exchange)
        except asyncio.CancelledError:
            if not exchange.late:
                raise
            exchange.task.uncancel()
            timeout = problems.HTTPProblem(
                "request-timeout", "the body did not arrive in time (body_timeout, body_rate)"
            )
            await self._refuse(timeout, scope, exchange)
        except Exception as error:  # a defect of ours; the application has already answered its own
            if exchange.status or scope["type"] != "http":
                raise
            log.exception("%s %s failed", scope["method"], path)
            await problems.problem_response(problems.of_failure(error))(scope, exchange.receive, exchange.send)

    def _admit(self, exchange: RequestState, scope: Scope, headers: Headers, *, live: bool) -> None:
        capacity = self._capacity
        if live:
            if len(self._live) >= capacity.max_live:
                raise Overloaded(f"{len(self._live)} live connections are open, the limit (max_live)")
            self._live[exchange] = scope, headers
            exchange.live = True
            return
        if len(self._open) >= capacity.max_requests:
            raise Overloaded(f"{len(self._open)} requests are in progress, the limit (max_requests)")
        key = exchange.caller.id if exchange.caller else ""
        client = key or (scope["client"][0] if scope.get("client") else "-")
        count = self._clients.get(client, 0)
        if count >= capacity.max_requests_per_client:
            raise TooManyRequests(
                f"{count} requests of this caller are in progress, the limit (max_requests_per_client)"
            )
        self._clients[client] = count + 1
        exchange.client = client
        self._open[exchange] = scope, headers

    def _release(self, exchange: RequestState) -> None:
        exchange.end()
        if exchange.live:
            del self._live[exchange]
        elif exchange.client:
            del self._open[exchange]
            left = self._clients[exchange.client] - 1
            if left:
                self._clients[exchange.client] = left
            else:
                del self._clients[exchange.client]

    async def _refuse(
        self, error: StreamnormError | problems.HTTPProblem, scope: Scope, exchange: RequestState
    ) -> None:
        kind, body = problems.to_problem(error)
        self._metrics.refused(kind.slug, f"{scope['path']}: {body['detail']}")
        await problems.deny(body, scope, exchange.receive, exchange.send)

    async def _run_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        watches = [
            asyncio.create_task(watch(), name="streamnorm guard") for watch in (self._enforce_timeouts, self._revise)
        ]
        try:
            await self._app(scope, receive, send)
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    async def _enforce_timeouts(self) -> None:
        """Time out requests whose bodies arrive too slowly."""
        capacity = self._capacity
        while True:
            await asyncio.sleep(TIMEOUT_CHECK_INTERVAL)
            now = perf_counter()
            for exchange in list(self._open):
                due = exchange.began + capacity.body_timeout + exchange.arrived / capacity.body_rate
                if exchange.receiving and now > due:
                    exchange.time_out()

    async def _revise(self) -> None:
        """End the open requests of callers who are no longer authorized."""
        decided = None
        while True:
            await asyncio.sleep(REVISE_EVERY)
            with contextlib.suppress(StoreError):  # while keys cannot be read, earlier decisions stay valid
                if (version := self._access.version) is not decided:
                    for exchange, basis in [*self._live.items(), *self._open.items()]:
                        self._revise_one(exchange, *basis)
                    decided = version

    def _revise_one(self, exchange: RequestState, scope: Scope, headers: Headers) -> None:
        try:
            self._access.revised(scope, headers)
        except (Unauthorized, Forbidden) as error:
            self._metrics.refused(problems.to_problem(error)[0].slug, f"{scope['path']}: {error}")
            exchange.revoke(error)

    def _log_request(self, scope: Scope, exchange: RequestState, seconds: float) -> None:
        fields: dict[str, Any] = {
            "method": scope.get("method", "WEBSOCKET"),
            "path": scope["path"],
            "status": exchange.status,
            "milliseconds": round(seconds * 1e3, 3),
        }
        if exchange.caller is not None and exchange.caller.id:
            fields["key"] = exchange.caller.id
        log.debug("%(method)s %(path)s: %(status)s, %(milliseconds)s ms", fields, extra=fields)
