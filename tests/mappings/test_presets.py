"""Samples in the shape that devices send, a file a preset, each with the readings that a person would expect."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Channel, Reading
from streamnorm.mappings import Message, mapping_of, preset_names

FOLDER = Path(__file__).parents[1] / "data" / "mappings"
SAMPLES = [
    pytest.param(file.stem, sample, id=f"{file.stem}: {sample['what']}")
    for file in sorted(FOLDER.glob("*.json"))
    for sample in json.loads(file.read_text())
]


def told(reading: Reading) -> dict[str, Any]:
    """Return the values of a reading as JSON has them."""
    return {name: _plain(value) for name, value in zip(reading.names, reading.values, strict=True)}


def _plain(value: Any) -> Any:
    if isinstance(value, Channel):
        return [_plain(element) for element in value.elements.tolist()]
    return None if math.isnan(value) else value


@pytest.mark.parametrize(("preset", "sample"), SAMPLES)
def test_a_preset_makes_of_a_payload_the_readings_that_a_person_expects(preset: str, sample: dict[str, Any]) -> None:
    mapping = mapping_of({"preset": preset} | sample.get("options", {}))
    body = sample["body"] if isinstance(sample["body"], str) else json.dumps(sample["body"])
    topic = sample.get("topic", "")
    message = Message(body.encode(), topic, sample.get("query", {}), sample.get("media_type", ""))
    found = [
        {"stream": stream, "time": reading.timestamp, "values": told(reading)}
        for stream, reading, _ in mapping.readings(message, Limits())
    ]
    assert found == [{"time": None} | expected for expected in sample["expect"]]
    assert not topic or mapping.matches(topic)


def test_there_are_samples_of_every_preset() -> None:
    others = {"sparkplug", "prometheus-remote-write"}  # not text: see test_sparkplug.py and test_remote_write.py
    assert {param.values[0] for param in SAMPLES} | others == set(preset_names())
    assert len(SAMPLES) >= 40
