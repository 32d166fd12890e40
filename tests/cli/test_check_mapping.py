"""`streamnorm check --mapping`: what a mapping makes of sample payloads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import invoke

SAMPLES = Path(__file__).parents[1] / "data" / "mappings"
PRESET_SAMPLES = [
    pytest.param(file.stem, sample, id=f"{file.stem}: {sample['what']}")
    for file in sorted(SAMPLES.glob("*.json"))
    for sample in json.loads(file.read_text())
]
FILE = """
[[mappings]]
name = "cellar"
preset = "tasmota"
time_zone = "Europe/Berlin"
"""


def check(*arguments: str, text: str = "") -> tuple[int, list[Any], str]:
    """Run the command; returns its status, the readings it prints, and its errors."""
    done = invoke(["check", *arguments], text=text)
    return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_preset_needs_no_file() -> None:
    status, found, _ = check(
        "--mapping", "ttn", "--payload", json.dumps(json.loads((SAMPLES / "ttn.json").read_text())[1]["body"])
    )
    values = {"co2": 612.0, "temperature": 21.4}
    assert (status, found) == (0, [{"stream": "co2-1", "timestamp": "2026-11-22T09:00:00Z", "values": values}])


@pytest.mark.parametrize(("preset", "sample"), PRESET_SAMPLES)
def test_every_sample_is_told_as_a_person_expects(preset: str, sample: dict[str, Any], tmp_path: Path) -> None:
    file, payload = tmp_path / "streamnorm.toml", tmp_path / "payload"
    options = sample.get("options", {}) | {"name": "device", "preset": preset}
    file.write_text("[[mappings]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items()))
    payload.write_text(sample["body"] if isinstance(sample["body"], str) else json.dumps(sample["body"]))
    arguments = [str(file), "--mapping", "device", "--payload", f"@{payload}", "--topic", sample.get("topic", "")]
    arguments += ["--query", "&".join(map("=".join, sample.get("query", {}).items()))]
    arguments += ["--media-type", sample["media_type"]] if "media_type" in sample else []
    status, found, errors = check(*arguments)
    assert status == 0, errors
    assert [(each["stream"], each["values"]) for each in found] == [
        (each["stream"], each["values"]) for each in sample["expect"]
    ]


def test_a_mapping_of_the_file_reads_several_samples_of_a_topic(tmp_path: Path) -> None:
    file, sample = tmp_path / "streamnorm.toml", tmp_path / "sample.json"
    file.write_text(FILE)
    sample.write_text('{"Time": "2026-11-22T10:00:00", "ANALOG": {"A0": 512}}')
    arguments = ["--mapping", "cellar", "--topic", "tele/x/SENSOR", "--payload", f"@{sample}", "--payload", "-"]
    status, found, errors = check(str(file), *arguments, text='{"DS18B20": {"Temperature": 4.5}}')
    assert (status, errors) == (0, "")
    assert found == [
        {"stream": "x", "timestamp": "2026-11-22T09:00:00Z", "values": {"ANALOG.A0": 512.0}},
        {"stream": "x", "values": {"DS18B20.Temperature": 4.5}},
    ]


def test_a_form_and_its_query_are_samples_too() -> None:
    arguments = [
        "--payload",
        "tempf=38.5",
        "--query",
        "station=roof",
        "--media-type",
        "application/x-www-form-urlencoded",
    ]
    assert check("--mapping", "ecowitt", *arguments)[1] == [{"stream": "roof", "values": {"tempf": 38.5}}]


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--mapping", "ttn"], 2, "--mapping and --payload need each other"),
        (["--mapping", "tnt", "--payload", "1"], 2, "there is no mapping 'tnt'; did you mean ttn"),
        (["--mapping", "ttn", "--payload", "{}"], 1, "mapping 'ttn': there is nothing at"),
        (["--mapping", "ttn", "--payload", "@nowhere"], 1, "nowhere cannot be read: No such file"),
        (["--mapping", "zigbee2mqtt", "--payload", "1", "--topic", "zigbee2mqtt/a/set"], 1, "holds no reading"),
    ],
)
def test_what_is_wrong_is_told(arguments: list[str], status: int, told: str) -> None:
    found = check(*arguments)
    assert (found[0], told in found[2]) == (status, True), found[2]
