"""What Home Assistant is told of: its templates are rendered as it does, by Jinja with strict undefined."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from streamnorm.bridges.mqtt import bridge
from streamnorm.bridges.mqtt.discovery import Discovery, unique
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import parse_reading
from streamnorm_client import Client
from tests.bridges.mqtt_service import service_of, until_connected
from tests.support.broker import Broker, listening, publish
from tests.support.http_calls import running

TOPIC = "sensors/s/normalized"


def announced(values: Any, discovery: Discovery | None = None) -> dict[str, dict[str, Any]]:
    """Announce a reading's features; returns the configuration of each."""
    one = parse_reading(values, Limits())
    found = (discovery or Discovery("homeassistant", "streamnorm-1")).fresh("s", TOPIC, one)
    return {name: orjson.loads(payload) for name, (_, payload) in zip(one.names, found, strict=True)}


def shown(config: dict[str, Any], values: Any) -> str:
    """Render a sensor's state from a message."""
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    message = orjson.loads(orjson.dumps({"stream": "s", "values": values}, option=orjson.OPT_SERIALIZE_NUMPY))
    return environment.from_string(config["value_template"]).render(value_json=message)


@given(st.text(min_size=1, max_size=20))
def test_a_feature_of_any_name_is_found_and_one_that_is_absent_changes_nothing(name: str) -> None:
    config = announced({name: 1.0})[name]
    assert shown(config, {name: 0.25, "other": 1}) == "0.25"
    assert shown(config, {f"{name}'": 1.0}) == ""
    assert shown(config, {}) == ""
    assert shown(config, {name: None}) == "None"


def test_readings_that_are_arrays_are_shown_by_their_places() -> None:
    configs = announced([1.0, 2.0, 3.0])
    assert [shown(configs[name], [0.5, None]) for name in "012"] == ["0.5", "None", ""]
    assert shown(configs["1"], {"1": 0.75}) == "0.75"
    assert shown(announced({"temp": 1.0})["temp"], [0.5]) == ""


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 3, 4)])
def test_a_channel_is_shown_by_its_mean(shape: tuple[int, ...]) -> None:
    elements = np.arange(float(np.prod(shape))).reshape(shape)
    config = announced({"ir": elements.tolist()})["ir"]
    assert shown(config, {"ir": elements}) == str(elements.mean())
    assert shown(config, {"ir": np.full(shape, None).tolist()}) == "None"
    assert shown(config, {"ir": None}) == "None"
    assert shown(config, {"temp": 1.0}) == ""


@given(st.lists(st.text(min_size=1, max_size=150), min_size=3, max_size=3), st.data())
def test_ids_are_fit_and_never_those_of_another_sensor(names: list[str], data: st.DataObject) -> None:
    other = [data.draw(st.sampled_from([name, name + "_", "_" + name])) for name in names]
    assert (unique(*names) == unique(*other)) is (names == other)
    assert all(each.isascii() and (each.isalnum() or each in "-_") for each in unique(*names))
    assert unique("c", "a_b", "c") != unique("c", "a", "b_c")


def test_a_sensor_expires_and_is_gone_with_the_bridge() -> None:
    config = announced({"temp": 1.0}, Discovery("ha", "c", expire_after=90.4))["temp"]
    assert config["expire_after"] == 90
    assert config["availability"] == [{"topic": "c/status"}]
    assert "unit_of_measurement" not in config


