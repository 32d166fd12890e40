"""The bridge to MQTT against a real broker, which comes and goes, as the service does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import httpx
import numpy as np
import pytest

from streamnorm import Normalizer
from streamnorm.app import create_app
from streamnorm.errors import InvalidConfiguration
from streamnorm.settings import Settings
from streamnorm_client import Client, StreamNotFound
from tests.support.broker import Broker, Heard, listening, publish, until
from tests.support.processes import Service

READINGS = np.random.default_rng(0).normal(20, 3, 60).round(3).tolist()
TOPICS = "sensors/{stream}/raw,rooms/{stream}/{feature}"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Run a broker."""
    with Broker(tmp_path / "mosquitto") as running:
        yield running


def service_of(broker: Broker, folder: Path, **settings: str) -> Service:
    """Build a service that is to talk to the broker."""
    environment = {"STREAMNORM_MQTT": broker.url, "STREAMNORM_MQTT_TOPICS": TOPICS}
    environment |= {"STREAMNORM_MQTT_CLIENT_ID": "streamnorm"} | settings
    return Service(folder, **environment)


def ready(broker: Broker, service: Service) -> None:
    """Wait until the service listens to the broker."""
    with listening(broker, "streamnorm/status") as status:
        while status.take(1) != [("streamnorm/status", "online")]:
            pass
    assert service.alive()


def expected(values: list[float], feature: str = "value") -> list[dict[str, float]]:
    """Normalize values."""
    normalizer = Normalizer()
    return [normalizer.observe({feature: value}).values for value in values]


def count(service: Service, stream: str) -> int:
    """Count a stream's readings."""
    with Client(service.url) as client:
        try:
            return client.stream(stream).info().count
        except StreamNotFound:
            return 0


@pytest.fixture
def heard(broker: Broker) -> Iterator[Heard]:
    """Listen to normalized readings."""
    with listening(broker, "sensors/+/normalized") as listener:
        yield listener


def test_a_sensor_that_becomes_another_kind_is_published(tmp_path: Path, broker: Broker) -> None:
    settings = {"STREAMNORM_MQTT_KINDS": "sensors/{stream}/kind", "STREAMNORM_HORIZON": "50"}
    with service_of(broker, tmp_path, **settings) as service, listening(broker, "sensors/+/kind") as kinds:
        ready(broker, service)
        with Client(service.url) as client:
            pump = client.stream("pump")
            pump.bulk([[x] for x in READINGS], features=["temp"])

            def told() -> bool:  # two looks, a second apart, have to agree
                pump.bulk([[20.0]] * 50, features=["temp"])
                return bool(kinds.waiting())

            until(told)
        ((topic, change),) = kinds.take(1)
    assert topic == "sensors/pump/kind"
    assert {**change, "timestamp": ""} == {
        "stream": "pump",
        "timestamp": "",
        "feature": "temp",
        "was": "continuous",
        "kind": "stuck",
    }


def test_messages_of_every_form_are_normalized_and_published(tmp_path: Path, broker: Broker, heard: Heard) -> None:
    pack: list[dict[Any, Any]] = [{-2: "dev:", 0: "temp", 2: 21.5}]
    with service_of(broker, tmp_path) as service:
        ready(broker, service)
        publish(broker, "sensors/a/raw", "21.5", {"values": {"value": 22.5}, "seq": 7, "timestamp": 1000}, "nothing")
        publish(broker, "sensors/b/raw", [{"bn": "dev:", "n": "temp", "v": 21.5}], cbor2.dumps(pack), "[1, 2]")
        publish(broker, "rooms/living room/temp", "21.5", "ON")
        found = heard.take(7)
    normalized = expected([21.5, 22.5])
    assert [payload for topic, payload in found[:2]] == [
        {"stream": "a", "timestamp": found[0][1]["timestamp"], "count": 1, "ready": False, "values": normalized[0]},
        {"stream": "a", "seq": 7, "timestamp": "1970-01-01T00:16:40Z", "count": 2, "ready": False}
        | {"values": normalized[1]},
    ]
    assert [(topic, list(payload["values"])) for topic, payload in found[2:]] == [
        ("sensors/b/normalized", ["dev:temp"]),
        ("sensors/b/normalized", ["dev:temp"]),
        ("sensors/b/normalized", [0.0, 0.0]),
        ("sensors/living room/normalized", ["temp"]),
        ("sensors/living room/normalized", ["temp"]),
    ]


def test_a_broker_that_restarts_loses_no_reading_and_repeats_none(tmp_path: Path, broker: Broker) -> None:
    with service_of(broker, tmp_path) as service:
        ready(broker, service)
        for part in range(0, 60, 20):
            publish(broker, "sensors/a/raw", *map(str, READINGS[part : part + 20]))
            broker.stop()
            broker.start()
        until(lambda: count(service, "a") == 60)
        with Client(service.url) as client:
            snapshot = client.stream("a").snapshot()
    normalizer = Normalizer()
    for value in READINGS:
        normalizer.observe({"value": value})
    same = ("weight", "mean", "variance", "count", "last")
    assert [snapshot["features"][0][name] for name in same] == [
        normalizer.snapshot()["features"][0][name] for name in same
    ]


