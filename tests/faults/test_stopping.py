"""A real service that is told to stop: open requests are answered, all is saved, and it is gone within five seconds."""

from __future__ import annotations

import json
import socket
import time
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.streaming.peers import Peer, frame, send_until_stuck
from tests.support.processes import PATIENCE, Service

PATH = "/v1/streams/boiler-7"
READING = b'{"values": {"temp": 21.4}, "seq": 1}'
HEAD = f"POST {PATH}/readings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
WITHIN = 5.0  # seconds


def half_sent(service: Service, already: int = 0) -> socket.socket:
    """Send half a reading, and wait until the service is at it."""
    connection = socket.create_connection(("127.0.0.1", service.port), PATIENCE)
    connection.sendall(f"{HEAD}Content-Length: {len(READING)}\r\n\r\n".encode() + READING[:10])
    deadline = time.monotonic() + PATIENCE
    while f"\nstreamnorm_requests_open {already + 2}.0\n" not in httpx.get(f"{service.url}/metrics").text:
        assert time.monotonic() < deadline
    return connection


def test_an_open_request_is_answered_and_kept_and_nobody_new_is_taken(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        with half_sent(service) as connection:
            service.ask_to_stop()
            while service.alive():
                pass
            connection.sendall(READING[10:])
            answer = HTTPResponse(connection)
            answer.begin()
            assert (answer.status, json.load(answer)["count"]) == (200, 1)
        service.wait()
        service.start()
        assert httpx.get(f"{service.url}{PATH}").json()["last_seq"] == 1


def test_open_event_streams_are_ended_with_a_reason(tmp_path: Path) -> None:
    with Service(tmp_path) as service, httpx.Client(base_url=service.url, timeout=PATIENCE) as client:
        with client.stream("GET", "/v1/events") as followed, client.stream("GET", "/v1/events?latest=true") as glance:
            lines = [followed.iter_lines(), glance.iter_lines()]
            assert [next(each) for each in lines] == [": streamnorm"] * 2
            began = time.monotonic()
            service.ask_to_stop()
            told = [list(each) for each in lines]
            service.wait()
        assert time.monotonic() - began < WITHIN
    end = ["event: end", 'data: {"reason":"the service is stopping"}', ""]
    assert [each[-3:] for each in told] == [end] * 2


def test_open_websockets_are_closed_with_a_reason(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        address = f"ws://127.0.0.1:{service.port}{PATH}/live"
        with connect(address) as talk, connect(address) as silent:
            talk.send(READING)
            assert json.loads(talk.recv(PATIENCE))["count"] == 1
            began = time.monotonic()
            service.ask_to_stop()
            for one in (talk, silent):
                with pytest.raises(ConnectionClosed) as closed:
                    one.recv(PATIENCE)
                assert closed.value.rcvd is not None
                assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "the service is stopping")
            service.wait()
        assert time.monotonic() - began < WITHIN


def test_requests_that_never_end_do_not_hold_it_up(tmp_path: Path) -> None:
    with Service(tmp_path) as service, half_sent(service), half_sent(service, 1), httpx.Client() as idle:
        idle.post(f"{service.url}/v1/streams/other/readings", json={"values": {"temp": 1}})
        began = time.monotonic()
        service.stop()
        assert time.monotonic() - began < WITHIN
        service.start()
        assert idle.get(f"{service.url}/v1/streams/other").json()["count"] == 1


def test_a_live_client_that_does_not_read_does_not_hold_it_up_and_what_was_heard_is_kept(tmp_path: Path) -> None:
    with Service(tmp_path) as service, Peer(service, f"{PATH}/live") as peer:
        send_until_stuck(peer.socket, frame(READING.replace(b', "seq": 1', b"")) * 400_000)
        count = httpx.get(f"{service.url}{PATH}").json()["count"]
        began = time.monotonic()
        service.stop()
        assert time.monotonic() - began < WITHIN
        assert "Traceback" not in service.log.read_text()
        service.start()
        assert httpx.get(f"{service.url}{PATH}").json()["count"] >= count
