"""A real service and clients that behave badly: they are told or cut off, and others are served meanwhile."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest

from tests.streaming.peers import Peer, frame, send_until_stuck
from tests.support.processes import PATIENCE, Service

PATH = "/v1/streams/boiler-7"
READING = b'{"values": {"temp": 21.4}}'


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a service with little patience."""
    little = {"BODY_TIMEOUT": "0.3", "IDLE_TIMEOUT": "0.3", "BODY_RATE": "1e6", "MAX_HEAD_BYTES": "10000"}
    settings = {f"STREAMNORM_{name}": value for name, value in little.items()}
    with Service(tmp_path_factory.mktemp("service"), **settings) as running:
        yield running


def sent(service: Service, data: bytes) -> socket.socket:
    """Open a connection and send bytes."""
    connection = socket.create_connection(("127.0.0.1", service.port), PATIENCE)
    connection.sendall(data)
    return connection


def head(path: str, length: int, *more: str) -> bytes:
    """Write the head of a POST."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", f"Content-Length: {length}"]
    return "\r\n".join([*lines, *more, "", ""]).encode()


def assert_served(service: Service) -> None:
    """Assert that a usual reading is answered."""
    response = httpx.post(
        f"{service.url}{PATH}/readings", content=READING, headers={"content-type": "application/json"}
    )
    assert response.status_code == 200


def read_to_end(connection: socket.socket) -> bytes:
    """Read until the service closes the connection."""
    data = b""
    try:
        while part := connection.recv(2**16):
            data += part
    except ConnectionResetError:
        pass
    return data


@pytest.mark.parametrize("begun", [b"", b"POST /v1/str", head(PATH, 10)[:-2]], ids=["nothing", "a line", "no end"])
def test_a_client_that_does_not_finish_its_head_is_cut_off(service: Service, begun: bytes) -> None:
    with sent(service, begun) as connection:
        assert_served(service)
        assert read_to_end(connection) == b""


def test_a_body_that_does_not_come_is_told_to_be_late(service: Service) -> None:
    before = httpx.get(f"{service.url}/metrics").text
    with sent(service, head(f"{PATH}/readings", 100) + READING[:10]) as connection:
        assert_served(service)
        answer = HTTPResponse(connection)
        answer.begin()
        told = json.load(answer)
        assert (answer.status, told["type"]) == (408, "/problems/request-timeout")
        assert read_to_end(connection) == b""
    assert 'reason="request-timeout"' not in before


def test_a_client_that_does_not_read_its_answer_is_cut_off(service: Service) -> None:
    rows = [[n * 1.123456789 for n in range(100)]] * 3_000
    body = gzip.compress(json.dumps({"values": rows}).encode())
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", service.port))
        connection.sendall(head("/v1/streams/wide/bulk", len(body), "Content-Encoding: gzip") + body)
        assert_served(service)
        deadline = time.monotonic() + PATIENCE
        while any_open(service) and time.monotonic() < deadline:
            time.sleep(0.1)
        connection.settimeout(PATIENCE)
        assert len(read_to_end(connection)) < 3_000_000


def test_a_live_client_that_does_not_read_its_answers_is_cut_off(service: Service) -> None:
    with Peer(service, f"{PATH}/live") as peer:
        sent = send_until_stuck(peer.socket, frame(READING) * 400_000)
        assert sent < 400_000 * len(frame(READING))
        deadline = time.monotonic() + PATIENCE
        while live_connections(service) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not live_connections(service)
        assert len(read_to_end(peer.socket)) < sent
    assert_served(service)


def live_connections(service: Service) -> int:
    """Count the connections, beside the one that asks, that processes of this machine have to the service."""
    port = f":{service.port:04X}"
    table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(port) and row[3] == "01" for row in table)


def any_open(service: Service) -> bool:
    """Return whether a request beside this one is being worked on."""
    text = httpx.get(f"{service.url}/metrics").text
    return "\nstreamnorm_requests_open 1.0\n" not in text


def test_an_endless_head_is_refused(service: Service) -> None:
    with sent(service, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ") as connection:
        try:
            for _ in range(100):
                connection.sendall(b"x" * 1000)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert read_to_end(connection)[:12] in {b"HTTP/1.1 431", b""}
    assert_served(service)


def test_a_bomb_is_refused_promptly_and_others_are_served(service: Service) -> None:
    bomb = gzip.compress(bytes(200_000_000))
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    response = httpx.post(f"{service.url}/v1/streams/bomb/bulk", content=bomb, headers=headers, timeout=PATIENCE)
    assert (response.status_code, response.json()["type"]) == (413, "/problems/body-too-large")
    assert_served(service)


def test_many_idle_connections_keep_nobody_out(service: Service) -> None:
    connections = [sent(service, b"") for _ in range(300)]
    assert_served(service)
    for connection in connections:
        connection.close()


def test_nonsense_is_refused(service: Service) -> None:
    with sent(service, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03nonsense\r\n\r\n") as connection:
        assert read_to_end(connection).startswith(b"HTTP/1.1 400")
    assert_served(service)
