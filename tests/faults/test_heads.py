"""All that is no body is bounded, and what two parsers may read differently is refused."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress

import httpx
import pytest

from tests.faults.wire import BODY, POST, resident, status, told
from tests.support.processes import PATIENCE, Service

MEGABYTE = 1024 * 1024
END = b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n%b\r\n" % (len(BODY), BODY)
NO_HOST = POST.replace(b"Host: localhost\r\n", b"")


def count(service: Service) -> int:
    """Return how many readings the stream has had."""
    return int(httpx.get(f"{service.url}/v1/streams/boiler-7").json().get("count", 0))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (NO_HOST + END, 400),
        (POST + b"Host: localhost\r\n" + END, 400),
        (POST + b"host: elsewhere.test\r\n" + END, 400),
        (NO_HOST.replace(b"/readings", b"/readings?stats=true") + END, 400),
        (POST + b"X-A: 1\r\n folded\r\n" + END, 400),
        (POST + b"X-A : 1\r\n" + END, 400),
        (POST + b"Content-Length: 21\r\n" + END, 400),
        (POST + b"Content-Length: 21\r\n" + CHUNKED + CHUNK + b"0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n" + END, 400),
        (POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNK + b"0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNK + b"0\r\n\r\n", 501),
        (POST + b"X-A: a\x00b\r\n" + END, 400),
        (POST + CHUNKED + b"-1\r\n" + BODY, 400),
        (POST + b"a: b\r\n" * 200 + END, 431),
        (POST + b"X-A: %b\r\n" % (b"x" * 70_000) + END, 431),
        (POST + b"a: b\r\n" * 40_000, 431),
        (b"GET /healthz?%b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % (b"x" * 70_000), 414),
        (POST.replace(b"boiler-7", b"x" * 300_000), 431),
        (POST + CHUNKED + b"%x;%b\r\n" % (len(BODY), b"x" * 200_000), 431),
        (POST + CHUNKED + (b"1;%b\r\n{\r\n" % (b"x" * 30_000)) * 20, 431),
        (POST + CHUNKED + CHUNK + b"0\r\n" + b"a: b\r\n" * 100_000, 431),
        (POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 21\r\n\r\n" + BODY, 400),
    ],
    ids=[
        "no host", "two hosts", "two different hosts", "no host on the longer way", "a folded line",
        "a space before the colon", "two lengths", "a length and chunks", "chunks and a length",
        "an unknown coding", "gzip as a transfer coding", "a NUL", "a negative chunk", "200 headers", "a long header",
        "headers without end", "a long query", "an address without end", "a long extension", "many long extensions",
        "trailers without end", "a body behind an upgrade",
    ],
)  # fmt: skip
def test_what_is_no_proper_head_is_refused_with_a_problem(service: Service, request_: bytes, expected: int) -> None:
    before = count(service)
    answer = told(service, request_)
    assert status(answer) == expected
    assert b"\r\ncontent-type: application/problem+json\r\n" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == expected
    assert count(service) == before
    assert "Traceback" not in service.log.read_text()


def test_a_request_of_http_1_0_needs_no_host(service: Service) -> None:
    assert status(told(service, NO_HOST.replace(b"1.1", b"1.0") + END)) == 200


def test_small_chunks_are_no_offence(service: Service) -> None:
    long = BODY[:-1] + b" " * 100_000 + b"}"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in long)
    answer = told(service, POST + b"Connection: close\r\n" + CHUNKED + chunks + b"0\r\n\r\n")
    assert status(answer) == 200


@pytest.mark.parametrize("query", [b"", b"?stats=true"])
@pytest.mark.parametrize("trailer", [b"Origin: http://elsewhere.test", b"Content-Encoding: gzip", b"Host: b"])
def test_a_trailer_is_no_header(service: Service, query: bytes, trailer: bytes) -> None:
    head = POST.replace(b"/readings", b"/readings" + query) + b"Connection: close\r\n"
    answer = told(service, head + CHUNKED + CHUNK + b"0\r\n" + trailer + b"\r\n\r\n")
    assert (status(answer), answer.count(b"HTTP/1.1 ")) == (200, 1)


def test_a_key_in_a_trailer_opens_nothing(service: Service) -> None:
    elsewhere = POST.replace(b"Host: localhost", b"Host: elsewhere.test") + b"Connection: close\r\n" + CHUNKED
    assert status(told(service, elsewhere + CHUNK + b"0\r\nHost: localhost\r\n\r\n")) == 403


def test_trailers_after_a_refusal_fill_no_memory(service: Service) -> None:
    head = b"POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    before, sent = resident(service), 0
    with socket.create_connection(("127.0.0.1", service.port), PATIENCE) as connection, suppress(ConnectionError):
        connection.sendall(head)
        while sent < 64 * MEGABYTE:
            sent += connection.send(b"a:b\r\n" * 12_000)
    assert sent < 64 * MEGABYTE
    assert resident(service) - before < 16 * MEGABYTE


def test_nothing_behind_a_refused_request_is_looked_at(service: Service) -> None:
    before = count(service)
    answer = told(service, NO_HOST + b"Content-Length: 21\r\n\r\n" + BODY + POST + END)
    assert answer.count(b"HTTP/1.1 4") == 1
    assert count(service) == before


def test_a_request_behind_an_unanswered_one_does_not_speak_into_its_answer(service: Service) -> None:
    slow = b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), PATIENCE) as connection:
        connection.sendall(slow)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")
        connection.sendall(NO_HOST + END)
        rest = b""
        deadline = time.monotonic() + PATIENCE
        while (part := connection.recv(65536)) and time.monotonic() < deadline:
            rest += part
    assert b"HTTP/1.1" not in rest
