"""What devices publish, normalized by the name of a preset and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamnorm.bridges.mqtt.options import mappings_of
from streamnorm.errors import InvalidConfiguration
from streamnorm.mappings import Catalogue
from streamnorm.settings import Settings
from streamnorm_client import Client
from tests.bridges.mqtt_service import counted, figures, refused, service_of, until_connected
from tests.support.broker import Broker, listening, publish, until
from tests.support.http_calls import running
from tests.support.processes import PATIENCE


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Run a broker."""
    with Broker(tmp_path / "mosquitto") as running:
        yield running


def test_devices_of_several_kinds_are_normalized_by_the_names_of_presets(tmp_path: Path, broker: Broker) -> None:
    settings = {"mqtt_preset": "zigbee2mqtt,tasmota,shelly-gen2,ttn"}
    with (
        service_of(broker.url, tmp_path, **settings) as service,
        listening(broker, "sensors/+/normalized") as heard,
    ):
        until_connected(service)
        publish(broker, "zigbee2mqtt/bridge/state", {"state": "online"})
        publish(broker, "zigbee2mqtt/kitchen", {"temperature": 21.4, "linkquality": 90}, {"action": "single"})
        publish(broker, "tele/cellar/SENSOR", {"Time": "2026-11-22T10:00:00", "AM2301": {"Temperature": 12.5}})
        publish(broker, "shelly-x/status/switch:0", {"id": 0, "apower": 1500.0})
        publish(broker, "shelly-x/status/switch:1", {"id": 1, "apower": 3.0})
        uplink = {"end_device_ids": {"device_id": "soil-7"}, "uplink_message": {"decoded_payload": {"moisture": 27.5}}}
        publish(broker, "v3/farm/devices/soil-7/up", uplink)
        publish(broker, "sensors/plain/raw", "21.5")
        found = [(payload["stream"], sorted(payload["values"])) for _, payload in heard.take(6)]
        assert sorted(found) == [
            ("cellar", ["AM2301.Temperature"]),
            ("kitchen", ["temperature"]),
            ("plain", ["value"]),
            ("shelly-x", ["switch:0.apower"]),
            ("shelly-x", ["switch:1.apower"]),
            ("soil-7", ["moisture"]),
        ]
        with Client(service.url) as client:
            assert client.stream("shelly-x").info().features == ["switch:0.apower", "switch:1.apower"]
        assert refused(service) == {'{filter="zigbee2mqtt/#",reason="invalid-reading"}': 1}
        assert figures(service)['streamnorm_mqtt_ignored_total{reason="no-reading"}'] == 1


def test_a_batch_is_observed_in_order_beside_a_large_one(tmp_path: Path, broker: Broker) -> None:
    with service_of(broker.url, tmp_path, mqtt_preset="thingsboard-gateway") as service:
        until_connected(service)
        large = [{"ts": 1_795_338_000_000 + ms, "values": {"t": ms, "u": ms}} for ms in range(2000)]
        publish(broker, "v1/gateway/telemetry", {"pump": large}, {"pump": [{"t": 7}], "fan": [{"t": 8}]})
        until(lambda: counted(service, "streamnorm_mqtt_taken_total") == 2)
        with Client(service.url) as client:
            assert client.stream("pump").info().count == 2001
            assert client.stream("pump").profile().features["t"].last == 7
            assert client.stream("fan").info().count == 1


async def test_mappings_that_changed_are_subscribed_to_anew(tmp_path: Path, broker: Broker) -> None:
    settings: dict[str, Any] = {"mqtt": broker.url, "data_dir": tmp_path, "mqtt_client_id": "renewed"}
    async with asyncio.timeout(PATIENCE), running(**settings) as api:
        mappings = api.app.state.context.mappings
        for name in ("old", "new"):
            mappings.become(Catalogue([{"name": name, "topics": [f"{name}/{{stream}}"], "strings": "number"}]))
            with listening(broker, "sensors/+/normalized") as heard:
                while not heard.waiting():
                    await asyncio.to_thread(publish, broker, f"{name}/{name}", "21,5 °C")
                    await asyncio.sleep(0.1)
            assert (await api.get(f"/v1/streams/{name}")).status_code == 200
        with listening(broker, "sensors/old/normalized", "sensors/last/normalized") as heard:
            await asyncio.to_thread(publish, broker, "old/old", "21.5")
            await asyncio.to_thread(publish, broker, "new/last", "21.5")
            assert [topic for topic, _ in await asyncio.to_thread(heard.take, 1)] == ["sensors/last/normalized"]


def test_mappings_with_topics_are_taken_and_presets_that_are_named() -> None:
    catalogue = Catalogue([{"name": "roof", "topics": ["roof/{stream}"]}, {"name": "hook"}])
    found = mappings_of(Settings(mqtt_preset="ttn zigbee2mqtt"), catalogue)
    assert [each.name for each in found] == ["roof", "ttn", "zigbee2mqtt"]


@pytest.mark.parametrize(("preset", "detail"), [("zigbe", "did you mean"), ("ecowitt", "ecowitt has no topics")])
def test_a_preset_that_cannot_be_is_told_at_the_start(preset: str, detail: str) -> None:
    with pytest.raises(InvalidConfiguration, match=f"/mqtt_preset: .*{detail}"):
        mappings_of(Settings(mqtt_preset=preset), Catalogue())
