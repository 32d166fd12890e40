"""The short way of calls: connections that are kept, closed under it, cut, or answered early."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx
import pytest

from streamnorm_client import AsyncClient, Client, ConnectionFailed, Response, UnexpectedAnswer
from streamnorm_client._calls.call import Call
from streamnorm_client._http.http1 import KEEP_IDLE, PooledConnection
from streamnorm_client._http.http1_pool import Http1
from tests.support.processes import PATIENCE

HEALTHY = b'{"status":"ok"}'
PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(HEALTHY), HEALTHY)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n%b\r\n7\r\n%b\r\n0\r\n\r\n" % (
    HEALTHY[:8],
    HEALTHY[8:],
)
TO_THE_END = b"HTTP/1.0 200 OK\r\n\r\n" + HEALTHY
WITH_HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + PLAIN


@contextmanager
def answering(answers: Sequence[bytes], *, keep: bool) -> Iterator[tuple[str, list[int]]]:
    """Play a service; returns its address, and how many requests came over each connection."""
    counts: list[int] = []
    rest = iter(answers)

    def talk() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            counts.append(0)
            with connection:
                while connection.recv(65536):
                    counts[-1] += 1
                    connection.sendall(next(rest))
                    if not keep:
                        break

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=talk)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", counts
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize("answer", [PLAIN, CHUNKED, WITH_HINTS], ids=["plain", "chunked", "hints"])
def test_a_connection_is_kept_between_calls(answer: bytes) -> None:
    with answering([answer] * 3, keep=True) as (url, counts), Client(url) as client:
        for _ in range(3):
            assert client.health().status == "ok"
    assert counts == [3]


@pytest.mark.parametrize("answer", [PLAIN, TO_THE_END], ids=["plain", "to the end"])
def test_a_connection_that_the_service_closed_is_not_used_again(answer: bytes) -> None:
    with answering([answer] * 3, keep=False) as (url, counts), Client(url, retries=3) as client:
        for _ in range(3):
            assert client.health().status == "ok"
    assert [count for count in counts if count] == [1, 1, 1]


def test_a_connection_is_stale_once_the_service_closed_it_or_it_was_idle_for_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stream = httpcore.SyncBackend().connect_tcp(*listening.getsockname())
        accepted, _ = listening.accept()
        kept = PooledConnection(stream)
        kept.idle_since = time.monotonic()
        before = kept.is_stale
        kept.idle_since -= KEEP_IDLE
        idle = kept.is_stale
        kept.idle_since = time.monotonic()
        accepted.close()
        select.select([stream.get_extra_info("socket")], [], [], PATIENCE)
        closed = kept.is_stale
        stream.close()
    assert (before, idle, closed) == (False, True, True)


async def test_with_asyncio_it_is_the_same() -> None:
    with answering([PLAIN, CHUNKED, WITH_HINTS], keep=True) as (url, counts):
        async with AsyncClient(url) as client:
            for _ in range(3):
                assert (await client.health()).status == "ok"
    assert counts == [3]


@pytest.mark.parametrize("answer", [b"", PLAIN[:-3], CHUNKED[:-9], PLAIN[:9]], ids=["none", "body", "chunk", "head"])
def test_an_answer_that_is_cut_is_none(answer: bytes) -> None:
    with (
        answering([answer], keep=False) as (url, _),
        Client(url, retries=0) as client,
        pytest.raises(ConnectionFailed) as cut,
    ):
        client.health()
    assert cut.value.maybe_applied


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nx" + b"x" * 200_000])
def test_what_is_no_http_is_told_as_such(answer: bytes) -> None:
    with (
        answering([answer], keep=False) as (url, _),
        Client(url, retries=0) as client,
        pytest.raises((ConnectionFailed, UnexpectedAnswer)),
    ):
        client.health()


def test_an_answer_to_a_body_that_was_not_read_is_taken() -> None:
    refusal = json.dumps({"type": "/problems/body-too-large", "detail": "too large"}).encode()
    answer = b"HTTP/1.1 413 Too Large\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (len(refusal), refusal)

    def refuse(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        connection.recv(1000)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
        connection.close()

    with served(refuse) as url, Client(url, retries=0) as client:
        response = recorded(client, lambda: client.bulk([{"stream": "a", "values": [0.5] * 200_000}]))
    assert response.status == 413


@contextmanager
def served(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def recorded(client: Client, call: Callable[[], object]) -> Response:
    """Return the response of a call that is refused."""
    with client.record_responses() as responses, pytest.raises(Exception, match="too large"):
        call()
    return responses[0]


def test_the_short_way_is_taken_where_nothing_stands_between(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    calls: list[str] = []
    send = Http1.send

    def watched(self: Http1, call: Call[Any], timeout: httpx.Timeout) -> Response:
        calls.append(call.path)
        return send(self, call, timeout)

    monkeypatch.setattr(Http1, "send", watched)
    with answering([PLAIN], keep=True) as (url, _), Client(url) as client:
        client.health()
    assert calls == ["/healthz"]
