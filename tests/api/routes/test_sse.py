"""Server-sent events as a real service sends them, and what becomes of them when it stops."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamnorm_client import Client
from tests.support.processes import PATIENCE, Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a service; tests take streams of their own names, and leave it running."""
    with Service(tmp_path_factory.mktemp("service")) as running:
        yield running


Events = Iterator[tuple[str, Any]]


@contextlib.contextmanager
def follow(service: Service, **query: Any) -> Iterator[Events]:
    """Follow events, once the service has begun to send."""
    with httpx.stream("GET", f"{service.url}/v1/events", params=query, timeout=PATIENCE) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.iter_lines()
        assert next(lines).startswith(":")
        yield parsed(lines)


def parsed(lines: Iterator[str]) -> Events:
    """Read events of their lines."""
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_a_reading_becomes_an_event_with_what_was_answered(service: Service) -> None:
    with Client(service.url) as client, follow(service, stream="told") as events:
        client.stream("told").observe({"temp": 20.0, "door": None})
        answer = client.stream("told").observe({"temp": 22.0, "door": 1.0}, stats=True)
        found = [data for name, data in (next(events), next(events)) if name == "reading"]
    assert [event["values"] for event in found] == [{"temp": 20.0, "door": None}, {"temp": 22.0, "door": 1.0}]
    assert found[1]["normalized"] == answer.values
    assert (found[1]["stream"], found[1]["count"], found[1]["ready"]) == ("told", 2, False)


def test_only_named_streams_are_told(service: Service) -> None:
    with Client(service.url) as client, follow(service, stream=["named-a", "named-b"]) as events:
        for stream in ("named-a", "other", "named-b"):
            client.stream(stream).observe({"temp": 20.0})
        assert [next(events)[1]["stream"] for _ in range(2)] == ["named-a", "named-b"]


def test_a_stream_opens_with_its_recent_past(service: Service) -> None:
    with Client(service.url) as client:
        answers = [client.stream("past").observe({"temp": float(n)}).values["temp"] for n in range(5)]
        with follow(service, stream="past", history=True) as events:
            name, data = next(events)
    assert (name, data["stream"]) == ("history", "past")
    assert [reading["values"]["temp"] for reading in data["readings"]] == [0, 1, 2, 3, 4]
    assert [reading["normalized"]["temp"] for reading in data["readings"]] == answers


def test_the_latest_reading_of_every_stream_is_told(service: Service) -> None:
    with Client(service.url) as client:
        for n in range(3):
            client.stream(f"glanced.{n}").observe({"temp": float(n)})
    with follow(service, latest=True, prefix="glanced.") as events:
        name, data = next(events)
    assert name == "latest"
    assert {item["stream"]: item["values"]["temp"] for item in data["streams"]} == {f"glanced.{n}": n for n in range(3)}


@pytest.mark.parametrize("query", ["stream=a%0Ab", "latest=perhaps"])
def test_what_cannot_be_followed_is_refused(service: Service, query: str) -> None:
    response = httpx.get(f"{service.url}/v1/events?{query}")
    assert (response.status_code, response.json()["type"]) == (422, "/problems/invalid-request")


def test_an_open_event_stream_does_not_hold_up_a_shutdown_and_is_told_why_it_ends(tmp_path: Path) -> None:
    with Service(tmp_path) as service, follow(service, latest=True) as events:
        service.stop()
        assert list(events)[-1] == ("end", {"reason": "the service is stopping"})


def test_a_reader_that_stopped_reading_does_not_hold_up_a_shutdown(tmp_path: Path) -> None:
    wide = {f"feature-{n}": float(n) for n in range(2000)}
    with Service(tmp_path) as service, Client(service.url) as client, socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", service.port))
        reader.sendall(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        reader.recv(64)
        for _ in range(60):  # more than fits into the buffers between us
            client.stream("wide").observe(wide)
        service.stop()
        assert "state saved" in service.log.read_text()
    with Service(tmp_path) as service, Client(service.url) as client:
        assert client.stream("wide").info().count == 60
