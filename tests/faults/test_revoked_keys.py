"""A key that is good no more ends what is open by it, with the reason: WebSockets, event streams, streaming NDJSON."""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from streamnorm.auth.api_keys import SQLiteApiKeys
from tests.support.processes import PATIENCE, Service

READING = {"values": {"temp": 21.4}}
REVOKED = "the key is not known here, or was revoked"
NARROWED = "the streams that the key is for have changed"


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[SQLiteApiKeys]:
    """Yield the service's keys, one of them already made."""
    with closing(SQLiteApiKeys(tmp_path / "data")) as made:
        made.create("boss", ["admin"])
        yield made


@pytest.fixture
def service(tmp_path: Path, keys: SQLiteApiKeys) -> Iterator[Service]:  # noqa: ARG001 - made before the service starts
    """Run a service that asks for keys."""
    with Service(tmp_path) as running:
        yield running


def identity(key: str) -> str:
    """Return a key's id."""
    return key.split("_")[1]


def changed(folder: Path, key: str, column: str, value: str) -> None:
    """Change what a key is good for."""
    with closing(sqlite3.connect(folder / "data" / "keys.db")) as connection, connection:
        connection.execute(f"UPDATE keys SET {column} = ? WHERE id = ?", (value, identity(key)))  # noqa: S608


def talking(service: Service, path: str, key: str) -> ClientConnection:
    """Open a WebSocket."""
    made: ClientConnection = connect(
        f"ws://127.0.0.1:{service.port}{path}", additional_headers={"authorization": f"Bearer {key}"}
    )
    return made


def closed_with(connection: ClientConnection) -> tuple[int, str]:
    """Wait for the end of a WebSocket, and return its code and reason."""
    with pytest.raises(ConnectionClosed) as closed:
        connection.recv(PATIENCE)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


@contextmanager
def following(service: Service, key: str) -> Iterator[Iterator[str]]:
    """Follow events; returns their lines, once there are some."""
    headers = {"authorization": f"Bearer {key}"}
    with httpx.stream("GET", f"{service.url}/v1/events", headers=headers, timeout=PATIENCE) as response:
        lines = response.iter_lines()
        assert next(lines) == ": streamnorm"
        yield lines


@contextmanager
def streaming(service: Service, path: str, key: str) -> Iterator[tuple[socket.socket, HTTPResponse]]:
    """Send lines, and read their answers; the first was answered."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
    head += f"Authorization: Bearer {key}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), PATIENCE) as connection:
        connection.sendall(head.encode() + line(READING | {"stream": "boiler-7"} if "streams" not in path else READING))
        answer = HTTPResponse(connection)
        answer.begin()
        assert json.loads(answer.readline())["count"] == 1
        yield connection, answer


def line(reading: Any) -> bytes:
    """Write a chunk of one line."""
    text = json.dumps(reading).encode() + b"\n"
    return b"%x\r\n%b\r\n" % (len(text), text)


def test_websockets_of_a_revoked_key_are_closed_and_others_stay(service: Service, keys: SQLiteApiKeys) -> None:
    revoked, good = keys.create("one", ["observe"]), keys.create("other", ["observe"])
    with (
        talking(service, "/v1/live", revoked) as many,
        talking(service, "/v1/streams/boiler-7/live", revoked) as one,
        talking(service, "/v1/live", good) as other,
    ):
        keys.revoke(identity(revoked))
        assert closed_with(many) == closed_with(one) == (1008, REVOKED)
        other.send(json.dumps(READING | {"stream": "boiler-7"}))
        assert json.loads(other.recv(PATIENCE))["count"] == 1


def test_event_streams_of_a_revoked_key_end_with_the_reason(service: Service, keys: SQLiteApiKeys) -> None:
    key = keys.create("dashboard", ["read"])
    with following(service, key) as lines:
        keys.revoke(identity(key))
        assert list(lines)[-3:] == ["event: end", f'data: {{"reason":"{REVOKED}"}}', ""]


@pytest.mark.parametrize("path", ["/v1/bulk?streaming=true", "/v1/streams/boiler-7/bulk?streaming=true"])
def test_lines_of_a_revoked_key_end_with_a_problem(service: Service, keys: SQLiteApiKeys, path: str) -> None:
    key = keys.create("gateway", ["observe"])
    with streaming(service, path, key) as (_, answer):
        keys.revoke(identity(key))
        (problem,) = [json.loads(text) for text in answer.read().splitlines()]
    assert (problem["type"], problem["detail"]) == ("/problems/unauthorized", REVOKED)


def test_nothing_that_comes_after_the_end_is_observed(service: Service, keys: SQLiteApiKeys) -> None:
    key, reader = keys.create("gateway", ["observe"]), keys.create("reader", ["read"])
    with streaming(service, "/v1/bulk?streaming=true", key) as (connection, answer):
        keys.revoke(identity(key))
        answer.read()
        connection.sendall(line(READING | {"stream": "boiler-7"}))
    info = httpx.get(f"{service.url}/v1/streams/boiler-7", headers={"authorization": f"Bearer {reader}"})
    assert info.json()["count"] == 1


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [("scopes", "read", "the key 'gateway' lacks the scope observe"), ("prefix", "pump-", NARROWED)],
)
def test_a_key_that_is_good_for_less_ends_what_is_open(
    service: Service, keys: SQLiteApiKeys, column: str, value: str, reason: str
) -> None:
    key = keys.create("gateway", ["observe"])
    with talking(service, "/v1/live", key) as connection:
        changed(service.folder, key, column, value)
        assert closed_with(connection) == (1008, reason)


def test_what_was_opened_without_a_key_ends_once_one_is_needed(tmp_path: Path) -> None:
    with Service(tmp_path) as service, connect(f"ws://127.0.0.1:{service.port}/v1/live") as connection:
        with closing(SQLiteApiKeys(tmp_path / "data")) as keys:
            keys.create("first", ["admin"])
        assert closed_with(connection)[0] == 1008


def test_what_was_answered_before_is_read_before_the_end(service: Service, keys: SQLiteApiKeys) -> None:
    key, reader = keys.create("gateway", ["observe"]), keys.create("reader", ["read"])
    path, headers = f"{service.url}/v1/streams/boiler-7", {"authorization": f"Bearer {reader}"}
    with talking(service, "/v1/streams/boiler-7/live", key) as connection:
        for _ in range(100):
            connection.send(json.dumps(READING))
        deadline = time.monotonic() + PATIENCE
        while httpx.get(path, headers=headers).json().get("count") != 100:
            assert time.monotonic() < deadline
        keys.revoke(identity(key))
        for _ in range(100):
            connection.recv(PATIENCE)
        assert closed_with(connection) == (1008, REVOKED)
        assert httpx.get(path, headers=headers).json()["count"] == 100