def test_a_feature_with_a_unit_has_a_sensor_of_its_raw_values() -> None:
    discovery = Discovery("ha", "c")
    one = parse_reading({"temp": 21.5, "wind": 3.0, "door": 0}, Limits())
    found = [payload for _, payload in discovery.fresh("s", TOPIC, one, {"temp": "°C", "wind": "m/s"})]
    _, _, _, temp, wind = map(orjson.loads, found)
    assert (temp["name"], temp["unit_of_measurement"], temp["device_class"]) == ("temp", "°C", "temperature")
    assert (wind["unit_of_measurement"], "device_class" in wind) == ("m/s", False)
    assert len({orjson.loads(payload)["unique_id"] for payload in found}) == 5
    message = {"values": {"temp": 0.25}, "raw": {"temp": 21.5}}
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    shown_raw = environment.from_string(temp["value_template"])
    assert (shown_raw.render(value_json=message), shown_raw.render(value_json={"values": {}})) == ("21.5", "")
    assert list(discovery.fresh("s", TOPIC, one, {"temp": "°C"})) == []


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Run a broker."""
    with Broker(tmp_path / "mosquitto") as running:
        yield running


def test_home_assistant_hears_of_every_sensor_once_and_of_its_end(tmp_path: Path, broker: Broker) -> None:
    settings = {"mqtt_discovery": "homeassistant", "mqtt_client_id": "plant", "mqtt_expire_after": "60"}
    with (
        service_of(broker.url, tmp_path, **settings) as service,
        listening(broker, "homeassistant/#", "sensors/+/normalized") as heard,
        Client(service.url) as client,
    ):
        until_connected(service)
        publish(broker, "sensors/attic:1/raw", {"temp": 21.5, "door": 0}, {"temp": 22.5, "door": 1})
        found = heard.take(4)
        topics = [f"homeassistant/sensor/{unique('plant', 'attic:1', name)}/config" for name in ("temp", "door")]
        normalized = "sensors/attic:1/normalized"
        assert [topic for topic, _ in found] == [*topics, normalized, normalized]
        config = found[0][1]
        assert (config["state_topic"], config["expire_after"]) == (normalized, 60)
        assert shown(config, found[3][1]["values"]) == str(found[3][1]["values"]["temp"])
        client.stream("attic:1").delete()
        gone = [unique("plant", "attic:1", *each) for each in (("temp", "raw"), ("door", "raw"))]
        topics += [f"homeassistant/sensor/{each}/config" for each in gone]
        assert sorted(heard.take(4)) == sorted((topic, "") for topic in topics)
    with listening(broker, "homeassistant/#", "last/#") as later:
        publish(broker, "last/message", "0")
        assert later.take(1) == [("last/message", 0)]  # nothing is retained any more


async def test_units_of_rules_are_told_with_raw_values(tmp_path: Path, broker: Broker) -> None:
    rules = tmp_path / "streamnorm.toml"
    rules.write_text('[[rules]]\nfeatures = "temp*"\nunit = "°C"\n', "utf-8")
    settings: dict[str, Any] = {"mqtt": broker.url, "mqtt_discovery": "ha", "mqtt_client_id": "c", "config": str(rules)}
    with listening(broker, "ha/#", "sensors/+/normalized") as heard:
        async with running(data_dir=tmp_path / "data", **settings) as api:
            await api.observe("a", {"values": {"temp": 21.5, "door": 1}})
            *_, (topic, config), (_, message) = await asyncio.to_thread(heard.take, 4)
    assert topic == f"ha/sensor/{unique('c', 'a', 'temp', 'raw')}/config"
    assert (config["unit_of_measurement"], message["raw"]) == ("°C", {"temp": 21.5})


async def test_rows_of_a_table_whose_features_have_units_are_published(tmp_path: Path, broker: Broker) -> None:
    rules = tmp_path / "streamnorm.toml"
    rules.write_text('[[rules]]\nfeatures = "temp*"\nunit = "°C"\n', "utf-8")
    settings: dict[str, Any] = {"mqtt": broker.url, "mqtt_discovery": "ha", "mqtt_client_id": "c", "config": str(rules)}
    with listening(broker, "sensors/+/normalized") as heard:
        async with running(data_dir=tmp_path / "data", **settings) as api:
            table = {"features": ["temp", "door"], "values": [[21.5, 1], [22.5, 0]]}
            answer = (await api.client.post("/v1/streams/a/bulk", json=table)).json()
            messages = [message for _, message in await asyncio.to_thread(heard.take, 2)]
    assert [[*message["values"].values()] for message in messages] == answer["values"]
    assert not any("raw" in message for message in messages)


async def test_the_sensors_of_a_stream_that_expired_go(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge, "EXPIRY_INTERVAL", 0.1)
    settings: dict[str, Any] = {"mqtt": broker.url, "mqtt_discovery": "ha", "mqtt_client_id": "c", "stream_ttl": 0.5}
    with listening(broker, "ha/#") as heard:
        async with running(data_dir=tmp_path, durability="always", **settings) as api:
            api.app.state.context.service.clock = time.time
            await api.observe("a", {"values": {"temp": 21.5}})
            first, last = await asyncio.to_thread(heard.take, 2)
    topic = f"ha/sensor/{unique('c', 'a', 'temp')}/config"
    assert (first[0], first[1]["expire_after"], last) == (topic, 1, (topic, ""))
