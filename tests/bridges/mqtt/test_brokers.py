"""Brokers as they are: with users, TLS, WebSockets, old versions; and those that refuse, vanish, or throw out."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.bridges.front import front_of
from tests.bridges.mqtt_service import counted, ready, refused, service_of, until_connected
from tests.support.broker import Broker, listening, publish, until
from tests.support.certificates import certificate
from tests.support.processes import Service, free_port

ACCESS = "user gauge\ntopic readwrite #\nuser reader\ntopic write sensors/+/normalized\ntopic write reader/status\n"


def taken(broker: Broker, service: Service, *payloads: object) -> None:
    """Publish readings, and see that they are normalized."""
    before = counted(service, "streamnorm_mqtt_taken_total")
    with listening(broker, "sensors/+/normalized") as heard:
        publish(broker, "sensors/a/raw", *payloads)
        heard.take(len(payloads))
    assert counted(service, "streamnorm_mqtt_taken_total") == before + len(payloads)


@contextmanager
def broker_with(folder: Path, more: str | Callable[[Path], str] = "") -> Iterator[Broker]:
    """Run a broker with more listeners."""
    place = folder / "mosquitto"
    place.mkdir()
    with Broker(place, more if isinstance(more, str) else more(place)) as running:
        yield running


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Run a broker."""
    with broker_with(tmp_path) as running:
        yield running


def guarded(port: int) -> Callable[[Path], str]:
    """Configure a listener with users."""

    def more(folder: Path) -> str:
        users = folder / "users"
        for user in ("gauge", "reader"):
            create = [] if users.exists() else ["-c"]
            subprocess.run(["mosquitto_passwd", *create, "-b", str(users), user, "p@ss/w"], check=True)  # noqa: S603, S607
        (folder / "access").write_text(ACCESS)
        return f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {users}\nacl_file {folder}/access\n"

    return more


def test_a_user_and_a_password_are_shown_to_the_broker(tmp_path: Path) -> None:
    port = free_port()
    with (
        broker_with(tmp_path, guarded(port)) as broker,
        service_of(f"mqtt://gauge:p%40ss%2Fw@127.0.0.1:{port}", tmp_path) as service,
    ):
        assert "p@ss" not in until_connected(service)
        taken(broker, service, "21.5")


def test_a_wrong_password_is_told_and_not_shown(tmp_path: Path) -> None:
    port = free_port()
    url = f"mqtt://gauge:secret@127.0.0.1:{port}"
    with broker_with(tmp_path, guarded(port)), service_of(url, tmp_path, required_bridges="mqtt") as service:
        until(lambda: "uthori" in ready(service).get("detail", ""))
        assert httpx.get(f"{service.url}/readyz").status_code == 503
        assert service.stop() == 0
        assert "secret" not in service.log.read_text()


def test_a_publication_that_the_broker_denies_is_counted(tmp_path: Path) -> None:
    port = free_port()
    url = f"mqtt://reader:p%40ss%2Fw@127.0.0.1:{port}"
    settings = {"mqtt_publish": "elsewhere/{stream}", "mqtt_client_id": "reader"}
    with broker_with(tmp_path, guarded(port)), service_of(url, tmp_path, **settings) as service:
        until_connected(service)
        httpx.post(f"{service.url}/v1/streams/a/readings", json={"values": [1.0]}).raise_for_status()
        until(lambda: counted(service, 'streamnorm_mqtt_dropped_total{reason="denied"}') == 1)
        assert counted(service, "streamnorm_mqtt_published_total") == 0


