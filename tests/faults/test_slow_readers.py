"""Who follows events and does not read them costs little memory, and is cut in the end."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from tests.faults.wire import resident
from tests.support.processes import PATIENCE, Service

READERS = 40
ROWS = np.random.default_rng(0).normal(20.0, 3.0, (400, 12)).tolist()
KIBIBYTE = 1024


def reader(service: Service, query: str) -> socket.socket:
    """Follow events, and read no more than that they begin."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(PATIENCE)
    connection.connect(("127.0.0.1", service.port))
    connection.sendall(f"GET /v1/events{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert connection.recv(12) == b"HTTP/1.1 200"
    return connection


def serves(service: Service, connection: socket.socket) -> bool:
    """Return whether the service has its end of a connection."""
    _, port = connection.getsockname()
    ends = psutil.Process(service.pid).net_connections("tcp")
    return any(end.raddr and end.raddr.port == port for end in ends)


def send(service: Service, rounds: int) -> None:
    """Have a stream heard of, much more than anything between us holds."""
    with httpx.Client(base_url=service.url, timeout=PATIENCE) as client:
        for _ in range(rounds):
            for n in range(30):
                client.post(f"/v1/streams/busy-{n % 3}/bulk", json={"values": ROWS[:20]}).raise_for_status()


@pytest.mark.parametrize("query", ["", "?latest=true", "?stream=busy-0&stream=busy-1&history=true"])
def test_many_who_do_not_read_cost_little_memory(tmp_path: Path, query: str) -> None:
    with Service(tmp_path) as service, ExitStack() as stack:
        send(service, 10)
        before = resident(service)
        for _ in range(READERS):
            stack.enter_context(reader(service, query))
        send(service, 10)
        # what waits, and 50 kB or so that any connection costs
        assert (resident(service) - before) / READERS < 192 * KIBIBYTE
        assert "Traceback" not in service.log.read_text()


def test_little_of_the_past_waits_for_who_begins_to_read(tmp_path: Path) -> None:
    with Service(tmp_path) as service, reader(service, "") as connection:
        send(service, 20)
        service.ask_to_stop()
        waiting = b""
        while part := connection.recv(65536):
            waiting += part
        assert len(waiting) < 256 * KIBIBYTE


def test_who_does_not_read_is_cut(tmp_path: Path) -> None:
    with (
        Service(tmp_path, STREAMNORM_IDLE_TIMEOUT="1") as service,
        httpx.Client(base_url=service.url, timeout=PATIENCE) as client,
    ):
        client.get("/healthz").raise_for_status()
        with reader(service, "") as connection:
            assert serves(service, connection)
            deadline = time.monotonic() + PATIENCE
            while serves(service, connection):
                client.post("/v1/streams/busy-0/bulk", json={"values": ROWS[:20]}).raise_for_status()
                assert time.monotonic() < deadline


def test_long_lists_arrive_whole_though_they_are_written_in_pieces(tmp_path: Path) -> None:
    with Service(tmp_path) as service, httpx.Client(base_url=service.url, timeout=PATIENCE) as client:
        names = [f"line-{n}" for n in range(300)]
        for name in names:
            client.post(f"/v1/streams/{name}/readings", json={"values": {"temp": 1, "door": 0}}).raise_for_status()
        client.post("/v1/streams/line-0/bulk", json={"features": ["temp", "door"], "values": [[1, 2]] * 400})
        with client.stream("GET", "/v1/events?stream=line-0&history=true&latest=true") as response:
            lines = response.iter_lines()
            data = [
                json.loads(line.removeprefix("data: ")) for line in (next(lines) for _ in range(7)) if "data" in line
            ]
    history, latest = data
    assert [row["count"] for row in history["readings"]] == list(range(1, 402))
    assert {row["stream"] for row in latest["streams"]} == set(names)
