"""The inline fast path: a usual reading, answered before there is an ASGI request.

A task, a scope and messages cost more than all that a reading needs, and so does the admission middleware. What is
usual (a resident stream, a JSON object of numbers that arrived in one piece, no query, a key that was authorized
before) is answered here; everything else, errors included, is passed on. All paths ask the same `Authorizer`, call the
same `IngestService` and count in the same `Metrics`, so they answer alike; a test sends the same requests down each.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from time import perf_counter

import orjson

from streamnorm.api.codecs import serialize
from streamnorm.api.codecs.json_readings import parse_simple_reading
from streamnorm.api.fastpath.asgi import PREFIX, SUFFIX
from streamnorm.api.http import negotiation, problems
from streamnorm.api.http.body import LARGE
from streamnorm.api.http.metrics import Metrics
from streamnorm.api.middleware.admission import RequestIds
from streamnorm.api.middleware.authorization import Authorizer
from streamnorm.errors import StreamnormError
from streamnorm.ingest import IngestService

log = logging.getLogger(__name__)

START, END = PREFIX.encode(), SUFFIX.encode()
JSON = negotiation.JSON.encode()
#: The status, the headers that the server gives every answer, and this one's.
ANSWER = (
    b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\ncontent-type: %b\r\n"
    b"x-content-type-options: nosniff\r\nx-request-id: %b\r\n\r\n%b"
)
#: What was refused before there was a request: the connection is of no more use.
REFUSAL = (
    b"HTTP/1.1 %d %b\r\n%bcontent-length: %d\r\ncontent-type: %b\r\n"
    b"x-content-type-options: nosniff\r\nx-request-id: %b\r\nconnection: close\r\n\r\n%b"
)
OK, FAILED = (b"200 OK", JSON), (b"500 Internal Server Error", problems.MEDIA_TYPE.encode())
_FIRST, _LAST = len(START), -len(END)


class InlineResponder:
    """Answers usual readings."""

    def __init__(
        self, access: Authorizer, names: RequestIds, service: IngestService, metrics: Metrics, max_reading_bytes: int
    ) -> None:
        self._access = access
        self._names = names
        self._service = service
        self._latency = metrics.latencies.of("readings")
        self._max_reading_bytes = min(max_reading_bytes, LARGE)
        self._refused = metrics.refused

    def refusal(self, error: problems.HTTPProblem, given: bytes) -> bytes:
        """Return all that goes over the wire where a request is refused before there is one, and count it."""
        kind, problem = problems.to_problem(error)
        self._refused(kind.slug)
        told, phrase = orjson.dumps(problem), HTTPStatus(kind.status).phrase.encode()
        return REFUSAL % (kind.status, phrase, given, len(told), FAILED[1], self._names.of({}), told)

    def answer(self, url: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes, given: bytes) -> bytes | None:
        """Answer a POST with all that goes over the wire; where there is None, nothing has happened.

        `given` are the headers that the server gives every answer.
        """
        began = perf_counter()
        if not url.startswith(START) or len(body) > self._max_reading_bytes or log.isEnabledFor(logging.DEBUG):
            return None  # the guard notes every request in the log
        named = dict(headers)
        if len(named) != len(headers) or b"host" not in named or b"transfer-encoding" in named:
            return None  # the protocol looks closer
        stream_id = url[_FIRST:_LAST].decode("latin-1")  # an id that is not fit is of no stream in memory
        if (
            named.get(b"content-type") != JSON
            or b"content-encoding" in named
            or b"origin" in named  # other sites' pages get headers of their own
            or not self._access.is_preauthorized(named, stream_id, began)
        ):
            return None
        try:
            reading = parse_simple_reading(orjson.loads(body))
            answer = None if reading is None else self._service.try_observe_inline(stream_id, reading)
            if reading is None or answer is None:
                return None
            (status, media), told = OK, orjson.dumps(serialize.reading_to_json(stream_id, reading, answer))
        except (orjson.JSONDecodeError, StreamnormError):
            return None  # the route tells what is wrong
        except Exception:  # a defect of ours; nobody may try again what may have happened
            log.exception("POST %s failed", url.decode("latin-1"))
            (status, media), told = FAILED, orjson.dumps(problems.FAILED)
        whole = ANSWER % (status, given, len(told), media, self._names.of(named), told)
        self._latency.add(perf_counter() - began)
        return whole
