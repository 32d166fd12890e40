"""Errors as RFC 9457 problem details: one table from error classes to types, statuses and titles."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Self

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from streamnorm import errors
from streamnorm.engine.validation import to_faults

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
#: The paths of probes. They need no key, wait for nothing, and what they answer is never a refusal.
PROBES: Final = frozenset({"/healthz", "/readyz"})
#: Cap on reported errors, so that the response cannot exceed the request.
MAX_REPORTED_ERRORS = 50
LONGEST = 2000


class HTTPProblem(Exception):
    """A request that is rejected at the HTTP level, for its body, media type or parameters."""

    def __init__(self, slug: str, detail: str, faults: tuple[errors.Fault, ...] = ()) -> None:
        super().__init__(detail)
        self.slug = slug
        self.faults = faults

    @classmethod
    def of(cls, slug: str, faults: Sequence[errors.Fault]) -> Self:
        """Build a problem with several faults."""
        return cls(slug, "; ".join(f"{pointer}: {what}" for pointer, what in faults), tuple(faults))


class ProblemType(NamedTuple):
    """A problem type: its slug, HTTP status and title."""

    slug: str
    status: int
    title: str


INTERNAL = ProblemType("internal-error", 500, "The service failed")
KINDS = {
    kind.slug: kind
    for kind in (
        ProblemType("invalid-request", 422, "A parameter of the request is wrong"),
        ProblemType("malformed-request", 400, "The request is not HTTP"),
        ProblemType("malformed-json", 400, "The body is not the JSON it claims to be"),
        ProblemType("malformed-gzip", 400, "The body is not the gzip it claims to be"),
        ProblemType("request-timeout", 408, "The body did not arrive in time"),
        ProblemType("body-too-large", 413, "The body is larger than the limit"),
        ProblemType("uri-too-long", 414, "The request's address is longer than the limit"),
        ProblemType("unsupported-media-type", 415, "The body's media type is not one this call takes"),
        ProblemType("head-too-large", 431, "The request's head is larger than the limit"),
        ProblemType("not-implemented", 501, "The request needs what this service does not have"),
        ProblemType("not-acceptable", 406, "The answer cannot be given in a media type asked for"),
    )
}
TABLE: dict[type[errors.StreamnormError], ProblemType] = {
    errors.InvalidReading: ProblemType("invalid-reading", 422, "The reading cannot be understood"),
    errors.InvalidConfiguration: ProblemType("invalid-configuration", 422, "The configuration is wrong"),
    errors.InvalidSnapshot: ProblemType("invalid-snapshot", 422, "The snapshot cannot be restored"),
    errors.CannotInvert: ProblemType("cannot-invert", 422, "A value has no original"),
    errors.LimitExceeded: ProblemType("limit-exceeded", 422, "A limit is passed"),
    errors.TooManyStreams: ProblemType("too-many-streams", 429, "There is no room for another stream"),
    errors.StreamNotFound: ProblemType("stream-not-found", 404, "There is no such stream"),
    errors.MappingNotFound: ProblemType("mapping-not-found", 404, "There is no such mapping"),
    errors.StaleSequence: ProblemType("stale-sequence", 409, "The sequence number was applied before"),
    errors.CannotMerge: ProblemType("cannot-merge", 409, "The states cannot be merged"),
    errors.Unauthorized: ProblemType("unauthorized", 401, "A key is needed"),
    errors.Forbidden: ProblemType("forbidden", 403, "The caller may not do this"),
    errors.TooManyRequests: ProblemType("too-many-requests", 429, "One caller wants too much at once"),
    errors.Overloaded: ProblemType("overloaded", 503, "The service has too much to do"),
    errors.BridgeUnavailable: ProblemType("bridge-unavailable", 503, "Another way in or out does not work"),
    errors.NotReady: ProblemType("not-ready", 503, "The service is not ready yet"),
    errors.StoreError: ProblemType("store-unavailable", 503, "The state cannot be kept now"),
}


def problem(kind: ProblemType, detail: str, **members: Any) -> dict[str, Any]:
    """Return problem details of a `kind` with a `detail` and extension `members` as plain data."""
    return {"type": f"/problems/{kind.slug}", "title": kind.title, "status": kind.status, "detail": detail, **members}


def of_status(status: HTTPStatus) -> ProblemType:
    """Return the kind of problem that a status of HTTP tells by itself."""
    return ProblemType(status.phrase.lower().replace(" ", "-"), status, status.phrase.capitalize())


FAILED = problem(INTERNAL, "The log of the service has the details.")


def to_problem(error: errors.StreamnormError | HTTPProblem) -> tuple[ProblemType, dict[str, Any]]:
    """Return the problem type of an error and its problem details."""
    if isinstance(error, HTTPProblem):
        kind = KINDS[error.slug]
    else:
        kind = next(TABLE[base] for base in type(error).__mro__ if base in TABLE)
    members: dict[str, Any] = {}
    if isinstance(error, (errors.InvalidInput, HTTPProblem)) and error.faults:
        members["errors"] = [fault._asdict() for fault in error.faults[:MAX_REPORTED_ERRORS]]
    if isinstance(error, errors.StaleSequence):
        members["last_seq"] = error.last_seq
    if isinstance(error, errors.LimitExceeded):
        members["limit"] = error.limit
    detail = error.public if isinstance(error, errors.StoreError) else str(error)
    return kind, problem(kind, detail if len(detail) <= LONGEST else f"{detail[:LONGEST]}…", **members)


def of_failure(error: Exception) -> dict[str, Any]:
    """Return the problem of a request that failed by a defect, or for want of memory: then a retry may succeed."""
    if isinstance(error, MemoryError):
        return to_problem(errors.Overloaded("there is no memory left for the request"))[1]
    return FAILED


#: additional headers of responses, by status
HEADERS: dict[int, dict[str, str]] = {
    401: {"WWW-Authenticate": 'Bearer realm="streamnorm"'},
    408: {"Connection": "close"},
    429: {"Retry-After": "1"},
    503: {"Retry-After": "1"},
}


def problem_response(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    """Build the response with a problem."""
    return Response(orjson.dumps(body), body["status"], headers or HEADERS.get(body["status"]), MEDIA_TYPE)


async def deny(body: dict[str, Any], scope: Scope, receive: Receive, send: Send) -> None:
    """Send the problem `body` as the response to a request or a WebSocket handshake.

    `scope`, `receive` and `send` are those of the ASGI connection.
    """
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": body["title"]})
    else:
        await problem_response(body)(scope, receive, send)


def install(app: FastAPI) -> None:
    """Register the exception handlers, so that every error becomes a problem response."""

    def refused(request: Request, slug: str, detail: str) -> None:
        if request.scope["path"] in PROBES:
            return
        payload = request.scope.get("payload", b"")
        request.app.state.context.metrics.refused(slug, f"{request.method} {request.url.path}: {detail}", payload)

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, (errors.StreamnormError, HTTPProblem))  # noqa: S101 - registered for these
        kind, body = to_problem(error)
        refused(request, kind.slug, body["detail"])
        return problem_response(body)

    async def parameters(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return await known(request, HTTPProblem.of("invalid-request", to_faults(error.errors())))

    async def plain(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        kind = of_status(HTTPStatus(error.status_code))
        detail = f"{request.method} {request.url.path}: {error.detail}"
        refused(request, kind.slug, str(error.detail))
        return problem_response(problem(kind, detail), dict(error.headers or {}))

    async def gone(request: Request, _: Exception) -> Response:
        refused(request, "client-gone", "the connection ended before the request did")
        return Response(status_code=HTTPStatus.BAD_REQUEST)  # the client is gone

    async def unknown(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem_response(of_failure(error))

    app.add_exception_handler(errors.StreamnormError, known)
    app.add_exception_handler(HTTPProblem, known)
    app.add_exception_handler(RequestValidationError, parameters)
    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(Exception, unknown)
