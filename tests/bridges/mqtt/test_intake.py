"""Messages are counted once, by whichever subscriptions they come, and nothing that is refused goes unseen."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamnorm import Normalizer
from streamnorm_client import Client
from tests.bridges.front import front_of
from tests.bridges.mqtt_service import counted, refused, service_of, until_connected
from tests.support.broker import Broker, listening, publish, until


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Run a broker."""
    with Broker(tmp_path / "mosquitto") as running:
        yield running


@pytest.mark.parametrize(
    ("topics", "old"),
    [
        ("ov/{stream}/raw,ov/{stream}/{feature}", False),
        ("ov/{stream}/raw,ov/{stream}/{feature}", True),
        ("ov/{stream}/+/x,ov/+/{stream}/x/#", False),
        ("ov/{stream}/raw/#,ov/{stream}/+", False),
    ],
)
def test_overlapping_filters_count_a_message_once(tmp_path: Path, broker: Broker, topics: str, *, old: bool) -> None:
    topic = "ov/a/b/x" if "x" in topics else "ov/a/raw"
    with front_of(broker, modern=not old) as front, service_of(front.url, tmp_path, mqtt_topics=topics) as service:
        until_connected(service)
        publish(broker, topic, *map(str, range(5)), "0")
        publish(broker, topic.replace("/a/", "/last/"), "0")
        with Client(service.url) as client:
            until(lambda: any(stream.stream == "last" for stream in client.streams()))
            assert client.stream("a").info().count == 6
            assert client.stream("a").info().features == ["value"]


def test_levels_of_many_kinds_name_their_streams(tmp_path: Path, broker: Broker) -> None:
    settings = {
        "mqtt_topics": "$share/g/sh/{stream}/raw,zig/{stream}/#,all/{stream...}",
        "mqtt_publish": "normalized/{stream...}",
    }
    with service_of(broker.url, tmp_path, **settings) as service, listening(broker, "normalized/#") as heard:
        until_connected(service)
        for topic in ("sh/one/raw", "zig/two", "zig/three/x/y", "all/attic/lamp"):
            publish(broker, topic, "21.5")
        found = [(topic, payload["stream"]) for topic, payload in heard.take(4)]
    assert found == [
        ("normalized/one", "one"),
        ("normalized/two", "two"),
        ("normalized/three", "three"),
        ("normalized/attic/lamp", "attic~1lamp"),
    ]


def test_a_topic_that_leaves_a_named_level_empty_is_told(tmp_path: Path, broker: Broker) -> None:
    settings = {"mqtt_topics": "rooms/{stream}/raw,all/{stream...}", "mqtt_dead_letter": "dead"}
    with service_of(broker.url, tmp_path, **settings) as service, listening(broker, "dead") as heard:
        until_connected(service)
        publish(broker, "rooms//raw", "21.5")
        publish(broker, "all", "21.5")
        assert [letter["detail"] for _, letter in heard.take(2)] == [
            "the topic 'rooms//raw' leaves a level empty that 'rooms/{stream}/raw' names",
            "the topic 'all' leaves a level empty that 'all/{stream...}' names",
        ]


def test_what_the_service_publishes_itself_is_no_message_to_it(tmp_path: Path, broker: Broker) -> None:
    with service_of(broker.url, tmp_path, mqtt_topics="$share/g/sh/{stream},{stream}/{feature}") as service:
        until_connected(service)  # and has published so, as CLIENT-ID/status
        publish(broker, "roof/temp", "21.5")
        publish(broker, "sh/roof", "21.5")
        until(lambda: counted(service, "streamnorm_mqtt_taken_total") == 2)
        assert refused(service) == {}


def test_filters_that_are_no_longer_wanted_are_unsubscribed(tmp_path: Path, broker: Broker) -> None:
    with service_of(broker.url, tmp_path, mqtt_topics="old/{stream}/raw") as service:
        until_connected(service)
    with service_of(broker.url, tmp_path, mqtt_topics="new/{stream}/raw") as service:
        until_connected(service)
        publish(broker, "old/a/raw", "21.5")
        publish(broker, "new/a/raw", "21.5")
        until(lambda: counted(service, "streamnorm_mqtt_taken_total") == 1)
        assert refused(service) == {}


def test_refusals_are_counted_logged_and_sent_to_the_dead_letter_topic(tmp_path: Path, broker: Broker) -> None:
    settings = {"mqtt_dead_letter": "dead", "max_features": "3", "max_reading_bytes": "1000"}
    with service_of(broker.url, tmp_path, **settings) as service, listening(broker, "dead") as dead:
        until_connected(service)
        publish(broker, "sensors/a/raw", "hot", b"\xff\xfe", "[1, 2, 3, 4]", "1" * 2000)
        letters = [payload for _, payload in dead.take(4)]
        found = refused(service)
        told = service.log.read_text()
    assert [(each["topic"], each["reason"]) for each in letters] == [
        ("sensors/a/raw", "invalid-reading"),
        ("sensors/a/raw", "invalid-reading"),
        ("sensors/a/raw", "limit-exceeded"),
        ("sensors/a/raw", "message-too-large"),
    ]
    assert letters[0]["payload"] == "hot"
    assert base64.b64decode(letters[1]["payload_base64"]) == b"\xff\xfe"
    assert letters[3]["bytes"] == 2000
    label = 'filter="sensors/+/raw",reason='
    assert found == {
        f'{{{label}"invalid-reading"}}': 2,
        f'{{{label}"limit-exceeded"}}': 1,
        f'{{{label}"message-too-large"}}': 1,
    }
    assert told.count("messages refused: 1 invalid-reading") == 1


def test_a_message_larger_than_what_was_announced_is_never_sent(tmp_path: Path, broker: Broker) -> None:
    with service_of(broker.url, tmp_path, max_reading_bytes="1000") as service:
        until_connected(service)
        publish(broker, "sensors/a/raw", "1" * 1_000_000)
        publish(broker, "sensors/a/raw", "21.5")
        until(lambda: counted(service, "streamnorm_mqtt_taken_total") == 1)
        assert refused(service) == {}


def test_large_messages_and_small_ones_of_a_stream_stay_in_their_order(tmp_path: Path, broker: Broker) -> None:
    large = json.dumps({"note": "x" * 200_000, "value": 1.0})
    payloads = [large, "2.0", "3.0", large, "4.0"]
    with service_of(broker.url, tmp_path) as service, listening(broker, "sensors/+/normalized") as heard:
        until_connected(service)
        publish(broker, "sensors/a/raw", *payloads)
        found = heard.values(5)
    normalizer = Normalizer()
    assert found == [normalizer.observe({"value": value}).values for value in (1.0, 2.0, 3.0, 1.0, 4.0)]