def test_tls_with_certificates_of_both_sides_and_websockets(tmp_path: Path) -> None:
    ports = [free_port() for _ in range(3)]
    cert, key = certificate(tmp_path)
    tls = f"certfile {cert}\nkeyfile {key}\ncafile {cert}\nallow_anonymous true\n"
    more = f"listener {ports[0]} 127.0.0.1\n{tls}require_certificate true\n"
    more += f"listener {ports[1]} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n"
    more += f"listener {ports[2]} 127.0.0.1\nprotocol websockets\n{tls}"
    with broker_with(tmp_path, more) as broker:
        for number, (url, settings) in enumerate(
            [
                (f"mqtts://localhost:{ports[0]}", {"mqtt_ca": str(cert), "mqtt_cert": str(cert), "mqtt_key": str(key)}),
                (f"ws://127.0.0.1:{ports[1]}", {}),
                (f"wss://localhost:{ports[2]}/mqtt", {"mqtt_ca": str(cert)}),
            ]
        ):
            folder = tmp_path / str(number)
            folder.mkdir()
            with service_of(url, folder, **settings) as service:
                until_connected(service)
                taken(broker, service, *map(str, range(50)))
        with service_of(f"mqtts://localhost:{ports[0]}", tmp_path) as service:
            until(lambda: "certificate" in ready(service)["bridges"]["mqtt"])


@pytest.mark.parametrize("politely", [True, False])
def test_a_broker_of_mqtt_3_1_1_is_spoken_to_in_its_version(tmp_path: Path, broker: Broker, *, politely: bool) -> None:
    publish(broker, "sensors/old/raw", "1.0", retain=True)
    with front_of(broker, politely=politely) as front, service_of(front.url, tmp_path) as service:
        assert until_connected(service).endswith("MQTT 3.1.1")
        assert front.refused == (1 if politely else 3)
        taken(broker, service, "21.5", "22.5")
        assert counted(service, 'streamnorm_mqtt_ignored_total{reason="retained"}') == 1
        broker.stop()
        broker.start()
        until_connected(service)
        taken(broker, service, "21.5")


def test_an_installation_has_a_client_id_of_its_own_and_keeps_it(tmp_path: Path, broker: Broker) -> None:
    told = set()
    for name in ("a", "b", "a"):
        (tmp_path / name).mkdir(exist_ok=True)
        with service_of(broker.url, tmp_path / name) as service:
            told.add(until_connected(service))
            service.stop()
    assert len(told) == 2
    assert all(" as streamnorm-" in each for each in told)


def test_two_services_at_one_broker_take_what_is_theirs(tmp_path: Path, broker: Broker) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with (
        service_of(broker.url, tmp_path / "a") as first,
        service_of(broker.url, tmp_path / "b", mqtt_topics="other/{stream}/raw") as second,
    ):
        until_connected(first)
        until_connected(second)
        publish(broker, "sensors/a/raw", *map(str, range(30)))
        publish(broker, "other/a/raw", *map(str, range(30)))
        until(lambda: all(counted(each, "streamnorm_mqtt_taken_total") == 30 for each in (first, second)))
        for service in (first, second):
            assert refused(service) == {}


def test_a_session_that_another_client_takes_over_is_named(tmp_path: Path, broker: Broker) -> None:
    with front_of(broker, modern=True) as front, service_of(front.url, tmp_path, mqtt_client_id="twin") as service:
        until_connected(service)
        front.take_over()
        until(lambda: "session taken over" in ready(service)["bridges"]["mqtt"])
        assert "'twin'" in ready(service)["bridges"]["mqtt"]
        assert "next attempt in 5.0 s" in service.log.read_text()


def test_a_twin_is_suspected_where_the_broker_does_not_say_why_it_throws_out(tmp_path: Path, broker: Broker) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with (
        service_of(broker.url, tmp_path / "a", mqtt_client_id="twin") as first,
        service_of(broker.url, tmp_path / "b", mqtt_client_id="twin") as second,
    ):
        logs = first.log, second.log
        until(lambda: any("perhaps a session taken over" in log.read_text() for log in logs))


def test_a_broker_that_is_lost_is_seen(tmp_path: Path, broker: Broker) -> None:
    with service_of(broker.url, tmp_path, required_bridges="mqtt") as service:
        until_connected(service)
        assert counted(service, "streamnorm_mqtt_connected") == 1
        broker.stop()
        until(lambda: httpx.get(f"{service.url}/readyz").status_code == 503)
        assert counted(service, "streamnorm_mqtt_connected") == 0
        assert counted(service, "streamnorm_bridge_failures_total") == 0
        broker.start()
        until(lambda: httpx.get(f"{service.url}/readyz").status_code == 200)