def test_answers_wait_for_a_broker_that_is_away(tmp_path: Path, broker: Broker) -> None:
    with service_of(broker, tmp_path) as service, Client(service.url) as client:
        ready(broker, service)
        broker.stop()
        for value in READINGS[:10]:
            client.stream("a").observe({"value": value})
        broker.start()
        with listening(broker, "sensors/+/normalized") as heard:
            client.stream("a").observe({"value": READINGS[10]})
            ready(broker, service)
            found = heard.values(1)
    assert found[0] in expected(READINGS[:11])


def test_readings_wait_for_a_service_that_is_away(tmp_path: Path, broker: Broker, heard: Heard) -> None:
    service = service_of(broker, tmp_path)
    with service:
        ready(broker, service)
        publish(broker, "sensors/a/raw", *map(str, READINGS[:20]))
        heard.take(20)
        service.stop()
        publish(broker, "sensors/a/raw", *map(str, READINGS[20:40]))
        service.start()
        assert heard.values(20) == expected(READINGS[:40])[20:]


def test_a_service_killed_at_any_moment_applies_every_numbered_reading_once(tmp_path: Path, broker: Broker) -> None:
    numbered = [{"values": {"value": value}, "seq": seq} for seq, value in enumerate(READINGS, 1)]
    service = service_of(broker, tmp_path)
    with service:
        ready(broker, service)
        for part in range(0, 60, 20):
            publish(broker, "sensors/a/raw", *numbered[part : part + 20])
            service.kill()
            service.start()
        until(lambda: count(service, "a") == 60)
        with Client(service.url) as client:
            assert client.stream("a").info().last_seq == 60


def test_the_status_tells_who_is_there(tmp_path: Path, broker: Broker) -> None:
    service = service_of(broker, tmp_path)
    with listening(broker, "streamnorm/status") as status, service:
        for end in (service.stop, service.kill):
            assert status.take(1) == [("streamnorm/status", "online")]
            end()
            assert status.take(1) == [("streamnorm/status", "offline")]
            service.start()


def test_readings_that_came_in_over_http_are_published(tmp_path: Path, broker: Broker, heard: Heard) -> None:
    with service_of(broker, tmp_path) as service, Client(service.url) as client:
        ready(broker, service)
        client.stream("a").observe({"value": READINGS[0]})
        client.stream("a").bulk([[value] for value in READINGS[1:10]], features=["value"])
        httpx.post(f"{service.url}/write", content="b value=1").raise_for_status()
        assert heard.values(11) == [*expected(READINGS[:10]), {"value": 0.0}]


def test_a_retained_reading_of_long_ago_is_left_alone(tmp_path: Path, broker: Broker, heard: Heard) -> None:
    publish(broker, "sensors/old/raw", "21.5", retain=True)
    with service_of(broker, tmp_path) as service:
        ready(broker, service)
        publish(broker, "sensors/new/raw", "21.5")
        assert heard.take(1)[0][0] == "sensors/new/normalized"
        assert count(service, "old") == 0


def test_a_broker_that_is_not_there_keeps_nobody_from_http(tmp_path: Path) -> None:
    with Service(tmp_path, STREAMNORM_MQTT="mqtt://127.0.0.1:9") as service, Client(service.url) as client:
        assert client.stream("a").observe([1.0]).count == 1
        service.stop()


@pytest.mark.parametrize(
    "settings",
    [
        {"mqtt": "127.0.0.1:1883"},
        {"mqtt": "http://127.0.0.1"},
        {"mqtt_topics": "sensors/raw"},
        {"mqtt_topics": "sensors/{device}/raw"},
        {"mqtt_topics": ""},
        {"mqtt_publish": "normalized"},
        {"mqtt_publish": "sensors/{stream}/raw"},
        {"mqtt_topics": "sensors/{stream}/#"},
        {"mqtt_topics": "sensors/{stream}/#/b", "mqtt_publish": "out/{stream}"},
        {"mqtt_topics": "sensors/{stream...}/b"},
        {"mqtt_topics": "sensors/a+/{stream}"},
        {"mqtt_topics": "$share/{stream}"},
        {"mqtt_topics": "$share/a+b/{stream}"},
        {"mqtt_topics": "{stream}/{stream...}"},
        {"mqtt_publish": "out/+/{stream}"},
        {"mqtt_kinds": "sensors/kinds"},
        {"mqtt_kinds": "sensors/{stream}/raw"},
        {"mqtt_dead_letter": "sensors/dead/raw"},
        {"mqtt_dead_letter": "dead/#"},
        {"mqtt_topics": "{stream...}"},
        {"mqtt_client_id": "a/b"},
        {"mqtt": "mqtt://127.0.0.1:99999"},
        {"mqtt_ca": "ca.pem"},
        {"mqtt": "mqtts://127.0.0.1", "mqtt_ca": "no-such-file.pem"},
        {"mqtt": "mqtts://127.0.0.1", "mqtt_key": "key.pem"},
        {"mqtt": "mqtts://127.0.0.1", "mqtt_cert": "no-such-file.pem"},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfiguration, match="/mqtt"):
        create_app(Settings(store="memory", **({"mqtt": "mqtt://127.0.0.1"} | settings)))
