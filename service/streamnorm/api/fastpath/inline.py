"""The inline fast path: a simple reading is answered before there is an ASGI request.

A task, a scope and messages cost more than observing a reading, and so does the admission middleware. Simple requests
(a reading as JSON that arrived in one piece, no query, a preauthorized key, nothing to wait for) are answered here;
anything else, errors included, is passed on. All paths use the same `Authorizer`, `IngestService` and `Metrics`, so
they answer alike; a test sends the same requests through each of them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from time import perf_counter
from typing import TypeAlias
from urllib.parse import unquote

import orjson

from streamnorm.api.codecs import serialize
from streamnorm.api.codecs.json.readings import parse_simple_reading
from streamnorm.api.fastpath.asgi import LONGEST, PREFIX, SUFFIX
from streamnorm.api.http import negotiation, problems
from streamnorm.api.http.metrics import Metrics
from streamnorm.api.http.responses import dumps
from streamnorm.api.middleware.admission import RequestIds
from streamnorm.api.middleware.authorization import Authorizer, Headers
from streamnorm.engine.names import is_stream_id
from streamnorm.errors import StreamnormError
from streamnorm.ingest import IngestService

log = logging.getLogger(__name__)

START, END = PREFIX.encode(), SUFFIX.encode()
JSON = negotiation.JSON.encode()
#: The status line, the server's default headers, and those of the response.
ANSWER = (
    b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\ncontent-type: %b\r\n"
    b"x-content-type-options: nosniff\r\nx-request-id: %b\r\n\r\n%b"
)
#: The response to a request that cannot be parsed; the connection is closed.
REFUSAL = (
    b"HTTP/1.1 %d %b\r\n%bcontent-length: %d\r\ncontent-type: %b\r\n"
    b"x-content-type-options: nosniff\r\nx-request-id: %b\r\nconnection: close\r\n\r\n%b"
)
OK, PROBLEM = b"200 OK", problems.MEDIA_TYPE.encode()
#: The headers that decide about authorization and the request id.
KEPT = (b"host", b"authorization", b"x-request-id")
_FIRST, _LAST = len(START), -len(END)


#: What the fast path needs of a request's head: the stream's id, and the headers.
Admitted: TypeAlias = tuple[str, Headers]


def kept(admitted: Admitted) -> Admitted:
    """Return what is kept of an admitted head: only those headers that are looked at with every request."""
    stream_id, named = admitted
    return stream_id, {name: named[name] for name in KEPT if name in named}


class InlineResponder:
    """Answers simple readings of at most `max_reading_bytes`.

    `access` decides which calls are authorized, `names` assigns request ids, `service` observes the readings, and
    `metrics` records latencies and rejections.
    """

    def __init__(
        self, access: Authorizer, names: RequestIds, service: IngestService, metrics: Metrics, max_reading_bytes: int
    ) -> None:
        self._access = access
        self._names = names
        self._service = service
        self._latency = metrics.latencies.of("readings")
        self._max_reading_bytes = min(max_reading_bytes, LONGEST)
        self._refused = metrics.refused

    def refusal(self, error: problems.HTTPProblem, given: bytes) -> bytes:
        """Return the complete response to a request that was rejected before parsing, and count it.

        `given` are the server's default headers.
        """
        kind, problem = problems.to_problem(error)
        self._refused(kind.slug, problem["detail"])
        payload, phrase = orjson.dumps(problem), HTTPStatus(kind.status).phrase.encode()
        return REFUSAL % (kind.status, phrase, given, len(payload), PROBLEM, self._names.of({}), payload)

    def admit(self, url: bytes, headers: Sequence[tuple[bytes, bytes]], began: float) -> Admitted | None:
        """Return what the fast path needs of a POST's head, or None if it cannot answer the request.

        `url` is the request target, `headers` are the request's; `began` is the time of `perf_counter`.
        """
        if not url.startswith(START):
            return None
        named = dict(headers)
        if len(named) != len(headers) or b"host" not in named or b"transfer-encoding" in named:
            return None  # the protocol class checks these
        stream_id = decoded_stream_id(url)
        if (
            not is_stream_id(stream_id)
            or negotiation.essence(named.get(b"content-type", JSON).decode("latin-1")) != negotiation.JSON
            or b"content-encoding" in named
            or b"origin" in named  # cross-origin requests need CORS headers
            or not self._access.is_preauthorized(named, stream_id, began)
        ):
            return None
        return stream_id, named

    def answer_again(self, admitted: Admitted, body: bytes, given: bytes, began: float) -> bytes | None:
        """Return what `answer` does for a head that was `admitted` before, if it is still authorized.

        `body`, `given` and `began` are those of `answer`.
        """
        stream_id, named = admitted
        if not self._access.is_preauthorized(named, stream_id, began):
            return None
        return self.answer(admitted, body, given, began)

    def answer(self, admitted: Admitted, body: bytes, given: bytes, began: float) -> bytes | None:
        """Return the complete response to a request, or None, without side effects, if the fast path cannot answer it.

        Its head was `admitted` just now, `body` is the request's, `given` are the server's default headers, `began` is
        the time of `perf_counter`.
        """
        stream_id, named = admitted
        stream = self._service.streams.get_for_inline_update(stream_id)
        if (
            stream is None  # looked for before the body is parsed, since it would be parsed again
            or len(body) > self._max_reading_bytes
            or log.isEnabledFor(logging.DEBUG)  # the admission middleware logs every request
        ):
            return None
        try:
            reading = parse_simple_reading(orjson.loads(body), self._service.limits)
            if reading is None:
                return None
            answer = self._service.observe_inline(stream_id, stream, reading)
            status, media, payload = OK, JSON, dumps(serialize.reading_to_json(stream_id, reading, answer))
        except (orjson.JSONDecodeError, StreamnormError):
            return None  # the route reports the error
        except Exception as error:  # a defect of ours; a retry on the route might observe the reading twice
            log.exception("POST %s%s%s failed", PREFIX, stream_id, SUFFIX)
            problem = problems.of_failure(error)
            status, media, payload = failed_line(problem["status"]), PROBLEM, orjson.dumps(problem)
        response = ANSWER % (status, given, len(payload), media, self._names.of(named), payload)
        self._latency.add(perf_counter() - began)
        return response


def failed_line(status: int) -> bytes:
    r"""Return the status line of a failure, and the headers that go with it.

    >>> failed_line(503)
    b'503 Service Unavailable\r\nRetry-After: 1'
    """
    headers = problems.HEADERS.get(status, {})
    lines = [f"{status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode()


def decoded_stream_id(url: bytes) -> str:
    """Return the stream's id in a percent-encoded request target, decoded as the server decodes paths.

    >>> decoded_stream_id(b"/v1/streams/%E5%AE%A2%E5%8E%85/readings")
    '客厅'
    """
    if b"?" in url or b"#" in url or not url.isascii():
        return ""
    stream_id = url[_FIRST:_LAST].decode()
    return unquote(stream_id) if "%" in stream_id else stream_id
