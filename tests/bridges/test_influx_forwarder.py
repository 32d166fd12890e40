"""Normalized readings forwarded as line protocol, to a receiver that comes and goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamnorm import Normalizer
from streamnorm.app import create_app
from streamnorm.errors import InvalidConfiguration
from streamnorm.formats.line_protocol import Point
from streamnorm.settings import Settings
from streamnorm_client import Client
from tests.bridges.receiver import Receiver, receiving
from tests.support.broker import until
from tests.support.processes import Service


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Run a receiver."""
    with receiving() as running:
        yield running


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


def test_what_waits_at_the_end_is_sent_by_the_next_start(tmp_path: Path, receiver: Receiver) -> None:
    receiver.status = 503
    service = service_of(receiver, tmp_path)
    with service:
        with Client(service.url) as client:
            client.stream("s").observe({"temp": 21.5}, timestamp=7)
            client.stream("s").observe({"temp": 22.5}, timestamp=8)
            until(lambda: bool(receiver.requests))
        assert service.stop() == 0
        receiver.status = 204
        service.start()
        until(lambda: len(receiver.points) == 2)
        until(lambda: not (tmp_path / "data" / "forward.lp").exists())  # a stop could come before the receiver's answer
    assert [point.time for point in receiver.points] == [7_000_000_000, 8_000_000_000]


def test_a_receiver_that_is_not_there_neither_holds_up_the_end_nor_costs_the_state(tmp_path: Path) -> None:
    service = Service(tmp_path, STREAMNORM_FORWARD="http://127.0.0.1:9/write?org=Müller", STREAMNORM_DURABILITY="no")
    with service, Client(service.url) as client:
        client.stream("keep").observe({"temp": 21.5})
        until(lambda: "points wait" in httpx.get(f"{service.url}/readyz").json()["bridges"]["forward"])
        assert service.stop() == 0
        service.start()
        assert client.stream("keep").info().count == 1


def test_a_required_receiver_that_is_away_makes_the_service_unready(tmp_path: Path, receiver: Receiver) -> None:
    receiver.status = 401
    settings = {"STREAMNORM_FORWARD": receiver.url, "STREAMNORM_REQUIRED_BRIDGES": "forward"}
    with Service(tmp_path, **settings) as service, Client(service.url) as client:
        assert httpx.get(f"{service.url}/readyz").status_code == 200
        client.stream("s").observe({"temp": 21.5})
        until(lambda: httpx.get(f"{service.url}/readyz").status_code == 503)
        problem = httpx.get(f"{service.url}/readyz").json()
        assert (problem["type"], "401" in problem["detail"]) == ("/problems/bridge-unavailable", True)
        receiver.status = 204
        until(lambda: httpx.get(f"{service.url}/readyz").status_code == 200)
        figures = httpx.get(f"{service.url}/metrics").text
        assert 'streamnorm_bridge_up{bridge="forward"} 1.0' in figures
        assert "streamnorm_forward_written_total 1.0" in figures


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"forward": "influx:8086"}, "/forward"),
        ({"forward": "http://127.0.0.1:99999/write"}, "/forward"),
        ({"forward": "http://user:secret@127.0.0.1:port/write"}, "/forward"),
        ({"forward": "http://:8086/write"}, "/forward"),
        ({"forward_token": "two words"}, "/forward_token"),
        ({"forward_token": "secret", "forward_username": "user"}, "/forward_token"),
        ({"forward_token": "secret", "forward": "http://user:secret@127.0.0.1/"}, "/forward_token"),
        ({"forward_password": "secret"}, "/forward_password"),
        ({"forward_username": "a:b"}, "/forward_username"),
        ({"forward_username": "a", "forward": "http://user:secret@127.0.0.1/"}, "/forward_username"),
    ],
)
def test_settings_that_cannot_work_are_refused_and_no_secret_is_shown(settings: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        create_app(Settings(store="memory", **({"forward": "http://127.0.0.1:9/write"} | settings)))
    assert refused.value.faults[0].pointer == where
    assert "secret" not in str(refused.value)
