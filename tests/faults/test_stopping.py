"""A real service that is told to stop: open requests are answered, all is saved, and it is gone within five seconds."""

from __future__ import annotations

import json
import socket
import time
from http.client import HTTPResponse
from pathlib import Path

import httpx

from tests.processes import PATIENCE, Service

PATH = "/v1/streams/boiler-7"
READING = b'{"values": {"temp": 21.4}, "seq": 1}'
HEAD = f"POST {PATH}/readings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
WITHIN = 5.0  # seconds


def half_sent(service: Service) -> socket.socket:
    """Send half a reading."""
    connection = socket.create_connection(("127.0.0.1", service.port), PATIENCE)
    connection.sendall(f"{HEAD}Content-Length: {len(READING)}\r\n\r\n".encode() + READING[:10])
    return connection


def test_an_open_request_is_answered_and_kept_and_nobody_new_is_taken(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        with half_sent(service) as connection:
            service.ask_to_stop()
            time.sleep(0.5)
            assert not service.alive()
            connection.sendall(READING[10:])
            answer = HTTPResponse(connection)
            answer.begin()
            assert (answer.status, json.load(answer)["count"]) == (200, 1)
        service.wait()
        service.start()
        assert httpx.get(f"{service.url}{PATH}").json()["last_seq"] == 1


def test_requests_that_never_end_do_not_hold_it_up(tmp_path: Path) -> None:
    with Service(tmp_path) as service, half_sent(service), half_sent(service), httpx.Client() as idle:
        idle.post(f"{service.url}/v1/streams/other/readings", json={"values": {"temp": 1}})
        began = time.monotonic()
        service.stop()
        assert time.monotonic() - began < WITHIN
        service.start()
        assert idle.get(f"{service.url}/v1/streams/other").json()["count"] == 1
