"""Handshakes of WebSockets that no client would send are answered at once, hold nothing, and do not break the stop."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.faults.wire import UPGRADE, descriptors, status, told
from tests.support.processes import PATIENCE, Service

BAD = {
    "a body": (UPGRADE + b"Content-Length: 5\r\n\r\nhello", 400),
    "a body that does not come": (UPGRADE + b"Content-Length: 5\r\n\r\n", 400),
    "chunks": (UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 400),
    "a long line": (UPGRADE + b"X-A: " + b"x" * 9000 + b"\r\n\r\n", 431),
    "a long address": (UPGRADE.replace(b"live", b"live?" + b"x" * 9000) + b"\r\n", 431),
    "200 headers": (UPGRADE + b"X-A: x\r\n" * 200 + b"\r\n", 431),
    "a POST": (UPGRADE.replace(b"GET", b"POST") + b"\r\n", 400),
    "HTTP/1.0": (UPGRADE.replace(b"1.1", b"1.0") + b"\r\n", 400),
    "no host": (UPGRADE.replace(b"Host: localhost\r\n", b"") + b"\r\n", 400),
    "no key": (UPGRADE.partition(b"Sec-")[0] + b"\r\n", 400),
    "another version": (UPGRADE.replace(b"Version: 13", b"Version: 8") + b"\r\n", 400),
    "a body, to nowhere": (UPGRADE.replace(b"/v1/live", b"/no/such") + b"Content-Length: 5\r\n\r\nhello", 400),
}


ELSEWHERE = {
    "a path that is none": (UPGRADE.replace(b"/v1/live", b"/no/such") + b"\r\n", 404),
    "no stream id": (UPGRADE.replace(b"/v1/live", b"/v1/streams/a%0Ab/live") + b"\r\n", 422),
    "no key": BAD["no key"],
    "another version": BAD["another version"],
    "a key that is none": (UPGRADE.replace(b"dGhl", b"!") + b"\r\n", 400),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_handshake_is_refused_by_a_problem(service: Service, name: str) -> None:
    request, expected = ELSEWHERE[name]
    head, _, body = told(service, request).partition(b"\r\n\r\n")
    assert (status(head), json.loads(body)["status"]) == (expected, expected)
    assert b"content-type: application/problem+json" in head.lower()
    assert "ERROR" not in service.log.read_text()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_handshake_is_answered_and_the_connection_closed(service: Service, name: str) -> None:
    request, expected = BAD[name]
    assert status(told(service, request)) == expected
    assert "Traceback" not in service.log.read_text()


def test_many_bad_handshakes_take_no_file_descriptors(service: Service) -> None:
    before = descriptors(service)
    with ExitStack() as stack:
        for request, _ in [*BAD.values()] * 10:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", service.port), PATIENCE))
            connection.sendall(request)
            connection.recv(1)
        assert httpx.get(f"{service.url}/healthz").is_success
        assert descriptors(service) - before < 10


@pytest.mark.parametrize("name", BAD)
def test_the_stop_is_clean_whatever_was_asked_for(tmp_path: Path, name: str) -> None:
    with Service(tmp_path) as service, socket.create_connection(("127.0.0.1", service.port), PATIENCE) as connection:
        httpx.post(f"{service.url}/v1/streams/boiler-7/readings", json={"values": {"temp": 1}}).raise_for_status()
        connection.sendall(BAD[name][0])
        assert httpx.get(f"{service.url}/healthz").is_success
        assert service.stop() == 0
        log = service.log.read_text()
    assert "state saved" in log
    assert "Error" not in log
    assert "Traceback" not in log
