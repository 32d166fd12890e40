"""Normalized readings forwarded as line protocol, to a receiver that comes and goes."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from streamnorm import Normalizer
from streamnorm.app import create_app
from streamnorm.errors import InvalidConfiguration
from streamnorm.formats.line_protocol import Point, parse
from streamnorm.settings import Settings
from streamnorm_client import Client
from tests.support.broker import until
from tests.support.processes import Service


class Receiver(ThreadingHTTPServer):
    """What InfluxDB is to whoever writes to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/api/v2/write?org=o&bucket=b"
        self.points: list[Point] = []
        self.requests: list[tuple[str, str | None]] = []
        self.status = 204


class Handler(BaseHTTPRequestHandler):
    """Takes writes."""

    def do_POST(self) -> None:
        """Take points."""
        assert isinstance(self.server, Receiver)
        body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, self.headers["Authorization"]))
        if self.server.status == 204:
            self.server.points += [parse(line) for line in body.decode().split("\n")]
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Run a receiver."""
    with Receiver() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def service_of(receiver: Receiver, folder: Path) -> Service:
    """Build a service that forwards."""
    return Service(folder, STREAMNORM_FORWARD=receiver.url, STREAMNORM_FORWARD_TOKEN="secret")  # noqa: S106


def test_points_keep_all_but_their_values(tmp_path: Path, receiver: Receiver) -> None:
    lines = [f'cpu,host=a\\ b use={n},ok=t,note="x" {1_700_000_000_123_456_789 + n}' for n in range(3)]
    with service_of(receiver, tmp_path) as service:
        httpx.post(f"{service.url}/api/v2/write", content="\n".join(lines)).raise_for_status()
        until(lambda: len(receiver.points) == 3)
    normalizer = Normalizer()
    answers = [normalizer.observe({"use": float(n), "ok": 1.0}).values for n in range(3)]
    expected = [Point("cpu", (("host", "a b"),), ys, 1_700_000_000_123_456_789 + n) for n, ys in enumerate(answers)]
    assert receiver.points == expected
    assert set(receiver.requests) == {("/api/v2/write?org=o&bucket=b", "Token secret")}


def test_other_readings_are_points_with_their_stream_as_a_tag(tmp_path: Path, receiver: Receiver) -> None:
    with service_of(receiver, tmp_path) as service, Client(service.url) as client:
        client.stream("boiler-7").observe({"temp": 21.5, "ir": [1, 2], "gone": None}, timestamp=1.25)
        client.stream("boiler-7").bulk([[22.5]], features=["temp"], timestamps=[2.25])
        until(lambda: len(receiver.points) == 2)
    tags = (("stream", "boiler-7"),)
    second = {"temp": Normalizer().observe_block([[21.5], [22.5]]).values[1][0]}
    assert receiver.points == [
        Point("streamnorm", tags, {"temp": 0.0}, 1_250_000_000),
        Point("streamnorm", tags, second, 2_250_000_000),
    ]


def test_points_wait_for_a_receiver_that_cannot_take_them(tmp_path: Path, receiver: Receiver) -> None:
    receiver.status = 503
    with service_of(receiver, tmp_path) as service, Client(service.url) as client:
        client.stream("s").observe({"temp": 21.5})
        until(lambda: bool(receiver.requests))
        receiver.status = 204
        until(lambda: len(receiver.points) == 1)


def test_points_that_are_refused_do_not_keep_others_waiting(tmp_path: Path, receiver: Receiver) -> None:
    receiver.status = 400
    with service_of(receiver, tmp_path) as service, Client(service.url) as client:
        client.stream("s").observe({"temp": 21.5})
        until(lambda: bool(receiver.requests))
        receiver.status = 204
        client.stream("s").observe({"temp": 21.5}, timestamp=7)
        until(lambda: bool(receiver.points))
    assert [point.time for point in receiver.points] == [7_000_000_000]


def test_what_waits_at_the_end_is_written(tmp_path: Path, receiver: Receiver) -> None:
    with service_of(receiver, tmp_path) as service, Client(service.url) as client:
        client.stream("s").observe({"temp": 21.5})
        service.stop()
        assert len(receiver.points) == 1


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="/forward"):
        create_app(Settings(store="memory", forward="influx:8086"))
